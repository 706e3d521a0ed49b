"""What the tests of the door share: resources on both sides, and a browser that has opened one."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from provisioning.models import Resource
from tests.provisioning.conftest import clock, heroku, heroku_server, plans, ready, woken
from tests.support.partner import Partner
from tests.support.sso import log_in

__all__ = ["clock", "heroku", "heroku_server", "plans", "ready", "woken"]


@pytest.fixture
def resource(plans: None) -> Resource:
    """A provisioned resource."""
    return Partner("inference").provisioned()


@pytest.fixture
def other(plans: None) -> Resource:
    """Another one, of the same service."""
    return Partner("inference").provisioned()


@pytest.fixture
def moments() -> Iterator[int]:
    """Times within the window, none twice: two logins in one second have the same tokens."""
    began = int(time.time())
    return (began - number for number in itertools.count(1))


@pytest.fixture
def opened(moments: Iterator[int]) -> Callable[..., Client]:
    """Log in and return the browser, which has not got a page yet."""

    def open_in(resource: Resource, client: Client | None = None, **changes: Any) -> Client:
        browser = client or Client(raise_request_exception=False)
        answer = log_in(browser, resource, **{"at": next(moments), **changes})
        assert answer.status_code == 302, answer.content
        return browser

    return open_in


@pytest.fixture
def viewer_form() -> dict[str, None]:
    """Changes of the form that leave nothing to say who the person is."""
    return {"user_scoped_resource_token": None}
