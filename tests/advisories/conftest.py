"""What the tests of the advisories share."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from advisories import delivery, drafting
from advisories.models import Advisory, Version
from mail.models import Contact
from operators.roles import Role
from provisioning.models import Resource
from tests.mail.conftest import provider, running
from tests.provisioning.conftest import clock, heroku, heroku_server, plans, ready, woken
from tests.sso.conftest import moments, opened, other, resource, viewer_form
from tests.support.operators import make_operator

__all__ = [
    "clock",
    "heroku",
    "heroku_server",
    "moments",
    "opened",
    "other",
    "plans",
    "provider",
    "ready",
    "resource",
    "running",
    "viewer_form",
    "woken",
]

SAID: dict[str, Any] = {
    "title": "Keys in a log file",
    "summary": "Keys of inference were written to a log.",
    "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    "how_to_check": "Every key issued before 20 November is affected.",
    "steps": [
        {"text": "Rotate the key.", "command": "heroku addons:open inference", "deadline": "2026-12-01"}
    ],
    "what_we_did": "The log is gone.",
    "timeline": [{"at": "2026-11-20 14:05", "text": "We were told."}],
}


@pytest.fixture(autouse=True)
def quick_digests(settings: Settings) -> None:
    """Passwords are digested quickly here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def olga(db: None) -> User:
    """Who writes."""
    return make_operator(Role.SECURITY, username="olga")


@pytest.fixture
def rita(db: None) -> User:
    """Who reviews."""
    return make_operator(Role.SECURITY, username="rita")


@pytest.fixture
def approved(olga: User, rita: User, woken: Any) -> Callable[..., Version]:
    """An advisory whose first version was approved; `about` changes its own fields, others what it says."""

    def make(*, about: dict[str, Any] | None = None, **said: Any) -> Version:
        advisory = drafting.create_advisory(
            author=olga,
            said={**SAID, **said},
            about={"kind": "exposure", "scope": {"services": ["inference"]}, **(about or {})},
        )
        version = advisory.versions.get()
        drafting.submit(version.pk, author=olga)
        return drafting.review(version.pk, reviewer=rita, approved=True)

    return make


@pytest.fixture
def sent(approved: Callable[..., Version], olga: User) -> Callable[..., Advisory]:
    """An advisory whose mails are in the outbox."""

    def make(**changes: Any) -> Advisory:
        version = delivery.send(approved(**changes).pk, operator=olga)
        delivery.carry_on(version.advisory_id)
        return Advisory.objects.get(pk=version.advisory_id)

    return make


def owner(resource: Resource, email: str = "owner@example.com", source: str = "owner") -> Contact:
    """Let somebody be named for a resource."""
    return Contact.objects.create(resource=resource, email=email, source=source)
