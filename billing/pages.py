"""What a customer sees of money: the present month as an estimate, the months before, and the use of each day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from django.utils import timezone

from billing.charges import Charge, ChargeLine, month_charges
from billing.closing import closed_months
from billing.letters import details, headline
from billing.models import Budget, Correction, LimitNotice, Statement, TotalPeriod, UsageTotal
from billing.months import Month
from provisioning.models import PlanPeriod, Resource
from provisioning.services import Page, UsageUnit, service_of

BILLING = Page("Billing", "receipt", "billing:overview")
HISTORY_MONTHS = 24
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Line:
    """One line of a month's account, for people."""

    what: str
    detail: str
    cents: int


@dataclass(frozen=True)
class MonthAccount:
    """What a month costs. One that is not final is an estimate up to now, or of a month that nobody closed yet."""

    month: Month
    lines: tuple[Line, ...]
    fee_cents: int
    usage_cents: int
    final: bool
    expected_fee_cents: int | None = None
    corrections: tuple[Line, ...] = ()

    @property
    def cents(self) -> int:
        """All of it."""
        return self.fee_cents + self.usage_cents


@dataclass(frozen=True)
class UnitUse:
    """What was used of one unit in a month: the sum, and each day's quantity."""

    unit: UsageUnit
    total: int
    days: tuple[int, ...]


@dataclass(frozen=True)
class MonthUse:
    """A month's use by unit, day by day; days that have not come are not in it."""

    month: Month
    days: tuple[datetime, ...]
    units: tuple[UnitUse, ...]

    @property
    def used(self) -> tuple[UnitUse, ...]:
        """The units that anything was used of."""
        return tuple(each for each in self.units if each.total)

    @property
    def charts(self) -> list[dict[str, Any]]:
        """One chart for each kind of unit, as JSON: times in seconds, a series for each unit."""
        kinds = list(dict.fromkeys(each.unit.unit for each in self.used))
        return [
            {
                "unit": kind,
                "step": 86_400,
                "at": [int(day.timestamp()) for day in self.days],
                "series": [
                    {"label": each.unit.label, "values": list(each.days)}
                    for each in self.used
                    if each.unit.unit == kind
                ],
            }
            for kind in kinds
        ]

    @property
    def rows(self) -> list[tuple[datetime, list[int]]]:
        """Each day with its quantities, the newest first; days without use are left out."""
        found = [(day, [each.days[number] for each in self.used]) for number, day in enumerate(self.days)]
        return [row for row in reversed(found) if any(row[1])]


def billing_context(resource: Resource, month: Month | None) -> dict[str, Any]:
    """Values for the customer's page; `month` is whose use is shown, the present one when it is none of theirs."""
    now = timezone.now()
    present = Month.of(now)
    months = months_of(resource, now=now)
    chosen = month if month in months else present
    accounts = accounts_of(resource, months[:HISTORY_MONTHS], now=now)
    budget = Budget.objects.filter(resource=resource).first()
    notices = LimitNotice.objects.filter(resource=resource, month=present.first_day, silent=False)
    return {
        "present": accounts[0],
        "history": accounts[1:],
        "months": months[:HISTORY_MONTHS],
        "chosen": chosen,
        "use": month_use(resource, chosen, now=now),
        "budget": budget,
        "budget_percent": min(100, accounts[0].cents * 100 // budget.cents) if budget else None,
        "limit_notices": [(row, headline(row), details(row)) for row in notices],
        "counts_use": bool(service_of(resource).usage_units),
    }


def months_of(resource: Resource, *, now: datetime) -> list[Month]:
    """The months a resource has been there, the newest first."""
    first = PlanPeriod.objects.filter(resource=resource).order_by("starts_at").first()
    months = [Month.of(now)]
    while first and months[-1] > Month.of(first.starts_at):
        months.append(months[-1].previous)
    return months


def account(resource: Resource, month: Month, *, now: datetime) -> MonthAccount:
    """What one month costs: the frozen statement, or an estimate."""
    return accounts_of(resource, [month], now=now)[0]


def accounts_of(resource: Resource, months: Sequence[Month], *, now: datetime) -> list[MonthAccount]:
    """`account` of several months, in few queries for those that are closed."""
    statements = {
        Month.of(row.month): row
        for row in Statement.objects.filter(
            resource=resource, month__in=[month.first_day for month in months]
        ).prefetch_related("lines", "corrections")
    }
    closed = closed_months()
    return [
        _frozen(statements[month]) if month in statements else _estimate(resource, month, closed, now=now)
        for month in months
    ]


def _frozen(statement: Statement) -> MonthAccount:
    month = Month.of(statement.month)
    lines = tuple(
        statement_line(
            ChargeLine(
                plan=row.plan,
                price_cents=row.price_cents,
                starts_at=row.starts_at,
                ends_at=row.ends_at,
                exact_cents=Fraction(row.exact),
                cents=row.cents,
                unit=row.unit,
                quantity=row.quantity,
                per=row.per,
            ),
            month,
        )
        for row in statement.lines.all()
    )
    corrections = tuple(
        Line(
            f"Correction, booked in {Month.of(row.month).label}",
            row.reason if row.kind == Correction.Kind.OPERATOR else "",
            row.gross_cents,
        )
        for row in statement.corrections.all()
    )
    return MonthAccount(
        month, lines, statement.fee_cents, statement.usage_cents, final=True, corrections=corrections
    )


def _estimate(resource: Resource, month: Month, closed: set[Month], *, now: datetime) -> MonthAccount:
    charge = month_charges([resource.pk], month=month, until=now).get(resource.pk, Charge())
    expected = None
    if month.end > now:
        whole = month_charges([resource.pk], month=month, until=month.end)
        expected = whole.get(resource.pk, Charge()).fee_cents
    return MonthAccount(
        month,
        # A plan that is paid by use has no fee to tell of.
        tuple(
            statement_line(line, month)
            for line in (*charge.lines, *charge.usage)
            if line.price_cents or not line.metered
        ),
        charge.fee_cents,
        charge.usage_cents,
        final=month in closed,
        expected_fee_cents=expected,
    )


def statement_line(line: ChargeLine, month: Month) -> Line:
    """A line in words."""
    if line.unit:
        of = {1: "", 1_000: "thousand ", 1_000_000: "million ", 1_000_000_000: "billion "}.get(line.per, "")
        unit = line.unit.replace("_", " ")
        price = f"${line.price_cents / 100:,.2f} per {of}{unit}"
        return Line(f"{line.plan}: {line.quantity:,} {unit}", price, line.cents)
    whole = line.starts_at == month.start and line.ends_at == month.end
    when = "the whole month" if whole else f"{moment_text(line.starts_at)} to {moment_text(line.ends_at)}"
    return Line(line.plan, f"${line.price_cents / 100:,.2f} a month, {when}", line.cents)


def moment_text(at: datetime) -> str:
    """`3 Mar 14:05:09 UTC`."""
    return f"{at.astimezone(UTC):%-d %b %H:%M:%S} UTC"


def month_use(resource: Resource, month: Month, *, now: datetime) -> MonthUse:
    """What a resource used in a month, from the totals of the days."""
    units = service_of(resource).usage_units
    days = []
    day = month.start
    while day < min(month.end, now):
        days.append(day)
        day += _DAY
    by_day: dict[tuple[str, datetime], int] = {}
    rows = UsageTotal.objects.filter(
        resource=resource, period=TotalPeriod.DAY, start__gte=month.start, start__lt=month.end
    ).order_by()
    for unit, start, quantity in rows.values_list("unit", "start", "quantity"):
        by_day[unit, start] = quantity
    found = []
    for counted in units:
        quantities = tuple(by_day.get((counted.name, each), 0) for each in days)
        found.append(UnitUse(counted, sum(quantities), quantities))
    return MonthUse(month, tuple(days), tuple(found))


def usage_rows(resource: Resource, month: Month) -> list[Sequence[object]]:
    """A month's use by hour, or by day where hours are not kept any more: the rows of the customer's CSV."""
    rows = UsageTotal.objects.filter(resource=resource, start__gte=month.start, start__lt=month.end)
    period = TotalPeriod.HOUR if rows.filter(period=TotalPeriod.HOUR).exists() else TotalPeriod.DAY
    return [
        (f"{start:%Y-%m-%dT%H:%M:%SZ}", period.value, unit, quantity)
        for start, unit, quantity in rows.filter(period=period)
        .order_by("start", "unit")
        .values_list("start", "unit", "quantity")
    ]
