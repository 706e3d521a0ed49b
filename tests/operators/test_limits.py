"""An operator sets limits of one resource and suspends it, from its page; each is told in both audits."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from operators.models import Event
from operators.roles import Role
from provisioning.limits import limits_of
from provisioning.models import LimitOverride, Resource
from tests.support.partner import Partner

SignedIn = Callable[..., Client]
REASON = "unusual traffic"


@pytest.fixture
def resource(plans: None) -> Resource:
    """A provisioned one."""
    return Partner("inference").provisioned(plan="nova-lite")


def tomorrow() -> str:
    """As a date field sends it."""
    return (timezone.now() + timedelta(days=1)).date().isoformat()


def test_an_operator_overrides_a_limit_for_some_days_and_ends_it(
    resource: Resource, signed_in: SignedIn
) -> None:
    assert resource.plan
    plan = resource.plan.limits["requests_per_minute"]
    client, address = signed_in(Role.OPERATOR), f"/admin/resources/{resource.uuid}/"
    wanted = {"name": "requests_per_minute", "value": "4321", "until": tomorrow(), "reason": REASON}
    told = client.post(f"{address}limits/", wanted, follow=True).content.decode()
    assert "4,321" in told
    assert REASON in told
    override = LimitOverride.objects.get()
    assert limits_of(resource)["requests_per_minute"] == 4321
    assert (override.ends_at.isoformat()[:10], override.ends_at.hour) == (
        (timezone.now() + timedelta(days=2)).date().isoformat(),
        0,
    )
    event = Event.objects.get(action="resource.limit_set")
    assert (event.name, event.reason, event.before) == ("olga", REASON, {"requests_per_minute": plan})
    client.post(f"{address}limits/{override.pk}/end/", {"reason": ""})
    assert limits_of(resource)["requests_per_minute"] == 4321
    client.post(f"{address}limits/{override.pk}/end/", {"reason": "done"})
    assert limits_of(Resource.objects.get(pk=resource.pk))["requests_per_minute"] == plan
    assert Event.objects.get(action="resource.limit_ended").reason == "done"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"value": ""}, "Enter the new value."),
        ({"until": ""}, "Choose the last day."),
        ({"until": "2020-01-01"}, "lie ahead"),
        ({"reason": ""}, "kept in the audit"),
        ({"name": "model_kind"}, "no limit"),
    ],
)
def test_what_does_not_fit_is_said(
    resource: Resource, signed_in: SignedIn, fields: dict[str, str], said: str
) -> None:
    wanted = {"name": "requests_per_minute", "value": "5", "until": tomorrow(), "reason": REASON, **fields}
    answer = signed_in(Role.OPERATOR).post(f"/admin/resources/{resource.uuid}/limits/", wanted, follow=True)
    assert said in answer.content.decode()
    assert not LimitOverride.objects.exists()
    assert not Event.objects.filter(action="resource.limit_set").exists()


def test_an_override_of_another_resource_is_not_found(resource: Resource, signed_in: SignedIn) -> None:
    client, other = signed_in(Role.OPERATOR), Partner("inference").provisioned()
    wanted = {"name": "requests_per_minute", "value": "5", "until": tomorrow(), "reason": REASON}
    client.post(f"/admin/resources/{resource.uuid}/limits/", wanted)
    number = LimitOverride.objects.get().pk
    answer = client.post(f"/admin/resources/{other.uuid}/limits/{number}/end/", {"reason": "x"})
    assert answer.status_code == 404
    assert LimitOverride.objects.get().ended_at is None


def test_limits_and_suspension_are_for_who_runs_the_service(resource: Resource, signed_in: SignedIn) -> None:
    client, address = signed_in(Role.SUPPORT, Role.FINANCE), f"/admin/resources/{resource.uuid}/"
    told = client.get(address).content.decode()
    assert "Requests per minute" in told
    assert "Override a limit" not in told
    assert "do-suspend" not in told
    assert client.post(f"{address}limits/", {"name": "requests_per_minute"}).status_code == 403
    client.post(f"{address}suspend/", {"reason": REASON})
    resource.refresh_from_db()
    assert resource.suspended_at is None


def test_an_operator_suspends_and_resumes_with_a_reason(resource: Resource, signed_in: SignedIn) -> None:
    client, address = signed_in(Role.OPERATOR), f"/admin/resources/{resource.uuid}/"
    client.post(f"{address}suspend/", {"reason": " "})
    resource.refresh_from_db()
    assert resource.suspended_at is None
    told = client.post(f"{address}suspend/", {"reason": REASON}, follow=True).content.decode()
    assert "do-suspend" not in told
    assert "Suspended" in told
    resource.refresh_from_db()
    assert (resource.suspended_at is not None, resource.suspension_reason) == (True, REASON)
    told = client.post(f"{address}resume/", {"reason": "all clear"}, follow=True).content.decode()
    assert "do-suspend" in told
    resource.refresh_from_db()
    assert resource.suspended_at is None
    assert [
        *Event.objects.order_by("pk").filter(action__startswith="resource.").values_list("action", "reason")
    ] == [
        ("resource.suspend", REASON),
        ("resource.resume", "all clear"),
    ]
