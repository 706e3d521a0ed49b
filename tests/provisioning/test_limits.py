"""Limits that an operator sets for one resource, and suspension: exact, for a time, and without a trace afterwards."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from provisioning import limits, suspension
from provisioning.models import AuditEvent, LimitOverride, Resource
from provisioning.services import Refusal, all_services
from provisioning.sweep import sweep
from tests.support.partner import Partner, run_operations

ADA = "operator ada"


def override(resource: Resource, **fields: Any) -> LimitOverride:
    """Ten thousand requests a minute for a day, with other fields where they are given."""
    wanted = {
        "name": "requests_per_minute",
        "value": 10_000,
        "ends_at": timezone.now() + timedelta(days=1),
        "reason": "a launch",
        **fields,
    }
    return limits.set_override(resource.pk, actor=ADA, **wanted)


def of(resource: Resource) -> dict[str, Any]:
    """What the resource may use, read anew."""
    return limits.limits_of(Resource.objects.select_related("plan").get(pk=resource.pk))


def test_an_override_holds_for_its_resource_alone_until_its_end(
    inference: Partner, clock: Callable[[Any], None]
) -> None:
    resource, other = inference.provisioned(), inference.provisioned()
    assert resource.plan
    plan = resource.plan.limits
    override(resource)
    assert of(resource) == {**plan, "requests_per_minute": 10_000}
    assert of(other) == plan
    shown = {meter.key: meter.limit for meter in all_services()["inference"].usage_summary(resource)}
    assert shown["requests_per_minute"] == 10_000
    clock(timezone.now() + timedelta(days=1, seconds=1))
    assert of(resource) == plan
    assert sweep().overrides == 1
    assert sweep().overrides == 0
    told = AuditEvent.objects.filter(resource=resource, event__startswith="limit.").order_by("pk")
    assert [(one.event, one.actor) for one in told] == [
        ("limit.overridden", ADA),
        ("limit.override_ended", "system"),
    ]


def test_another_override_takes_the_place_of_the_former_and_ending_it_gives_the_plan_s_back(
    inference: Partner,
) -> None:
    resource = inference.provisioned()
    assert resource.plan
    override(resource)
    last = override(resource, value=5)
    assert of(resource)["requests_per_minute"] == 5
    assert limits.standing_overrides().count() == 1
    limits.end_override(last.pk, actor=ADA)
    assert of(resource) == resource.plan.limits
    with pytest.raises(Refusal, match="ended already"):
        limits.end_override(last.pk, actor=ADA)


def test_an_override_moves_on_to_another_plan(inference: Partner) -> None:
    resource = inference.provisioned(plan="nova-lite")
    override(resource)
    inference.put(resource.uuid, "nova-pro")
    run_operations(resource)
    found = Resource.objects.select_related("plan").get(pk=resource.pk)
    assert found.plan
    assert limits.limits_of(found) == {**found.plan.limits, "requests_per_minute": 10_000}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "wishes_per_minute"}, "no limit"),
        ({"name": "model_kind"}, "no limit"),
        ({"value": 0}, "above zero"),
        ({"value": 10**15 + 1}, "At most"),
        ({"ends_at": timezone.now() - timedelta(seconds=1)}, "lie ahead"),
        ({"ends_at": timezone.now() + timedelta(days=400)}, "a year"),
        ({"reason": "  "}, "reason"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    inference: Partner, fields: dict[str, Any], said: str
) -> None:
    resource = inference.provisioned()
    override(resource)
    with pytest.raises(Refusal, match=said):
        override(resource, **fields)
    assert LimitOverride.objects.get().value == 10_000


def test_a_resource_that_is_not_provisioned_is_neither_suspended_nor_given_limits(inference: Partner) -> None:
    resource = inference.provisioned()
    inference.delete(resource.uuid)
    for refused in (
        lambda: override(resource),
        lambda: suspension.suspend(resource.pk, reason="abuse", actor=ADA),
        lambda: suspension.resume(resource.pk, actor=ADA),
    ):
        with pytest.raises(Refusal, match="provisioned"):
            refused()


def run(*arguments: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_the_commands_suspend_and_resume_every_service_and_may_be_repeated(partner: Partner) -> None:
    resource = partner.provisioned()
    Resource.objects.filter(pk=resource.pk).update(state="provisioned")
    uuid = str(resource.uuid)
    told = json.loads(run("suspend", uuid, "--reason", "abuse", "--dry-run", "--json"))
    assert told == {"resource": uuid, "was_suspended": False, "dry_run": True}
    resource.refresh_from_db()
    assert resource.suspended_at is None
    for _ in range(2):
        run("suspend", uuid, "--reason", "abuse")
    resource.refresh_from_db()
    assert (resource.suspended_at is not None, resource.suspension_reason) == (True, "abuse")
    assert "would end" in run("resume", uuid, "--dry-run")
    for _ in range(2):
        run("resume", uuid)
    resource.refresh_from_db()
    assert (resource.suspended_at, resource.suspension_reason) == (None, "")
    told_of = AuditEvent.objects.filter(resource=resource).order_by("pk").values_list("event", flat=True)
    assert [name for name in told_of if name in ("resource.suspended", "resource.resumed")] == [
        "resource.suspended",
        "resource.resumed",
    ]
    with pytest.raises(CommandError, match="there is no resource"):
        run("resume", "00000000-0000-4000-8000-000000000000")
