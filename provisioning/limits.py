"""What a resource may use: its plan's limits, and where an operator has set others for it until a day.

Whoever asks for the limits of a resource asks here, so that an override holds everywhere at once and ends by itself at
its time. What stands outside of Postgres follows by the service's `limits_changed`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from provisioning import audit
from provisioning.locks import lock_provisioned, lock_resource
from provisioning.models import LimitOverride, Plan, Resource
from provisioning.services import Refusal, service_of
from provisioning.states import ResourceState

LONGEST = timedelta(days=366)
"""An override for good is a plan: it ends in a year at the latest."""
LARGEST = 10**15
"""Every part that counts, Redis's scripts too, counts so far exactly."""
_AT_ONCE = 500


def limits_of(resource: Resource, *, plan: Plan | None = None) -> dict[str, Any]:
    """The limits of `resource` now, on its plan or on `plan`; empty for one without a plan.

    One indexed query, or none where `limit_overrides` was prefetched.
    """
    on = plan or resource.plan
    return {} if on is None else with_overrides(on.limits, resource.limit_overrides.all())


def with_overrides(limits: Mapping[str, Any], overrides: Iterable[LimitOverride]) -> dict[str, Any]:
    """A plan's limits with those of `overrides` in place that hold now and that the plan knows."""
    found, now = dict(limits), timezone.now()
    for override in overrides:
        if override.ended_at is None and override.ends_at > now and override.name in found:
            found[override.name] = override.value
    return found


def standing_overrides() -> QuerySet[LimitOverride]:
    """Every override that holds now."""
    return LimitOverride.objects.filter(ended_at=None, ends_at__gt=timezone.now())


def overridable(plan: Plan | None) -> list[str]:
    """The names of a plan's limits that can be overridden: those that are numbers."""
    limits: Mapping[str, Any] = plan.limits if plan else {}
    return [name for name, value in limits.items() if isinstance(value, int) and not isinstance(value, bool)]


@transaction.atomic
def set_override(
    resource_id: int, *, name: str, value: int, ends_at: datetime, reason: str, actor: str
) -> LimitOverride:
    """Let the limit `name` of a resource be `value` until `ends_at`, in place of its plan's and of a former override.

    Refusal, with a sentence for the operator, unless the service takes such a value and the end lies within a year.
    """
    resource = _locked(resource_id)
    if name not in overridable(resource.plan) or resource.plan is None:
        raise Refusal(f"The plan has no limit “{name}” that is a number.", code="limit_unknown")
    now = timezone.now()
    if not now < ends_at <= now + LONGEST:
        raise Refusal("The end has to lie ahead, and not further than a year.", code="end_out_of_range")
    if not reason.strip():
        raise Refusal("Give a reason: it is kept in the audit.", code="reason_needed")
    if value > LARGEST:
        raise Refusal(f"At most {LARGEST:,}.", code="limit_out_of_range")
    try:
        service_of(resource).validate_limits({**limits_of(resource), name: value})
    except ValueError as error:
        raise Refusal(f"This does not fit: {error}.", code="limit_out_of_range") from None
    resource.limit_overrides.filter(name=name, ended_at=None).update(ended_at=now)
    made = LimitOverride.objects.create(
        resource=resource, name=name, value=value, ends_at=ends_at, reason=reason.strip(), created_by=actor
    )
    audit.record(
        "limit.overridden",
        resource=resource,
        actor=actor,
        limit=name,
        plan_value=resource.plan.limits[name],
        value=value,
        until=ends_at.isoformat(),
        reason=reason.strip(),
    )
    service_of(resource).limits_changed(resource)
    return made


@transaction.atomic
def end_override(override_id: int, *, actor: str) -> LimitOverride:
    """Give a limit back to the plan now. Refusal when there is no such override, or it has ended."""
    found = LimitOverride.objects.filter(pk=override_id).values_list("resource_id", flat=True).first()
    resource = None if found is None else lock_resource(found)
    override = LimitOverride.objects.filter(pk=override_id, ended_at=None).first()
    if resource is None or override is None:
        raise Refusal("This override has ended already.", code="override_ended")
    override.ended_at = min(timezone.now(), override.ends_at)
    override.save(update_fields=["ended_at"])
    audit.record(
        "limit.override_ended", resource=resource, actor=actor, limit=override.name, value=override.value
    )
    if resource.state == ResourceState.PROVISIONED:
        service_of(resource).limits_changed(resource)
    return override


def end_due_overrides() -> int:
    """End those whose time is over, so that what follows them outside of Postgres follows; how many there were."""
    due = LimitOverride.objects.filter(ended_at=None, ends_at__lte=timezone.now()).values_list(
        "pk", flat=True
    )
    ended = 0
    for override_id in list(due[:_AT_ONCE]):
        try:
            end_override(override_id, actor=audit.SYSTEM)
            ended += 1
        except Refusal:  # another sweep was quicker
            continue
    return ended


def _locked(resource_id: int) -> Resource:
    return lock_provisioned(resource_id, refusal="Only a provisioned resource has limits to change.")
