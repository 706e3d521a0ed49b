"""What the apps load: the published configuration, cached and limited, and honest words when there is none."""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from addon.mobiloud import app_config
from addon.mobiloud.capabilities import Capability, capabilities_of
from addon.mobiloud.config import MobiLoudEnvironment
from addon.mobiloud.models import Answer, Revision, Site, Submission, Upload
from addon.mobiloud.preview import embed_url, preview_of
from addon.mobiloud.retention import purge_ended
from addon.mobiloud.revisions import newest
from provisioning import suspension
from provisioning.models import Plan
from tests.mobiloud.answers import fill, save, start, submit
from tests.mobiloud.conftest import Customer
from tests.support.website import Website

pytestmark = pytest.mark.django_db


def load(customer: Customer, which: str = "app", **headers: str) -> Any:
    """As a phone does: without cookies."""
    token = customer.site.app_token if which == "app" else customer.site.preview_token
    return Client().get(f"/mobiloud/{which}/{token}/config.json", headers=headers)


@pytest.fixture
def live(paying: Customer) -> Customer:
    """A customer who has submitted."""
    fill(paying)
    assert submit(paying).status_code == 200
    return paying


def test_a_suspended_customer_s_app_is_told_as_when_the_service_is_inactive(live: Customer) -> None:
    suspension.suspend(live.resource.pk, reason="abuse", actor="operator")
    answer = load(live)
    assert (answer.status_code, answer.json()["error"]["id"]) == (403, "service_inactive")
    assert answer["Cache-Control"] == "no-store"
    assert "abuse" not in answer.content.decode()
    suspension.resume(live.resource.pk, actor="operator")
    assert load(live).status_code == 200


def test_the_published_revision_is_answered_with_an_etag_that_saves_the_rest(live: Customer) -> None:
    answer = load(live)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["active"], body["revision"], body["name"]) == (True, 1, "Fine Teas")
    assert body["configuration"] == live.configuration
    assert answer["Cache-Control"] == "public, max-age=60"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer
    again = load(live, **{"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", answer["ETag"])
    live.save("settings", {"label": "Later", "links": []})
    assert load(live, **{"If-None-Match": answer["ETag"]}).status_code == 304
    live.post("publish/revision", revision=2)
    answer = load(live, **{"If-None-Match": answer["ETag"]})
    assert answer.json()["revision"] == 2
    Site.objects.update(found={**live.site.found, "name": "Finer Teas"})
    assert load(live, **{"If-None-Match": answer["ETag"]}).json()["name"] == "Finer Teas"


def test_nothing_is_told_before_it_is_published_or_to_a_strange_address(paying: Customer) -> None:
    answer = load(paying)
    assert (answer.status_code, answer.json()["error"]["id"]) == (404, "not_published")
    assert Client().get("/mobiloud/app/guess/config.json").status_code == 404
    assert Client().post(f"/mobiloud/app/{paying.site.app_token}/config.json").status_code == 405
    assert len(paying.site.app_token) >= 32


def test_after_a_downgrade_the_apps_show_that_the_service_is_not_active_and_after_an_upgrade_they_are_back(
    live: Customer,
) -> None:
    before = load(live).json()
    live.move_to("test")
    answer = load(live, **{"If-None-Match": load(live).get("ETag", '"1"')})
    assert answer.status_code == 403
    assert answer["Cache-Control"] == "no-store"
    assert answer.json() == {
        "active": False,
        "error": {
            "id": "service_inactive",
            "title": "Service no longer active",
            "message": "The service behind this app is no longer active. Please visit the website instead.",
            "website": live.site.website,
        },
    }
    assert load(live, "preview").status_code == 200
    assert "not active" in live.get("publish/").content.decode()
    live.save("settings", {"label": "Later", "links": []})
    refused = live.post("publish/revision", revision=2)
    assert (refused.status_code, refused.json()["id"]) == (403, "plan_does_not_include")
    live.move_to("starter")
    assert load(live).json() == before


def test_one_address_is_limited_and_another_is_not(live: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        app_config, "mobiloud_environment", lambda: MobiLoudEnvironment(config_requests_per_minute=3)
    )
    # Of the same minute, whenever this runs.
    monkeypatch.setattr(time, "time", lambda: 6000.0)
    redis.Redis.from_url(django_settings.REDIS_URL).flushdb()
    url = f"/mobiloud/app/{live.site.app_token}/config.json"
    assert [Client(REMOTE_ADDR="203.0.113.7").get(url).status_code for _ in range(5)] == [
        200,
        200,
        200,
        429,
        429,
    ]
    refused = Client(REMOTE_ADDR="203.0.113.7").get(url)
    assert refused["Retry-After"] == "60"
    assert refused.json()["active"] is False
    assert Client(REMOTE_ADDR="203.0.113.8").get(url).status_code == 200


def test_without_redis_apps_still_start(live: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_config, "_redis", redis.Redis(port=1, socket_connect_timeout=0.1))
    assert load(live).status_code == 200


def test_behind_a_router_only_its_own_word_counts(live: Customer, settings: Settings) -> None:
    from django.test import RequestFactory

    from addon.mobiloud.client_address import client_address

    request = RequestFactory().get("/", headers={"X-Forwarded-For": "1.2.3.4, 203.0.113.9"})
    assert client_address(request) == "127.0.0.1"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert client_address(request) == "203.0.113.9"


def test_the_table_of_capabilities_covers_every_plan(plans: None) -> None:
    for plan in Plan.objects.filter(service="mobiloud"):
        held = capabilities_of(plan)
        assert {Capability.CONFIGURE, Capability.PREVIEW} <= held
        assert (Capability.LIVE_APP in held) == (Capability.SUBMIT in held) == (plan.slug != "test")


# --- the end ------------------------------------------------------------------------------------------------


def test_a_removal_ends_the_address_and_destroys_secrets_and_later_everything_else(
    live: Customer, settings: Settings
) -> None:
    submission = Submission.objects.get()
    Answer.objects.create(submission=submission, name="push_key", saved_by="x", saved_at=timezone.now())
    sealed = Answer.objects.get(name="push_key")
    sealed.set_sealed(secret="hush")
    sealed.save()
    token = live.site.app_token
    live.remove()
    answer = Client().get(f"/mobiloud/app/{token}/config.json")
    assert (answer.status_code, answer.json()["error"]["id"]) == (410, "app_ended")
    assert not Answer.objects.exclude(secret=None).exists()
    assert Upload.objects.exists()
    page = live.get("publish/")
    assert page.status_code == 410
    assert "own Apple and Google developer" in page.content.decode()
    assert purge_ended() == 0
    live.resource.__class__.objects.filter(pk=live.resource.pk).update(
        deprovisioned_at=timezone.now() - timedelta(days=settings.DATA_RETENTION_DAYS, seconds=1)
    )
    assert purge_ended() == 1
    assert purge_ended() == 0
    for model in (Submission, Answer, Upload, Revision):
        assert not model.objects.exists()
    site = Site.objects.get()
    assert (site.website, site.icon, site.found) == ("", None, {})
    assert Client().get(f"/mobiloud/app/{token}/config.json").status_code == 410


# --- the preview --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, ""),
        ({"X-Frame-Options": "DENY"}, "X-Frame-Options"),
        ({"X-Frame-Options": "SAMEORIGIN"}, "X-Frame-Options"),
        ({"Content-Security-Policy": "frame-ancestors 'none'"}, "frame-ancestors"),
        (
            {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'self' https://a.example"},
            "frame-ancestors",
        ),
        ({"Content-Security-Policy": "frame-ancestors *", "X-Frame-Options": "DENY"}, ""),
        ({"Content-Security-Policy": "frame-ancestors http://testserver"}, ""),
        ({"Content-Security-Policy": "script-src 'self'"}, ""),
    ],
)
def test_whether_a_site_may_be_framed_is_asked_of_the_site(
    customer: Customer, shop: Website, headers: dict[str, str], words: str
) -> None:
    shop.headers = headers
    answer = customer.browser.get(customer.path("preview/framing"), {"url": shop.url}).json()
    assert answer["url"] == shop.url
    assert (words in answer["refusal"]) if words else answer["refusal"] == ""


def test_only_pages_of_the_app_are_asked_and_not_each_time(customer: Customer, shop: Website) -> None:
    path = customer.path("preview/framing")
    shop.asked.clear()
    for _ in range(3):
        assert customer.browser.get(path, {"url": shop.url}).status_code == 200
    assert shop.asked == ["/"]
    assert customer.browser.get(path, {"url": f"{shop.url}news"}).status_code == 404
    assert customer.browser.get(path, {"url": "http://10.0.0.1/"}).status_code == 404


def test_a_page_may_frame_the_app_s_sites_and_nothing_else(customer: Customer, shop: Website) -> None:
    policy = customer.get("configure/menu/")["Content-Security-Policy"]
    assert policy.endswith(f"frame-src http://{shop.host}")
    assert "frame-src" not in customer.get("")["Content-Security-Policy"]


def test_with_a_key_the_preview_is_appetize_s_and_fed_with_what_is_saved(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from addon.mobiloud import preview
    from addon.mobiloud.config import AppetizeEnvironment

    monkeypatch.setattr(preview, "appetize_environment", lambda: AppetizeEnvironment(public_key="abc123"))
    page = customer.get("configure/menu/")
    assert page["Content-Security-Policy"].endswith("frame-src https://appetize.io")
    url = embed_url(customer.site, newest(customer.site))
    assert url.startswith("https://appetize.io/embed/abc123?device=")
    assert customer.site.preview_token in url
    assert preview_of(customer.site, newest(customer.site)).embed == url
    assert (
        Client().get(f"/mobiloud/preview/{customer.site.preview_token}/config.json").json()["revision"] == 1
    )


def test_a_strange_uuid_is_nobody_s(customer: Customer) -> None:
    assert customer.browser.get(f"/mobiloud/{uuid.uuid4()}/configure/menu/").status_code == 401


def test_a_viewer_sees_the_form_read_only(paying: Customer, new_customer: Callable[..., Customer]) -> None:
    start(paying)
    save(paying, {"company": "Fine Teas Ltd"})
    viewer = Customer(paying.resource, user_scoped_resource_token=None)
    page = viewer.get("publish/form/contact/").content.decode()
    assert "Read only" in page
    assert "Fine Teas Ltd" in page
