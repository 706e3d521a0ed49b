"""What the tests of the outbox share: a mail provider, and settings that lead to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tests.provisioning.conftest import (
    clock,
    heroku,
    heroku_server,
    plans,
    ready,
    woken,
)
from tests.sso.conftest import resource
from tests.support.mailbox import API_KEY, Provider, running_provider

__all__ = ["clock", "heroku", "heroku_server", "plans", "ready", "resource", "woken"]


@pytest.fixture(scope="session")
def running() -> Iterator[Provider]:
    """One provider for all tests."""
    with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider, settings: Settings, woken: Any) -> Provider:
    """The provider, well and empty, and the outbox set to it; wake-ups are caught."""
    running.reset()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.smtp_port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_TIMEOUT = 30
    settings.MAIL_PER_SECOND = 1000.0
    settings.MAIL_EVENTS_URL, settings.MAIL_EVENTS_KEY = running.events_url, API_KEY
    settings.MAIL_EVENTS_LAG_SECONDS = 0
    settings.MAIL_WEBHOOK_KEYS = ()
    return running
