"""What the tests of the operator's door share."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from operators.roles import Role
from tests.provisioning.conftest import heroku, heroku_server, plans, ready, woken
from tests.support.operators import operator_client

__all__ = ["heroku", "heroku_server", "plans", "ready", "woken"]


@pytest.fixture(autouse=True)
def quick_digests(settings: Settings) -> None:
    """Passwords are digested quickly here, as in production slowly."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    """Make an operator with roles and a browser that is signed in."""

    def make(*roles: Role, **options: object) -> Client:
        return operator_client(*roles, **options)  # type: ignore[arg-type]

    return make
