"""A customer of MobiLoud with a website of their own."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from addon.mobiloud.documents import Configuration
from addon.mobiloud.models import Revision, Site
from addon.mobiloud.revisions import newest
from provisioning.models import Plan, Resource
from tests.provisioning.conftest import (
    clock,
    heroku,
    heroku_server,
    plans,
    ready,
    woken,
)
from tests.support.partner import Partner, run_operations
from tests.support.sso import log_in
from tests.support.website import Website, website

__all__ = ["clock", "heroku", "heroku_server", "plans", "ready", "woken"]


_LOGINS = [0]
"""The second of the latest login, none twice: two logins of one second have the same tokens."""


class Customer:
    """A resource, and a browser that has its dashboard open."""

    def __init__(self, resource: Resource, **login: Any) -> None:
        self.resource = resource
        self.browser = Client(raise_request_exception=False)
        _LOGINS[0] = max(_LOGINS[0] + 1, int(time.time()))
        assert log_in(self.browser, resource, at=_LOGINS[0], **login).status_code == 302

    @property
    def site(self) -> Site:
        """The site as it is now."""
        return Site.objects.select_related("resource__plan").get(resource=self.resource)

    @property
    def configuration(self) -> Configuration:
        """The newest configuration."""
        return newest(self.site).configuration

    def revisions(self) -> list[Revision]:
        """Oldest first."""
        return list(Revision.objects.filter(site=self.site).order_by("number"))

    def path(self, page: str) -> str:
        """A page's address."""
        return f"/mobiloud/{self.resource.uuid}/{page}"

    def get(self, page: str) -> Any:
        """Open a page."""
        return self.browser.get(self.path(page))

    def post(self, page: str, **fields: Any) -> Any:
        """Press a button, as the page's script does."""
        return self.browser.post(self.path(page), fields, headers={"Accept": "application/json"})

    def save(self, section: str, value: Any, *, base: int | None = None) -> Any:
        """Save a section, over the newest revision unless told otherwise."""
        base = self.site.revision if base is None else base
        return self.post("configure/save", section=section, base=base, value=json.dumps(value))

    def save_document(self, text: str, *, base: int | None = None) -> Any:
        """Save the whole."""
        base = self.site.revision if base is None else base
        return self.post("configure/save-document", base=base, value=text)

    def move_to(self, plan: str) -> None:
        """Change the plan, as Heroku does."""
        assert Partner("mobiloud").put(self.resource.uuid, plan).status_code == 200
        run_operations(self.resource)
        self.resource = Resource.objects.select_related("plan").get(pk=self.resource.pk)

    def remove(self) -> None:
        """Remove the add-on, as Heroku does."""
        assert Partner("mobiloud").delete(self.resource.uuid).status_code == 204
        run_operations(self.resource)


@pytest.fixture(scope="session")
def shop_server() -> Iterator[Website]:
    """One website for the worker."""
    with website() as site:
        yield site


@pytest.fixture
def shop(shop_server: Website, settings: Settings) -> Website:
    """The customer's website, as it was at first, and reachable although it is on this machine."""
    shop_server.headers, shop_server.status = {}, 200
    shop_server.asked.clear()
    settings.FETCH_ALSO_ALLOWED = frozenset({shop_server.host})
    return shop_server


@pytest.fixture
def new_customer(plans: None) -> Callable[..., Customer]:
    """A customer who has just installed the add-on."""

    def install(plan: str = "test", **login: Any) -> Customer:
        assert Plan.objects.filter(service="mobiloud", slug=plan).exists()
        resource = Partner("mobiloud").provisioned(plan=plan)
        run_operations(resource)
        return Customer(Resource.objects.select_related("plan").get(pk=resource.pk), **login)

    return install


@pytest.fixture
def customer(new_customer: Callable[..., Customer], shop: Website) -> Customer:
    """A customer on the free plan who has named the website."""
    made = new_customer()
    assert made.post("website", website=shop.url).status_code == 200
    return made


@pytest.fixture
def paying(new_customer: Callable[..., Customer], shop: Website) -> Customer:
    """A customer on a paid plan who has named the website."""
    made = new_customer("starter")
    assert made.post("website", website=shop.url).status_code == 200
    return made
