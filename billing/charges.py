"""What a resource costs: exact fractions of a cent from its plan periods and its metered use, rounded once.

Pure arithmetic: `charge` knows nothing of the database. How a month is counted:

- A plan period pays its own price times its share of the month's seconds. Seconds are whole ones counted from the
  month's start, so that neighbouring periods neither overlap nor leave a gap; a voided period costs nothing.
- The exact sum of a month's plan fees is rounded once, half to even, and never above the highest price among them.
- Each line shows what it adds to the rounded sum of the lines up to it, so that the lines of a statement add up to it,
  and the periods of a plan that was on for the whole month add up to its price.
- Metered use pays its quantity times the price that the plan had when the period began. Its sum is rounded once, too,
  and has no cap.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction

from django.db.models import Q
from django.utils import timezone

from billing.ledger import used_between
from billing.months import Month
from provisioning.models import PlanPeriod, Resource

_MULTIPLES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}


@dataclass(frozen=True)
class Period:
    """A plan period as far as money goes. `metered` holds cents by unit, such as `million_input_tokens`."""

    plan: str
    price_cents: int
    starts_at: datetime
    ends_at: datetime | None
    metered: Mapping[str, int] = field(default_factory=dict)
    voided: bool = False


@dataclass(frozen=True)
class ChargeLine:
    """One plan period's share of a month: from `starts_at` (inclusive) to `ends_at` (exclusive).

    A line of metered use has its `unit` and `quantity`, and the price of `per` of them.
    """

    plan: str
    price_cents: int
    starts_at: datetime
    ends_at: datetime
    exact_cents: Fraction
    cents: int = 0
    unit: str = ""
    quantity: int = 0
    per: int = 1
    metered: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Charge:
    """What one resource costs in one month up to a moment: plan fees (`lines`) and metered use (`usage`)."""

    lines: tuple[ChargeLine, ...] = ()
    usage: tuple[ChargeLine, ...] = ()

    @property
    def exact_cents(self) -> Fraction:
        """The plan fees, not rounded."""
        return sum((line.exact_cents for line in self.lines), Fraction(0))

    @property
    def exact_usage_cents(self) -> Fraction:
        """The metered use, not rounded."""
        return sum((line.exact_cents for line in self.usage), Fraction(0))

    @property
    def fee_cents(self) -> int:
        """The plan fees: rounded once, half to even, and capped at the highest price among them."""
        highest = max((line.price_cents for line in self.lines), default=0)
        return min(round(self.exact_cents), highest)

    @property
    def usage_cents(self) -> int:
        """The metered use, rounded once, half to even."""
        return round(self.exact_usage_cents)

    @property
    def cents(self) -> int:
        """All of it."""
        return self.fee_cents + self.usage_cents


def charge(periods: Iterable[Period], *, start: datetime, end: datetime, until: datetime) -> Charge:
    """The plan fees of a month from `start` to `end`, for the time before `until`. `periods` are in their order."""
    until = min(max(until, start), end)
    length = _seconds(start, end)
    lines = []
    for row in periods:
        begins, ends = max(row.starts_at, start), min(row.ends_at or until, until)
        if row.voided or row.starts_at >= until or ends < begins or (row.ends_at and row.ends_at <= start):
            continue
        used = _seconds(start, ends) - _seconds(start, begins)
        exact = Fraction(row.price_cents * used, length)
        lines.append(ChargeLine(row.plan, row.price_cents, begins, ends, exact, metered=row.metered))
    return Charge(tuple(_allotted(lines)))


def metered_lines(line: ChargeLine, used: Mapping[str, int]) -> list[ChargeLine]:
    """What the use of one plan period costs, by unit: a line for each that has a price and was used."""
    found = []
    for name, cents in sorted(line.metered.items()):
        unit, per = metered_unit(name)
        if quantity := used.get(unit, 0):
            exact = Fraction(quantity * cents, per)
            found.append(
                replace(line, price_cents=cents, exact_cents=exact, unit=unit, quantity=quantity, per=per)
            )
    return found


def metered_unit(name: str) -> tuple[str, int]:
    """The ledger's unit, and of how many of it a plan tells the price: `million_input_tokens` is a million of them."""
    word, _, unit = name.partition("_")
    return (unit, _MULTIPLES[word]) if word in _MULTIPLES else (name, 1)


def _allotted(lines: Iterable[ChargeLine]) -> Iterator[ChargeLine]:
    exact, told = Fraction(0), 0
    for line in lines:
        exact += line.exact_cents
        yield replace(line, cents=round(exact) - told)
        told = round(exact)


def _seconds(start: datetime, at: datetime) -> int:
    """Whole seconds between the two."""
    between = at - start
    return between.days * 86_400 + between.seconds


# --- of resources in Postgres -------------------------------------------------------------------------------
def month_charges(resource_ids: Sequence[int], *, month: Month, until: datetime) -> dict[int, Charge]:
    """What resources cost in a month before `until`, by resource; those without a period in it are left out."""
    found: dict[int, list[Period]] = {}
    rows = (
        PlanPeriod.objects.filter(resource_id__in=resource_ids, voided_at=None, starts_at__lt=month.end)
        .filter(Q(ends_at=None) | Q(ends_at__gt=month.start))
        .order_by("resource_id", "starts_at", "pk")
        .values_list("resource_id", "plan__name", "price_cents", "starts_at", "ends_at", "metered")
    )
    for resource_id, plan, price_cents, starts_at, ends_at, metered in rows:
        period = Period(plan, price_cents, starts_at, ends_at, metered)
        found.setdefault(resource_id, []).append(period)
    charges = {
        resource_id: charge(periods, start=month.start, end=month.end, until=until)
        for resource_id, periods in found.items()
    }
    charges = {resource_id: each for resource_id, each in charges.items() if each.lines}
    for resource_id, lines in _usage_lines(charges).items():
        charges[resource_id] = replace(charges[resource_id], usage=lines)
    return charges


def month_charge(resource: Resource, *, year: int, month: int, until: datetime) -> Charge:
    """What one resource costs in a month, for the time before `until`."""
    return month_charges([resource.pk], month=Month(year, month), until=until).get(resource.pk, Charge())


def month_so_far(resource: Resource) -> Charge:
    """What one resource costs in the present month up to now. Use that the ledger has not read yet is not in it."""
    now = timezone.now()
    return month_charge(resource, year=now.year, month=now.month, until=now)


def _usage_lines(charges: Mapping[int, Charge]) -> dict[int, tuple[ChargeLine, ...]]:
    """What the metered use of the charged periods costs. Periods with the same bounds, most of them, share a query."""
    asked: dict[tuple[datetime, datetime], list[tuple[int, ChargeLine]]] = {}
    for resource_id, found in charges.items():
        for line in found.lines:
            if line.metered:
                asked.setdefault((line.starts_at, line.ends_at), []).append((resource_id, line))
    priced: dict[int, list[ChargeLine]] = {}
    for (begin, end), lines in asked.items():
        used: dict[int, dict[str, int]] = {}
        for (resource_id, unit), quantity in used_between(
            [resource_id for resource_id, _ in lines], begin=begin, end=end
        ).items():
            used.setdefault(resource_id, {})[unit] = quantity
        for resource_id, line in lines:
            priced.setdefault(resource_id, []).extend(metered_lines(line, used.get(resource_id, {})))
    return {
        resource_id: tuple(_allotted(sorted(lines, key=lambda line: (line.starts_at, line.unit))))
        for resource_id, lines in priced.items()
    }
