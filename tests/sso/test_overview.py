"""What the first page of each service shows, to whom, and in which state of the resource."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as project
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import audit, suspension
from provisioning.models import AuditEvent, Operation, PlatformAccess, Resource
from provisioning.resources import change_plan
from provisioning.services import all_services
from provisioning.states import ResourceState
from sso.doors import Dashboard
from sso.events import customer_events
from sso.frame import Notice
from sso.models import DashboardSession
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, run_operations
from tests.support.sso import dashboard_path

pytestmark = pytest.mark.django_db
Opened = Callable[..., Client]
SLUGS = ["inference", "kafkacluster", "mobiloud"]


def html(browser: Client, resource: Resource, query: str = "") -> str:
    answer = browser.get(dashboard_path(resource) + query)
    assert answer.status_code == 200, answer.content
    text: str = answer.content.decode()
    return text


@pytest.mark.parametrize("slug", SLUGS)
def test_it_names_the_addon_its_app_plan_region_and_state(
    ready: Callable[..., Resource], opened: Opened, slug: str
) -> None:
    resource = ready(slug)
    text = html(opened(resource), resource)
    plan = resource.plan
    assert plan
    for shown in (
        resource.name,
        "sharp-mountain-4005",
        plan.name,
        "us",
        "Live",
        "Back to Heroku",
        "ada@example.com",
    ):
        assert shown in text
    assert "/apps/sharp-mountain-4005/resources" in text


def test_the_app_as_read_from_heroku_goes_before_the_one_the_login_named(
    resource: Resource, opened: Opened
) -> None:
    Resource.objects.update(app_name="known-app")
    text = html(opened(resource), resource)
    assert "known-app" in text
    assert "sharp-mountain-4005" not in text


@pytest.mark.parametrize("slug", SLUGS)
def test_no_secret_value_is_in_the_page_and_every_other_one_is(
    ready: Callable[..., Resource], opened: Opened, slug: str
) -> None:
    resource = ready(slug)
    service = all_services()[slug]
    text = html(opened(resource), resource)
    for name, value in service.config_vars(resource).items():
        assert name in text
        assert (value in text) is (name not in service.secret_config_vars)


@pytest.mark.parametrize("slug", SLUGS)
def test_every_secret_of_the_contract_is_one_of_its_config_vars(slug: str) -> None:
    service = all_services()[slug]
    assert set(service.secret_config_vars) <= set(service.config_var_names)
    assert bool(service.secret_config_vars) is service.issues_credentials


@pytest.mark.parametrize("slug", SLUGS)
def test_the_page_obeys_its_own_content_security_policy(
    ready: Callable[..., Resource], opened: Opened, slug: str
) -> None:
    resource = ready(slug)
    answer = opened(resource).get(dashboard_path(resource))
    text = answer.content.decode()
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert not re.search(r'\s(style|on[a-z]+)="', text)
    nonces = re.findall(r"<script(?![^>]*\ssrc=)([^>]*)>", text)
    assert nonces
    assert all("nonce=" in attributes for attributes in nonces)


def test_limits_prices_and_the_exact_command_for_another_plan_are_shown(
    ready: Callable[..., Resource], opened: Opened
) -> None:
    resource = ready("kafkacluster", name="kafkacluster-acute-62240")
    text = html(opened(resource), resource)
    assert "6 kB/s" in text
    assert "$20/month" in text
    assert "heroku addons:upgrade kafkacluster-acute-62240 kafkacluster:basic-0" in text
    assert "kafkacluster:free<" not in text


def test_plans_that_the_service_would_refuse_are_not_offered(resource: Resource, opened: Opened) -> None:
    text = html(opened(resource), resource)
    assert "inference:nova-pro<" in text
    assert "rerank" not in text.lower()


def test_the_quick_start_of_a_rerank_model_calls_rerank(plans: None, opened: Opened) -> None:
    resource = Partner("inference").provisioned(plan="cohere-rerank-3-5")
    text = html(opened(resource), resource)
    assert "/v1/rerank" in text
    assert "chat/completions" not in text


def test_the_quick_start_for_kafka_uses_the_tenants_own_prefix(
    ready: Callable[..., Resource], opened: Opened
) -> None:
    resource = ready("kafkacluster")
    assert f"{resource.kafka_tenant.prefix}orders" in html(opened(resource), resource, "start/")


def test_this_months_estimate_is_the_plans_share_so_far(
    ready: Callable[..., Resource], opened: Opened, clock: Callable[..., None]
) -> None:
    resource = ready("kafkacluster", plan="basic-0")
    start = timezone.now().replace(year=2026, month=4, day=1, hour=0, minute=0, second=0, microsecond=0)
    resource.plan_periods.update(starts_at=start)
    browser = opened(resource)
    clock(start.replace(day=16))
    DashboardSession.objects.update(last_seen_at=timezone.now(), expires_at=timezone.now().replace(day=17))
    assert "$10.00" in html(browser, resource)


def test_events_are_told_in_the_customers_words_without_ours(
    ready: Callable[..., Resource], opened: Opened
) -> None:
    resource = ready("kafkacluster")
    change_plan(all_services()["kafkacluster"], resource.uuid, "starter")
    audit.record("secret.internal_event", resource=resource, actor="operator-jane")
    audit.record(
        "config_vars.revealed", resource=resource, actor="ada@example.com", names=["KAFKACLUSTER_PASSWORD"]
    )
    text = html(opened(resource), resource)
    for words in (
        "Plan changed from Free to Starter",
        "Add-on created on plan Free",
        "KAFKACLUSTER_PASSWORD revealed",
    ):
        assert words in text
    assert "internal_event" not in text
    assert "operator-jane" not in text
    assert re.search(
        r'<time datetime="[^"]+" title="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC">just now</time>', text
    )


def test_every_event_with_words_can_be_told_even_when_its_detail_is_empty(resource: Resource) -> None:
    from sso.events import _TOLD

    AuditEvent.objects.bulk_create(
        AuditEvent(resource=resource, event=event, actor="system", detail={}) for event in _TOLD
    )
    told = customer_events(resource).events
    assert all(event.text for event in told)


def test_older_events_are_paged(resource: Resource, opened: Opened) -> None:
    for number in range(45):
        audit.record("credential.issued", resource=resource, credential=f"number-{number:02}")
    browser = opened(resource)
    first = html(browser, resource)
    older = re.search(r'href="\?before=(\d+)#events"', first)
    assert older
    assert "number-44" in first
    assert "number-24" not in first
    assert "number-24" in html(browser, resource, f"?before={older[1]}")
    for nonsense in ("x", "-1", "9" * 30, "٣"):
        assert browser.get(f"{dashboard_path(resource)}?before={nonsense}").status_code == 200


def test_a_resource_being_provisioned_shows_its_steps_instead(plans: None, opened: Opened) -> None:
    resource = Partner("kafkacluster").provisioned()
    text = html(opened(resource), resource)
    assert "is being set up" in text
    assert "Set your app&#x27;s config vars" in text
    assert "KAFKACLUSTER_PASSWORD" not in text


def test_its_progress_is_told_step_by_step(plans: None, heroku: FakeHeroku, opened: Opened) -> None:
    resource = Partner("kafkacluster").provisioned()
    browser = opened(resource)
    operation = Operation.objects.get(resource=resource)
    url = f"/dashboard/{resource.uuid}/operations/{operation.pk}"
    begun = browser.get(url).json()
    assert (begun["finished"], begun["steps"][0]["state"]) == (False, "current")
    Operation.objects.filter(pk=operation.pk).update(step="push config vars", attempt=3)
    stuck = browser.get(url).json()
    states = [step["state"] for step in stuck["steps"]]
    assert states == ["done"] * (len(states) - 2) + ["current", "waiting"]
    assert "longer than usual" in stuck["message"]
    assert "last_error" not in stuck


def test_a_failed_resource_says_so_in_the_open_dashboard(plans: None, opened: Opened) -> None:
    resource = Partner("kafkacluster").provisioned()
    browser = opened(resource)
    Resource.objects.filter(pk=resource.pk).update(state=ResourceState.FAILED)
    text = html(browser, resource)
    assert "could not be provisioned" in text
    assert "Nothing is charged" in text


def test_operations_of_other_resources_are_not_shown(
    resource: Resource, other: Resource, opened: Opened
) -> None:
    number = other.operations.get().pk
    answer = opened(resource).get(f"/dashboard/{resource.uuid}/operations/{number}")
    assert answer.status_code == 404
    assert answer.json()["id"] == "not_found"


def a_notice(dashboard: Dashboard) -> list[Notice]:
    return [
        Notice("bad", f"Look out, {dashboard.resource.name}", "Something <b>happened</b>.", "/x", "Read more")
    ]


def test_other_floors_have_their_say_above_the_page(
    resource: Resource, opened: Opened, settings: Settings
) -> None:
    settings.DASHBOARD_NOTICES = [f"{__name__}.a_notice"]
    text = html(opened(resource), resource)
    assert f"Look out, {resource.name}" in text
    assert "&lt;b&gt;" in text


def test_a_lost_access_to_heroku_is_told(resource: Resource, opened: Opened) -> None:
    PlatformAccess.objects.update(state="lost", grant_code=None)
    assert "We cannot update your app" in html(opened(resource), resource)


def test_a_running_plan_change_is_told_until_it_is_done(
    ready: Callable[..., Resource], opened: Opened
) -> None:
    resource = ready("kafkacluster")
    change_plan(all_services()["kafkacluster"], resource.uuid, "starter")
    browser = opened(resource)
    assert "Moving to Starter" in html(browser, resource)
    run_operations(resource)
    assert "Moving to Starter" not in html(browser, resource)


def test_an_error_page_names_the_request_for_support() -> None:
    answer = Client().get("/nowhere", headers={"X-Request-Id": "abcdefgh-1234"})
    assert answer.status_code == 404
    assert "abcdefgh-1234" in answer.content.decode()


def test_the_gallery_is_for_builders_only(settings: Settings) -> None:
    assert Client().get("/design/").status_code == 200
    settings.DESIGN_GALLERY = False
    assert Client().get("/design/").status_code == 404


def test_every_icon_that_a_page_names_is_in_the_sprite() -> None:
    root = Path(project.BASE_DIR)
    listed = set(json.loads((root / "frontend/src/icons.json").read_text()))
    files = [
        *root.glob("templates/**/*.html"),
        *root.glob("addon/*/templates/**/*.html"),
        *root.glob("sso/*.py"),
    ]
    named = {
        name
        for file in files
        for name in re.findall(r'(?:\{% icon |icon=|Told\()"([a-z0-9-]+)"', file.read_text())
    }
    for service in all_services().values():
        named |= {service.icon, *(page.icon for page in service.pages)}
    assert named
    assert named <= listed


@pytest.mark.parametrize("slug", SLUGS)
def test_a_suspension_is_told_with_its_reason_until_it_ends(
    ready: Callable[..., Resource], opened: Opened, slug: str
) -> None:
    resource = ready(slug)
    suspension.suspend(resource.pk, reason="Your app sends spam.", actor="operator ada")
    browser = opened(resource)
    text = html(browser, resource)
    for shown in ("This add-on is suspended", "Your app sends spam.", "Suspended: Your app sends spam."):
        assert shown in text
    assert "operator ada" not in text
    suspension.resume(resource.pk, actor="operator ada")
    text = html(browser, resource)
    assert "This add-on is suspended" not in text
    assert "Suspension ended" in text
