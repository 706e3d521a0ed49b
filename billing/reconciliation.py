"""Our statements beside Heroku's payouts, by resource and month: what matches, what differs, what one side lacks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from django.db import connection, transaction

from billing.closing import closed_months
from billing.models import Correction, PayoutRow, Resolution, Statement
from billing.months import Month
from provisioning import audit
from provisioning.models import Resource
from provisioning.services import Refusal


class Kind(StrEnum):
    """How the two sides stand to each other."""

    MATCHED = "matched"
    DIFFERS = "differs"
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"

    @property
    def label(self) -> str:
        """In words."""
        return {
            Kind.MATCHED: "Matched",
            Kind.DIFFERS: "Differs",
            Kind.MISSING_HERE: "Missing here",
            Kind.MISSING_THERE: "Missing there",
        }[self]

    @property
    def help_text(self) -> str:
        """What it means."""
        return {
            Kind.MATCHED: "Heroku paid what we expected.",
            Kind.DIFFERS: "Heroku paid another amount than we expected.",
            Kind.MISSING_HERE: "Heroku paid for a resource that we have no statement of.",
            Kind.MISSING_THERE: "We expected money for a resource that Heroku paid nothing for.",
        }[self]


# What is due is our share of the month's statement and of the corrections booked in it. Nothing due and nothing paid is
# no item.
_ITEMS = """
    WITH due AS (
        SELECT resource_id, sum(cents)::bigint AS cents FROM (
            SELECT resource_id, net_cents AS cents FROM billing_statement
             WHERE month = %(month)s::date AND service = %(service)s::text
            UNION ALL
            SELECT resource_id, net_cents FROM billing_correction
             WHERE month = %(month)s::date AND service = %(service)s::text
        ) AS either GROUP BY resource_id
    ), paid AS (
        SELECT resource_id, CASE WHEN resource_id IS NULL THEN reference END AS reference, sum(cents)::bigint AS cents
          FROM billing_payoutrow WHERE month = %(month)s::date AND service = %(service)s::text GROUP BY 1, 2
    ), items AS (
        SELECT coalesce(due.resource_id, paid.resource_id) AS resource_id,
               due.cents AS expected, paid.cents AS paid,
               coalesce(r.uuid::text, paid.reference) AS reference,
               CASE WHEN due.resource_id IS NULL THEN 'missing_here'
                    WHEN paid.cents IS NULL THEN 'missing_there'
                    WHEN due.cents = paid.cents THEN 'matched' ELSE 'differs' END AS kind
          FROM due FULL JOIN paid ON paid.resource_id = due.resource_id
          LEFT JOIN provisioning_resource AS r ON r.id = coalesce(due.resource_id, paid.resource_id)
         WHERE paid.cents IS NOT NULL OR due.cents <> 0
    ), told AS (
        SELECT items.*, known.id AS resolution_id
          FROM items LEFT JOIN LATERAL (
            SELECT id FROM billing_resolution AS s
             WHERE s.month = %(month)s::date AND s.service = %(service)s::text AND s.reference = items.reference
               AND s.expected_cents IS NOT DISTINCT FROM items.expected
               AND s.paid_cents IS NOT DISTINCT FROM items.paid
             ORDER BY id DESC LIMIT 1
          ) AS known ON true
    )
"""
_SUMS = f"""{_ITEMS}
    SELECT kind, count(*), coalesce(sum(expected), 0)::bigint, coalesce(sum(paid), 0)::bigint,
           count(*) FILTER (WHERE kind <> 'matched' AND resolution_id IS NULL)
      FROM told GROUP BY kind
"""  # noqa: S608 - every inserted word is ours
_LIST = f"""{_ITEMS}
    SELECT kind, reference, resource_id, expected, paid, resolution_id FROM told
     WHERE (%(kind)s::text = '' OR kind = %(kind)s::text) AND (%(only)s::text = '' OR reference = %(only)s::text)
     ORDER BY kind = 'matched', resolution_id IS NOT NULL,
              abs(coalesce(paid, 0) - coalesce(expected, 0)) DESC, reference
     LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608 - every inserted word is ours
PAGE = 50


@dataclass(frozen=True)
class KindSum:
    """All items of a kind: how many, what was expected and paid in cents, and how many nobody has resolved."""

    kind: Kind
    items: int = 0
    expected: int = 0
    paid: int = 0
    open: int = 0

    @property
    def difference(self) -> int:
        """What was paid beyond what was expected."""
        return self.paid - self.expected


@dataclass(frozen=True)
class Report:
    """One service's payout of one month beside its statements. The differences of the kinds add up to the whole."""

    month: Month
    service: str
    is_closed: bool
    sums: tuple[KindSum, ...]
    imported: bool

    @property
    def expected(self) -> int:
        """Our share, in cents."""
        return sum(each.expected for each in self.sums)

    @property
    def paid(self) -> int:
        """What Heroku paid, in cents."""
        return sum(each.paid for each in self.sums)

    @property
    def difference(self) -> int:
        """What was paid beyond what was expected."""
        return self.paid - self.expected

    @property
    def open(self) -> int:
        """Differences that nobody has resolved."""
        return sum(each.open for each in self.sums)


@dataclass(frozen=True)
class Item:
    """One resource's two amounts in cents; None on the side that has nothing."""

    kind: Kind
    reference: str
    resource: Resource | None
    expected: int | None
    paid: int | None
    resolution: Resolution | None

    @property
    def difference(self) -> int:
        """What was paid beyond what was expected."""
        return (self.paid or 0) - (self.expected or 0)


def report(month: Month, *, service: str) -> Report:
    """How a service's payout of a month compares. While the month is open nothing is expected yet."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, {"month": month.first_day, "service": service})
        found = {
            Kind(kind): KindSum(Kind(kind), items, expected, paid, open_)
            for kind, items, expected, paid, open_ in cursor.fetchall()
        }
    imported = PayoutRow.objects.filter(month=month.first_day, service=service).exists()
    sums = tuple(found.get(kind, KindSum(kind)) for kind in Kind)
    return Report(month, service, month in closed_months(), sums, imported)


def items(
    month: Month, *, service: str, kind: str = "", only: str = "", offset: int = 0, limit: int = PAGE
) -> list[Item]:
    """The items of a report, those that need somebody first, the largest difference before the others."""
    values: dict[str, date | str | int] = {
        "month": month.first_day,
        "service": service,
        "kind": kind,
        "only": only,
        "limit": limit,
        "offset": offset,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LIST, values)
        rows = cursor.fetchall()
    resources = Resource.objects.in_bulk([row[2] for row in rows if row[2]])
    resolutions = Resolution.objects.in_bulk([row[5] for row in rows if row[5]])
    return [
        Item(Kind(kind_), reference, resources.get(number), expected, paid, resolutions.get(resolution))
        for kind_, reference, number, expected, paid, resolution in rows
    ]


def resolve(
    month: Month,
    *,
    service: str,
    reference: str,
    expected: int | None,
    paid: int | None,
    note: str,
    actor: str,
) -> Resolution:
    """Put an operator's note on a difference as it was seen. Refusal when it is none, or is not as it was seen."""
    if not note.strip():
        raise Refusal("Say what explains the difference: the note stays with it.", code="note_needed")
    found = next(iter(items(month, service=service, only=reference)), None)
    if found is None or found.kind is Kind.MATCHED:
        raise Refusal("There is no difference to resolve here any more.", code="no_difference")
    if (found.expected, found.paid) != (expected, paid):
        raise Refusal(
            "The amounts have changed since you opened this page. Look at it again.", code="amounts_changed"
        )
    with transaction.atomic():
        row = Resolution.objects.create(
            month=month.first_day,
            service=service,
            reference=reference,
            expected_cents=found.expected,
            paid_cents=found.paid,
            note=note.strip()[:2000],
            resolved_by=actor,
        )
        audit.record(
            "billing.difference_resolved",
            resource=found.resource,
            actor=actor,
            month=str(month),
            service=service,
            reference=reference,
            difference=found.difference,
        )
    return row


# --- why ----------------------------------------------------------------------------------------------------
def explain(item: Item, month: Month) -> list[str]:
    """What would explain an item, from the most to the least likely: sentences for the operator, never a verdict."""
    if item.kind is Kind.MATCHED:
        return []
    statement = (
        Statement.objects.filter(resource=item.resource, month=month.first_day).first()
        if item.resource
        else None
    )
    if item.kind is Kind.MISSING_HERE:
        return _why_missing_here(item, month)
    if item.kind is Kind.MISSING_THERE:
        return _why_missing_there(item, month)
    return _why_differs(item, month, statement)


def _why_missing_here(item: Item, month: Month) -> list[str]:
    if item.resource is None:
        text = "We know no resource of this name or uuid: it may have been removed before we saw it, or be another's."
        return [text]
    reasons = []
    periods = item.resource.plan_periods.filter(starts_at__lt=month.end)
    if any(each.voided_at for each in periods):
        reasons.append("Its provision never finished, so we count nothing; Heroku may have charged the time.")
    last = periods.order_by("-starts_at").first()
    if last and last.ends_at and last.ends_at <= month.start:
        reasons.append(f"It was removed on {last.ends_at:%-d %B %Y, %H:%M} UTC, before this month.")
    return reasons or ["It has no plan period in this month: the row may belong to another month."]


def _why_missing_there(item: Item, month: Month) -> list[str]:
    elsewhere = PayoutRow.objects.filter(resource=item.resource).exclude(month=month.first_day)
    months = sorted({Month.of(each.month) for each in elsewhere})
    reasons = []
    if item.resource:
        for each in months:
            paid = sum(row.cents for row in elsewhere if Month.of(row.month) == each)
            if paid == item.expected:
                reasons.append(f"Heroku paid this amount for {each.label}: it may be booked there.")
    return [*reasons, "The payout has no row of it: ask Heroku, or wait for the next payout."]


def _why_differs(item: Item, month: Month, statement: Statement | None) -> list[str]:
    paid, expected = item.paid or 0, item.expected or 0
    reasons = []
    corrections = list(Correction.objects.filter(resource=item.resource, month=month.first_day))
    if statement is not None:
        net = statement.net_cents
        if paid == statement.gross_cents:
            reasons.append("Heroku paid the whole amount, without keeping its part.")
        if corrections and paid == net:
            reasons.append("Heroku paid this month's statement without the corrections booked in it.")
        reasons += _by_time(statement, paid)
    rows = PayoutRow.objects.filter(resource=item.resource, month=month.first_day).count()
    if rows > 1:
        reasons.append(f"The payout has {rows} rows of it: one of them may be a repetition.")
    if abs(paid - expected) == 1:
        reasons.append("One cent: it was rounded at another point.")
    return reasons or ["No single cause fits: compare the periods of its statement with Heroku's invoice."]


def _by_time(statement: Statement, paid: int) -> Iterable[str]:
    """Amounts that follow from another length of time on one of the plans."""
    lines = [line for line in statement.lines.all() if not line.unit]
    share = Fraction(statement.share_percent) / 100
    month = Month.of(statement.month)
    length = (month.end - month.start).total_seconds()
    for price, plan in sorted({(line.price_cents, line.plan) for line in lines}):
        if not price:
            continue
        if len(lines) > 1 and paid == round(price * share):
            yield f"Heroku counted plan {plan} for the whole month: it does not know of the plan change."
            return
        seconds = Fraction(paid) / (price * share) * Fraction(length)
        if len(lines) == 1 and 0 < seconds <= length:
            ours = (lines[0].ends_at - lines[0].starts_at).total_seconds()
            yield (
                f"The amount is that of {_in_days(float(seconds))} on {plan}; "
                f"our statement counts {_in_days(ours)}."
            )


def _in_days(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:.1f} days" if days >= 1 else f"{seconds / 3600:.1f} hours"
