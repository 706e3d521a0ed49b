"""What the provider earns: recurring revenue and its movements, gross and net by month, and each resource's part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Count, Q, Sum
from django.utils import timezone

from billing.charges import Charge, month_charges
from billing.closing import chunks, closed_months, first_open_month
from billing.models import Correction, MonthClose, Statement
from billing.months import Month
from billing.shares import net_of, share_of
from provisioning.models import PlanPeriod, Resource
from provisioning.services import all_services

# A resource is on a plan at a moment if it was just before it: periods are half-open, and one that ends with the month
# was on in all of it. So what one month ends with is what the next one begins with.
_ON = "p.voided_at IS NULL AND p.starts_at < {at} AND (p.ends_at IS NULL OR p.ends_at >= {at})"
_MOVEMENTS = f"""
    WITH before AS (
        SELECT p.resource_id, p.plan_id, p.price_cents FROM provisioning_planperiod AS p
         WHERE {_ON.format(at="%(begin)s::timestamptz")}
    ), after AS (
        SELECT p.resource_id, p.plan_id, p.price_cents FROM provisioning_planperiod AS p
         WHERE {_ON.format(at="%(end)s::timestamptz")}
    ), within AS (
        SELECT DISTINCT ON (p.resource_id) p.resource_id, p.plan_id, p.price_cents
          FROM provisioning_planperiod AS p
         WHERE p.voided_at IS NULL AND p.ends_at > p.starts_at
           AND p.starts_at >= %(begin)s::timestamptz AND p.ends_at < %(end)s::timestamptz
         ORDER BY p.resource_id, p.starts_at DESC
    ), moved AS (
        SELECT coalesce(b.resource_id, a.resource_id) AS resource_id, b.plan_id AS plan_before, a.plan_id AS plan_after,
               b.price_cents AS price_before, a.price_cents AS price_after
          FROM before AS b FULL JOIN after AS a USING (resource_id)
    )
    SELECT r.service,
           CASE WHEN plan_before IS NULL THEN 'new' WHEN plan_after IS NULL THEN 'left'
                WHEN price_after > price_before THEN 'upgraded' WHEN price_after < price_before THEN 'downgraded'
                WHEN plan_before <> plan_after THEN 'switched' ELSE 'stayed' END,
           count(*), sum(coalesce(price_after, 0) - coalesce(price_before, 0))::bigint,
           sum(coalesce(price_before, 0))::bigint, sum(coalesce(price_after, 0))::bigint
      FROM moved JOIN provisioning_resource AS r ON r.id = moved.resource_id GROUP BY 1, 2
    UNION ALL
    SELECT r.service, 'passing', count(*), sum(w.price_cents)::bigint, 0, 0
      FROM within AS w JOIN provisioning_resource AS r ON r.id = w.resource_id
     WHERE NOT EXISTS (SELECT FROM moved WHERE moved.resource_id = w.resource_id) GROUP BY 1, 2
"""  # noqa: S608 - every inserted word is ours
_BY_PLAN = f"""
    SELECT plan.service, plan.name, plan.position, count(*), sum(p.price_cents)::bigint
      FROM provisioning_planperiod AS p JOIN provisioning_plan AS plan ON plan.id = p.plan_id
     WHERE {_ON.format(at="%(end)s::timestamptz")}
     GROUP BY 1, 2, 3 ORDER BY 1, 3
"""  # noqa: S608 - every inserted word is ours


@dataclass(frozen=True)
class PlanRow:
    """How many resources are on a plan at the month's end, and what they bring a month."""

    plan: str
    resources: int
    mrr_cents: int


@dataclass
class Movement:
    """Resources that moved in a month, and what that changed of the recurring revenue."""

    resources: int = 0
    cents: int = 0


def _movements() -> dict[str, Movement]:
    return {kind: Movement() for kind in ("new", "upgraded", "downgraded", "left")}


@dataclass
class ServiceMonth:
    """One service in one month, in cents. `share` is None while none is set: then there is no net amount.

    `mrr_begin` and the movements add up to `mrr_end`. Who came and left within the month counts as new and as left.
    """

    service: str
    name: str
    share: Decimal | None
    plans: list[PlanRow] = field(default_factory=list)
    moves: dict[str, Movement] = field(default_factory=_movements)
    switched: int = 0
    mrr_begin: int = 0
    mrr_end: int = 0
    fees: int = 0
    usage: int = 0
    corrections: int = 0
    statements: int = 0
    net: int | None = None

    @property
    def gross(self) -> int:
        """What customers pay: plan fees, metered use, and corrections booked in this month."""
        return self.fees + self.usage + self.corrections

    @property
    def herokus_part(self) -> int | None:
        """What stays with Heroku."""
        return None if self.net is None else self.gross - self.net


@dataclass(frozen=True)
class MonthReport:
    """Every service in one month. One that is not closed is an estimate of what it came to up to now."""

    month: Month
    closed: MonthClose | None
    services: tuple[ServiceMonth, ...]

    @property
    def is_final(self) -> bool:
        """Whether the month is closed."""
        return self.closed is not None and self.closed.closed_at is not None

    @property
    def gross(self) -> int:
        """Of all services."""
        return sum(each.gross for each in self.services)

    @property
    def net(self) -> int | None:
        """Of all services; None while a share is missing."""
        nets = [each.net for each in self.services]
        return None if None in nets else sum(net or 0 for net in nets)

    @property
    def mrr_end(self) -> int:
        """Of all services."""
        return sum(each.mrr_end for each in self.services)


def month_report(month: Month) -> MonthReport:
    """What a month brought, by service."""
    closed = MonthClose.objects.filter(month=month.first_day).first()
    found = {
        slug: ServiceMonth(slug, service.name, share_of(slug, month))
        for slug, service in all_services().items()
    }
    until = min(month.end, timezone.now())
    if until > month.start:
        _add_movements(found, month.start, until)
    if closed and closed.closed_at:
        _add_statements(found, month)
    else:
        _add_estimate(found, month, until)
    _add_corrections(found, month)
    return MonthReport(month, closed, tuple(found.values()))


def _add_movements(found: dict[str, ServiceMonth], begin: datetime, end: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_MOVEMENTS, {"begin": begin, "end": end})
        for slug, kind, count, cents, old, new in cursor.fetchall():
            if (each := found.get(slug)) is None:
                continue
            each.mrr_begin += old
            each.mrr_end += new
            for name, sign in {"passing": (("new", 1), ("left", -1))}.get(kind, ((kind, 1),)):
                if name in each.moves:
                    each.moves[name].resources += count
                    each.moves[name].cents += sign * cents
            each.switched += count if kind == "switched" else 0
        cursor.execute(_BY_PLAN, {"end": end})
        for slug, plan, _, count, cents in cursor.fetchall():
            if slug in found:
                found[slug].plans.append(PlanRow(plan, count, cents))


def _add_statements(found: dict[str, ServiceMonth], month: Month) -> None:
    sums = (
        Statement.objects.filter(month=month.first_day)
        .values("service")
        .annotate(n=Count("pk"), fees=Sum("fee_cents"), usage=Sum("usage_cents"), net=Sum("net_cents"))
    )
    for each in found.values():
        each.net = 0
    for row in sums:
        if each_found := found.get(row["service"]):
            each_found.statements, each_found.net = row["n"], row["net"]
            each_found.fees, each_found.usage = row["fees"], row["usage"]


def _add_estimate(found: dict[str, ServiceMonth], month: Month, until: datetime) -> None:
    for each in found.values():
        each.net = None if each.share is None else 0
    for service, _, charge in open_charges(month, until=until):
        if each_found := found.get(service):
            each_found.statements += 1
            each_found.fees += charge.fee_cents
            each_found.usage += charge.usage_cents
            if each_found.net is not None and each_found.share is not None:
                each_found.net += net_of(charge.cents, each_found.share)


def _add_corrections(found: dict[str, ServiceMonth], month: Month) -> None:
    sums = (
        Correction.objects.filter(month=month.first_day)
        .values("service")
        .annotate(fees=Sum("fee_cents"), usage=Sum("usage_cents"), net=Sum("net_cents"))
    )
    for row in sums:
        if each := found.get(row["service"]):
            each.corrections += row["fees"] + row["usage"]
            if each.net is not None:
                each.net += row["net"]


def open_charges(
    month: Month, *, until: datetime, service: str | None = None
) -> Iterator[tuple[str, Resource, Charge]]:
    """Every resource's charge of a month that is not closed, up to a moment, with its service."""
    periods = PlanPeriod.objects.filter(voided_at=None, starts_at__lt=until).filter(
        Q(ends_at=None) | Q(ends_at__gt=month.start)
    )
    if service:
        periods = periods.filter(resource__service=service)
    numbers = list(periods.order_by("resource_id").values_list("resource_id", flat=True).distinct())
    for some in chunks(numbers):
        charges = month_charges(some, month=month, until=until)
        resources = Resource.objects.in_bulk(list(charges))
        for number, charge in charges.items():
            yield resources[number].service, resources[number], charge


# --- one after the other ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ResourceMonth:
    """What one resource brings in one month: its statement, or the estimate of a month that is open."""

    resource: Resource
    fee_cents: int
    usage_cents: int
    net_cents: int | None
    statement: Statement | None = None

    @property
    def gross_cents(self) -> int:
        """What the customer pays."""
        return self.fee_cents + self.usage_cents


PAGE = 50


def resource_months(
    month: Month, *, service: str, after: int = 0, query: str = ""
) -> tuple[Sequence[ResourceMonth], int | None]:
    """A page of a service's resources in a month, in the order they came, and after which number the next one begins.

    `query` finds a resource by its uuid, name or app.
    """
    wanted = Resource.objects.filter(service=service, pk__gt=after)
    if query:
        match = Q(name__icontains=query) | Q(app_name__icontains=query)
        if is_uuid(query):
            match |= Q(uuid=query)
        wanted = wanted.filter(match)
    if month in closed_months():
        statements = (
            Statement.objects.filter(month=month.first_day, service=service, resource__in=wanted)
            .select_related("resource")
            .order_by("resource_id")
        )
        rows = [
            ResourceMonth(each.resource, each.fee_cents, each.usage_cents, each.net_cents, each)
            for each in statements[: PAGE + 1]
        ]
    else:
        until, share = min(month.end, timezone.now()), share_of(service, month)
        periods = PlanPeriod.objects.filter(voided_at=None, starts_at__lt=until, resource__in=wanted).filter(
            Q(ends_at=None) | Q(ends_at__gt=month.start)
        )
        numbers = periods.order_by("resource_id").values_list("resource_id", flat=True).distinct()[: PAGE + 1]
        charges = month_charges(list(numbers), month=month, until=until)
        resources = Resource.objects.in_bulk(list(charges))
        rows = [
            ResourceMonth(
                resources[number],
                charge.fee_cents,
                charge.usage_cents,
                None if share is None else net_of(charge.cents, share),
            )
            for number, charge in sorted(charges.items())
        ]
    more = rows[PAGE - 1].resource.pk if len(rows) > PAGE else None
    return rows[:PAGE], more


def is_uuid(text: str) -> bool:
    """Whether a text is a uuid as people copy it."""
    plain = text.replace("-", "")
    return len(plain) == 32 and all(letter in "0123456789abcdefABCDEF" for letter in plain)


def known_months() -> list[Month]:
    """Every month with something in it, the newest first: from the first plan period until now."""
    first = PlanPeriod.objects.order_by("starts_at").values_list("starts_at", flat=True).first()
    last = Month.of(timezone.now())
    months = [last]
    oldest = min(Month.of(first), first_open_month()) if first else last
    while months[-1] > oldest and len(months) < 240:
        months.append(months[-1].previous)
    return months
