"""What a resource costs: exact fractions of a cent from its plan periods, rounded once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from django.db.models import Q
from django.utils import timezone

from provisioning.models import PlanPeriod, Resource


@dataclass(frozen=True)
class ChargeLine:
    """One plan period's share of a month: from `starts_at` (inclusive) to `ends_at` (exclusive)."""

    plan: str
    price_cents: int
    starts_at: datetime
    ends_at: datetime
    exact_cents: Fraction


@dataclass(frozen=True)
class Charge:
    """The plan fees of one resource in one month up to a moment. Usage is not in it."""

    lines: tuple[ChargeLine, ...]

    @property
    def exact_cents(self) -> Fraction:
        """The sum, not rounded."""
        return sum((line.exact_cents for line in self.lines), Fraction(0))

    @property
    def cents(self) -> int:
        """The sum, rounded once, half to even."""
        return round(self.exact_cents)


def month_bounds(year: int, month: int) -> tuple[datetime, datetime]:
    """The first moment of a month (UTC) and the first one after it."""
    start = datetime(year, month, 1, tzinfo=UTC)
    return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def month_charge(resource: Resource, *, year: int, month: int, until: datetime) -> Charge:
    """The plan fees of `resource` in a month, for the time before `until`.

    Each period pays its own price times its share of the month's seconds, counted in whole seconds from the
    month's start, so that neighbouring periods neither overlap nor leave a gap. Periods are half-open; voided
    ones cost nothing.
    """
    start, end = month_bounds(year, month)
    until = min(max(until, start), end)
    length = _seconds(start, end)
    rows = (
        PlanPeriod.objects.filter(resource=resource, voided_at=None, starts_at__lt=until)
        .filter(Q(ends_at=None) | Q(ends_at__gt=start))
        .select_related("plan")
        .order_by("starts_at", "pk")
    )
    lines = []
    for row in rows:
        begins, ends = max(row.starts_at, start), min(row.ends_at or until, until)
        used = _seconds(start, ends) - _seconds(start, begins)
        lines.append(
            ChargeLine(row.plan.name, row.price_cents, begins, ends, Fraction(row.price_cents * used, length))
        )
    return Charge(tuple(lines))


def month_so_far(resource: Resource) -> Charge:
    """The plan fees of the present month up to now."""
    now = timezone.now()
    return month_charge(resource, year=now.year, month=now.month, until=now)


def _seconds(start: datetime, at: datetime) -> int:
    """Whole seconds between the two."""
    between = at - start
    return between.days * 86_400 + between.seconds
