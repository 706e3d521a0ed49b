"""What a session opens, for how long, and what ends it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Resource
from sso.models import DashboardSession
from sso.sessions import cookie_name
from sso.tasks import purge
from tests.support.partner import Partner
from tests.support.sso import dashboard_path, log_in

pytestmark = pytest.mark.django_db
Opened = Callable[..., Client]


def later(monkeypatch: pytest.MonkeyPatch, **interval: float) -> None:
    """Let time pass for our own code."""
    moment = timezone.now() + timedelta(**interval)
    monkeypatch.setattr(timezone, "now", lambda: moment)


def page(browser: Client, resource: Resource) -> Any:
    return browser.get(dashboard_path(resource))


def test_without_a_session_every_page_asks_to_be_opened_through_heroku(resource: Resource) -> None:
    answers = [page(Client(), resource), Client().get("/inference/00000000-0000-4000-8000-000000000000/")]
    for answer in answers:
        assert answer.status_code == 401
        assert "through Heroku" in answer.content.decode()
        assert "no-store" in answer["Cache-Control"]


def test_a_session_of_one_resource_opens_no_other(
    resource: Resource, other: Resource, opened: Opened
) -> None:
    browser = opened(resource)
    assert page(browser, resource).status_code == 200
    assert page(browser, other).status_code == 401


def test_a_session_moved_to_another_resources_cookie_opens_nothing(
    resource: Resource, other: Resource, opened: Opened
) -> None:
    browser = opened(resource)
    browser.cookies[cookie_name(other.uuid)] = browser.cookies[cookie_name(resource.uuid)].value
    assert page(browser, other).status_code == 401


def test_several_dashboards_are_open_in_one_browser_at_once(
    resource: Resource, other: Resource, opened: Opened
) -> None:
    browser = opened(other, opened(resource))
    assert page(browser, resource).status_code == 200
    assert page(browser, other).status_code == 200


def test_resources_that_share_a_cookie_name_never_share_a_session(plans: None, opened: Opened) -> None:
    shared = "0123456789ab"
    first, second = (
        Partner("inference").provisioned(uuid=f"{shared[:8]}-{shared[8:]}-4000-8000-00000000000{number}")
        for number in (1, 2)
    )
    assert cookie_name(first.uuid) == cookie_name(second.uuid)
    browser = opened(second, opened(first))
    assert page(browser, second).status_code == 200
    assert page(browser, first).status_code == 401


def test_a_page_of_another_service_is_not_found(resource: Resource, opened: Opened) -> None:
    assert opened(resource).get(f"/kafkacluster/{resource.uuid}/").status_code == 404


def test_opening_it_again_replaces_the_browsers_former_session(resource: Resource, opened: Opened) -> None:
    browser = opened(resource)
    former = browser.cookies[cookie_name(resource.uuid)].value
    opened(resource, browser)
    assert DashboardSession.objects.count() == 1
    assert page(browser, resource).status_code == 200
    stale = Client()
    stale.cookies[cookie_name(resource.uuid)] = former
    assert page(stale, resource).status_code == 401


def test_a_colleagues_session_is_left_alone(resource: Resource, opened: Opened) -> None:
    mine, theirs = opened(resource), opened(resource, email="bob@example.com")
    assert page(mine, resource).status_code == page(theirs, resource).status_code == 200


def test_it_ends_after_ninety_minutes_without_use(
    resource: Resource, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = opened(resource)
    later(monkeypatch, minutes=89)
    assert page(browser, resource).status_code == 200
    later(monkeypatch, minutes=89)
    assert page(browser, resource).status_code == 200
    later(monkeypatch, minutes=91)
    assert page(browser, resource).status_code == 401


def test_it_ends_after_twelve_hours_in_any_case(
    resource: Resource, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = opened(resource)
    for _ in range(11):
        later(monkeypatch, minutes=65)
        assert page(browser, resource).status_code == 200
    later(monkeypatch, minutes=10)
    assert page(browser, resource).status_code == 401


def test_what_a_page_fetches_by_itself_does_not_keep_it_alive(
    resource: Resource, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = opened(resource)
    number = resource.operations.get().pk
    later(monkeypatch, minutes=60)
    assert browser.get(f"/dashboard/{resource.uuid}/operations/{number}").status_code == 200
    later(monkeypatch, minutes=60)
    assert page(browser, resource).status_code == 401


def test_its_last_use_is_written_at_most_once_a_minute(
    resource: Resource, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = opened(resource)
    began = DashboardSession.objects.get().last_seen_at
    later(monkeypatch, seconds=50)
    page(browser, resource)
    assert DashboardSession.objects.get().last_seen_at == began
    later(monkeypatch, seconds=20)
    page(browser, resource)
    assert DashboardSession.objects.get().last_seen_at > began


def test_a_deprovision_ends_it_at_once_with_a_page_that_says_so(resource: Resource, opened: Opened) -> None:
    browser = opened(resource)
    Partner("inference").delete(resource.uuid)
    answer = page(browser, resource)
    assert answer.status_code == 410
    assert "was removed" in answer.content.decode()


def test_logging_out_ends_this_resource_only(resource: Resource, other: Resource, opened: Opened) -> None:
    browser = opened(other, opened(resource))
    former = browser.cookies[cookie_name(resource.uuid)].value
    answer = browser.post(f"/sso/logout/{resource.uuid}")
    assert (answer.status_code, answer["Location"]) == (303, "/sso/logged-out")
    assert answer.cookies[cookie_name(resource.uuid)]["max-age"] == 0
    assert browser.get("/sso/logged-out").status_code == 200
    browser.cookies[cookie_name(resource.uuid)] = former
    assert page(browser, resource).status_code == 401
    assert page(browser, other).status_code == 200


def test_logging_out_everywhere_ends_every_dashboard_of_this_browser(
    resource: Resource, other: Resource, opened: Opened
) -> None:
    browser, elsewhere = opened(other, opened(resource)), opened(resource)
    browser.post("/sso/logout")
    assert page(browser, resource).status_code == page(browser, other).status_code == 401
    assert page(elsewhere, resource).status_code == 200


def test_a_log_out_needs_a_post(resource: Resource, opened: Opened) -> None:
    browser = opened(resource)
    assert browser.get(f"/sso/logout/{resource.uuid}").status_code == 405
    assert page(browser, resource).status_code == 200


def test_over_https_the_cookie_is_bound_to_this_host(resource: Resource, settings: Settings) -> None:
    settings.BASE_URL = "https://testserver"
    (cookie,) = log_in(Client(), resource).cookies.values()
    assert cookie.key == f"__Host-dash-{resource.uuid.hex[:12]}"
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (
        True,
        True,
        "Lax",
        "/",
    )
    assert not cookie["domain"]


def test_over_plain_http_the_cookie_does_without_secure(resource: Resource) -> None:
    (cookie,) = log_in(Client(), resource).cookies.values()
    assert cookie.key == f"dash-{resource.uuid.hex[:12]}"
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == ("", True, "Lax")


def test_sessions_that_ran_out_are_deleted(
    resource: Resource, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(resource)
    purge()
    assert DashboardSession.objects.count() == 1
    later(monkeypatch, minutes=91)
    purge()
    assert not DashboardSession.objects.exists()


def test_a_viewer_row_cannot_carry_an_identity(resource: Resource) -> None:
    from django.db import IntegrityError

    now = timezone.now()
    with pytest.raises(IntegrityError):
        DashboardSession.objects.create(
            token_digest="0" * 64,
            resource=resource,
            role="viewer",
            email="ada@example.com",
            last_seen_at=now,
            expires_at=now,
        )
