"""Telling people what they use before a limit bites: once for each threshold, month and plan.

Three kinds of gauges: what a resource keeps now (topics, stored data), the highest rate that was seen this month, and
what adds up over the month (a customer's own budget, and limits of a plan that are counted by the month). Only the last
kind can be used up too early: half of it in the month's first week is told as such.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from billing.charges import Charge, metered_unit, month_charges
from billing.ledger import used_between
from billing.letters import limit_letters
from billing.models import Budget, LimitNotice
from billing.months import Month
from mail import outbox
from mail.contacts import people
from provisioning import audit
from provisioning.limits import limits_of
from provisioning.models import Plan, PlanPeriod, Resource
from provisioning.services import service_of
from provisioning.states import ResourceState
from sso.dashboard import plan_choices

log = structlog.get_logger(__name__)

THRESHOLDS = (50, 80, 95, 100)
PACE = "pace"
FIRST_WEEK = timedelta(days=7)
COMFORTABLE_PERCENT = 80
"""A plan is recommended when it would be used by no more than this."""

BUDGET = "budget"
_PER_MONTH = "_per_month"


@dataclass(frozen=True)
class Gauge:
    """How much of a limit is used. `adds_up` says that it counts the month's use from its beginning."""

    key: str
    label: str
    unit: str
    used: int
    limit: int
    adds_up: bool = False

    @property
    def percent(self) -> int:
        """Whole per cent, rounded down: a threshold is reached when it is."""
        return self.used * 100 // self.limit


def check_all() -> int:
    """Look at every live resource and tell what was reached; how many notices. One failure holds up no other."""
    told = 0
    live = Resource.objects.filter(state=ResourceState.PROVISIONED).order_by("pk")
    # What a resource may use is asked several times for each: with its overrides at hand that costs no query.
    rows = live.select_related("plan").prefetch_related("limit_overrides")
    for resource in rows.iterator(chunk_size=500):
        try:
            told += len(check_resource(resource))
        except Exception:  # one resource's service being away must not keep the others' people in the dark
            log.exception("billing.limits.not_checked", resource=str(resource.uuid))
    return told


def check_resource(resource: Resource) -> list[LimitNotice]:
    """Tell what a resource has reached that was not told yet; returns what was told now.

    Of several thresholds of a limit that are new at once only the highest is told; the others never will be.
    """
    if resource.plan is None:
        return []
    now = timezone.now()
    month = Month.of(now)
    found = []
    for gauge in gauges(resource, now=now):
        reached = [str(percent) for percent in THRESHOLDS if gauge.percent >= percent]
        if gauge.adds_up and now < month.start + FIRST_WEEK and 50 <= gauge.percent < 80:
            reached.append(PACE)
        if reached:
            found += _tell(resource, resource.plan, month, gauge, reached)
    return found


def gauges(resource: Resource, *, now: datetime) -> list[Gauge]:
    """Everything of a resource that has a limit and is measured."""
    service, month = service_of(resource), Month.of(now)
    meters = [meter for meter in service.usage_summary(resource) if not meter.unit.endswith(("/s", "/min"))]
    since = max(month.start, _plan_began(resource))
    meters += service.usage_peaks(resource, since=since)
    found = [
        Gauge(meter.key, meter.label, meter.unit, meter.used, meter.limit)
        for meter in meters
        if meter.key and meter.limit and meter.used is not None
    ]
    limits = limits_of(resource)
    units = {unit.name: unit for unit in service.usage_units}
    used = used_between([resource.pk], begin=month.start, end=now) if units else {}
    for key, limit in limits.items():
        unit = units.get(key.removesuffix(_PER_MONTH))
        if key.endswith(_PER_MONTH) and unit:
            amount = used.get((resource.pk, unit.name), 0)
            found.append(Gauge(key, f"{unit.label} this month", unit.unit, amount, limit, adds_up=True))
    if budget := Budget.objects.filter(resource=resource).first():
        charge = month_charges([resource.pk], month=month, until=now).get(resource.pk, Charge())
        found.append(Gauge(BUDGET, "Budget", "cents", charge.cents, budget.cents, adds_up=True))
    return found


def _plan_began(resource: Resource) -> datetime:
    row = PlanPeriod.objects.filter(resource=resource, ends_at=None).first()
    return row.starts_at if row else resource.created_at


@transaction.atomic
def _tell(
    resource: Resource, plan: Plan, month: Month, gauge: Gauge, reached: Sequence[str]
) -> list[LimitNotice]:
    known = set(
        LimitNotice.objects.filter(
            resource=resource, month=month.first_day, plan=plan, gauge=gauge.key
        ).values_list("threshold", flat=True)
    )
    new = [threshold for threshold in reached if threshold not in known]
    if not new:
        return []
    # A threshold below one that was told before, such as a level that sank and rose again, says nothing new.
    loud = None if _rank(new[-1]) < max(map(_rank, known), default=0) else new[-1]
    advice = recommendation(resource, gauge) if loud else ""
    rows = [
        LimitNotice(
            resource=resource,
            month=month.first_day,
            plan=plan,
            gauge=gauge.key,
            threshold=threshold,
            label=gauge.label,
            unit=gauge.unit,
            used=gauge.used,
            limit=gauge.limit,
            advice=advice,
            silent=threshold != loud,
        )
        for threshold in new
    ]
    # Whoever comes second writes nothing, and so tells nothing.
    LimitNotice.objects.bulk_create(rows, ignore_conflicts=True)
    made = LimitNotice.objects.filter(
        resource=resource, month=month.first_day, plan=plan, gauge=gauge.key, silent=False, threshold=loud
    ).first()
    if loud is None or made is None:
        return []
    outbox.post_all(limit_letters(made, people(resource)))
    audit.record("limit.neared", resource=resource, gauge=gauge.label, threshold=loud)
    log.info("billing.limits.told", resource=str(resource.uuid), gauge=gauge.key, threshold=loud)
    return [made]


def near_words(detail: Mapping[str, Any]) -> str:
    """The audit's `limit.neared` in the customer's words."""
    gauge, threshold = detail.get("gauge", "A limit"), detail.get("threshold")
    if threshold == PACE:
        return f"{gauge}: half of the month's limit is used in its first week"
    return f"{gauge}: {threshold} % of the limit is used"


def _rank(threshold: str) -> int:
    return 51 if threshold == PACE else int(threshold)


# --- what plan would fit ------------------------------------------------------------------------------------
def recommendation(resource: Resource, gauge: Gauge) -> str:
    """A sentence that names the cheapest plan the resource may move to with enough room, or what else to do."""
    choices = [choice.plan for choice in plan_choices(resource)]
    if gauge.key == BUDGET:
        return _cheaper(resource, choices) or "No other plan would cost less for the same use."
    fitting = [
        plan
        for plan in choices
        if int(plan.limits.get(gauge.key) or 0) > gauge.limit
        and gauge.used * 100 <= int(plan.limits[gauge.key]) * COMFORTABLE_PERCENT
    ]
    if not fitting:
        return "This is the largest plan for it: ask support what is possible."
    best = min(fitting, key=lambda plan: (plan.price_cents, plan.position))
    return f"Plan {best.name} has room for it, for ${best.price_cents / 100:,.2f} a month."


def _cheaper(resource: Resource, choices: Iterable[Plan]) -> str:
    """The cheapest plan for what was used this month, when it is cheaper than the present one."""
    if resource.plan is None or not resource.plan.metered:
        return ""
    now = timezone.now()
    used = {
        unit: quantity
        for (_, unit), quantity in used_between([resource.pk], begin=Month.of(now).start, end=now).items()
    }

    def cost(plan: Plan) -> Fraction:
        metered = [(metered_unit(name), cents) for name, cents in plan.metered.items()]
        return sum(
            (Fraction(used.get(unit, 0) * cents, per) for (unit, per), cents in metered),
            Fraction(plan.price_cents),
        )

    best = min((plan for plan in choices if plan.metered), key=cost, default=None)
    if best is None or cost(best) >= cost(resource.plan):
        return ""
    return (
        f"The same use would have cost ${float(cost(best)) / 100:,.2f} on plan {best.name}, "
        f"and ${float(cost(resource.plan)) / 100:,.2f} on {resource.plan.name}."
    )


# --- a customer's own budget --------------------------------------------------------------------------------
@transaction.atomic
def set_budget(resource: Resource, *, cents: int | None, actor: str) -> None:
    """Set what a resource may cost a month before its people are told, or nothing. Thresholds are told anew."""
    if cents is None:
        Budget.objects.filter(resource=resource).delete()
    else:
        Budget.objects.update_or_create(
            resource=resource, defaults={"cents": cents, "set_by": actor, "set_at": timezone.now()}
        )
    LimitNotice.objects.filter(
        resource=resource, gauge=BUDGET, month=Month.of(timezone.now()).first_day
    ).delete()
    audit.record("billing.budget_set", resource=resource, actor=actor, cents=cents)
