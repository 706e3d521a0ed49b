"""Closing a month: its statements are written once and frozen; what turns out later is booked in an open month."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal

import structlog
from django.db import connection, transaction
from django.db.models import Max, Min, Q, Sum
from django.utils import timezone

from billing import feeds
from billing.charges import Charge, month_charges
from billing.config import billing_environment
from billing.models import Correction, MonthClose, Statement, StatementLine
from billing.months import Month
from billing.shares import net_of, share_of
from provisioning import audit
from provisioning.models import PlanPeriod, Resource
from provisioning.services import Refusal, all_services

log = structlog.get_logger(__name__)

CORRECTED_MONTHS = 6
"""Closed months that are counted again every night; never further back than usage records are kept."""

CHUNK = 500
MONTHS_LOCK = 7_301_103
"""Advisory lock: who closes a month or books in one is alone."""

STATEMENT_MILLISECONDS = 600_000
BARRIER_MILLISECONDS = 30_000


# --- which months -------------------------------------------------------------------------------------------
def closed_months() -> set[Month]:
    """The months whose statements are frozen."""
    rows = MonthClose.objects.filter(closed_at__isnull=False).values_list("month", flat=True)
    return {Month.of(day) for day in rows}


def first_open_month() -> Month:
    """The month after the last closed one; before any was closed, the first one with a plan period."""
    last = MonthClose.objects.filter(closed_at__isnull=False).aggregate(last=Max("month"))["last"]
    if last:
        return Month.of(last).next
    first = PlanPeriod.objects.aggregate(first=Min("starts_at"))["first"]
    return Month.of(first or timezone.now())


def request_close(month: Month, *, actor: str) -> MonthClose:
    """Ask for a month to be closed; a worker does it. Asked again, nothing changes. Refusal says why it cannot be."""
    with transaction.atomic():
        _alone()
        found = MonthClose.objects.filter(month=month.first_day).first()
        if found:
            return found
        if problem := close_problem(month):
            raise Refusal(problem, code="month_cannot_close")
        row = MonthClose.objects.create(month=month.first_day, requested_by=actor)
        audit.record("billing.close_requested", actor=actor, month=str(month))
    return row


def close_problem(month: Month) -> str:
    """Why a month cannot be closed now, as a sentence; empty when it can."""
    grace = timedelta(hours=billing_environment().close_grace_hours)
    if timezone.now() < month.end + grace:
        return f"{month.label} can be closed from {month.end + grace:%-d %B, %H:%M} UTC on."
    first = first_open_month()
    if month > first:
        return f"Close {first.label} first: months are closed in their order."
    missing = [service.name for service in all_services().values() if share_of(service.slug, month) is None]
    if missing:
        return f"Set our share for {', '.join(missing)} first: without it there is no net amount."
    return ""


# --- closing ------------------------------------------------------------------------------------------------
def close_requested() -> list[Month]:
    """Close the months that were asked for, in their order; returns those that were closed now."""
    closed = []
    for row in MonthClose.objects.filter(closed_at=None).order_by("month"):
        month = Month.of(row.month)
        try:
            if close_month(month):
                closed.append(month)
        except Exception as error:
            log.exception("billing.close_failed", month=str(month), alarm=True)
            MonthClose.objects.filter(pk=row.pk).update(last_error=f"{type(error).__name__}: {error}"[:500])
            break
    return closed


def close_month(month: Month) -> bool:
    """Write every statement of a month that was asked to be closed, in one transaction; False when it is closed.

    A plan change that began before the month's end may still be on its way to its commit: plan periods are written
    under their table's lock, so waiting for that lets everything in that has been written. What has not even been
    written by then is found by `find_corrections` and booked in the next month.
    """
    _wait_for_writers()
    feeds.collect_usage()
    with transaction.atomic():
        _alone()
        row = MonthClose.objects.select_for_update().get(month=month.first_day)
        if row.closed_at:
            return False
        book_found_corrections()
        shares = _shares(month)
        written = 0
        for charges in _charged(month):
            written += _write_statements(month, charges, shares)
        row.closed_at, row.statements, row.last_error = timezone.now(), written, ""
        row.save(update_fields=["closed_at", "statements", "last_error"])
        audit.record("billing.month_closed", actor=row.requested_by, month=str(month), statements=written)
    log.info("billing.month_closed", month=str(month), statements=written)
    return True


def _wait_for_writers() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {BARRIER_MILLISECONDS}")
        cursor.execute(f"SET LOCAL statement_timeout = {BARRIER_MILLISECONDS}")
        cursor.execute(f"LOCK TABLE {PlanPeriod._meta.db_table} IN SHARE MODE")


def _alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
        cursor.execute(f"SET LOCAL lock_timeout = {STATEMENT_MILLISECONDS}")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MONTHS_LOCK])


def _shares(month: Month) -> dict[str, Decimal]:
    """Our share by service; whole where none was set: a service that came after the close was asked for."""
    return {slug: share_of(slug, month) or Decimal(100) for slug in all_services()}


def _charged(month: Month) -> Iterator[dict[int, Charge]]:
    """Every charge of a month, some resources at a time."""
    resources = (
        PlanPeriod.objects.filter(voided_at=None, starts_at__lt=month.end)
        .filter(Q(ends_at=None) | Q(ends_at__gt=month.start))
        .order_by("resource_id")
        .values_list("resource_id", flat=True)
        .distinct()
    )
    for some in chunks(list(resources)):
        yield month_charges(some, month=month, until=month.end)


def chunks(numbers: list[int]) -> Iterator[list[int]]:
    """The numbers, so many at a time as one query is asked about."""
    for start in range(0, len(numbers), CHUNK):
        yield numbers[start : start + CHUNK]


def _write_statements(month: Month, charges: dict[int, Charge], shares: dict[str, Decimal]) -> int:
    services = services_of(charges)
    statements = Statement.objects.bulk_create(
        Statement(
            resource_id=resource_id,
            month=month.first_day,
            service=services[resource_id],
            fee_cents=charge.fee_cents,
            fee_exact=str(charge.exact_cents),
            usage_cents=charge.usage_cents,
            usage_exact=str(charge.exact_usage_cents),
            share_percent=shares.get(services[resource_id], Decimal(100)),
            net_cents=net_of(charge.cents, shares.get(services[resource_id], Decimal(100))),
        )
        for resource_id, charge in charges.items()
    )
    StatementLine.objects.bulk_create(
        StatementLine(
            statement=statement,
            position=position,
            plan=line.plan,
            price_cents=line.price_cents,
            starts_at=line.starts_at,
            ends_at=line.ends_at,
            unit=line.unit,
            quantity=line.quantity,
            per=line.per,
            exact=str(line.exact_cents),
            cents=line.cents,
        )
        for statement, charge in zip(statements, charges.values(), strict=True)
        for position, line in enumerate((*charge.lines, *charge.usage))
    )
    return len(statements)


def services_of(resource_ids: Iterable[int]) -> dict[int, str]:
    """Each resource's service."""
    return dict(Resource.objects.filter(pk__in=list(resource_ids)).values_list("pk", "service"))


# --- corrections --------------------------------------------------------------------------------------------
def find_corrections() -> int:
    """Count the closed months again and book what differs in the first open month; returns how many entries."""
    with transaction.atomic():
        _alone()
        return book_found_corrections()


def book_found_corrections() -> int:
    """`find_corrections` for a caller that is alone."""
    booked = first_open_month()
    reach = min(CORRECTED_MONTHS, billing_environment().usage_retention_months - 1)
    months = [month for month in sorted(closed_months()) if month >= booked.plus(-reach)]
    found = [correction for month in months for correction in _corrections(month, booked)]
    Correction.objects.bulk_create(found, batch_size=CHUNK)
    if found:
        log.warning("billing.corrections_booked", number=len(found), month=str(booked))
    return len(found)


def _corrections(month: Month, booked: Month) -> Iterator[Correction]:
    statements = {row.resource_id: row for row in Statement.objects.filter(month=month.first_day)}
    told = {resource_id: (row.fee_cents, row.usage_cents) for resource_id, row in statements.items()}
    sums = (
        Correction.objects.filter(concerns=month.first_day, kind=Correction.Kind.FOUND)
        .values_list("resource_id")
        .annotate(fees=Sum("fee_cents"), usage=Sum("usage_cents"))
    )
    for resource_id, fees, usage in sums:
        fee_told, usage_told = told.get(resource_id, (0, 0))
        told[resource_id] = (fee_told + fees, usage_told + usage)
    counted: dict[int, tuple[int, int]] = {}
    for charges in _charged(month):
        counted.update({key: (each.fee_cents, each.usage_cents) for key, each in charges.items()})
    wrong = [key for key in told.keys() | counted.keys() if told.get(key, (0, 0)) != counted.get(key, (0, 0))]
    services, shares = services_of(wrong), _shares(month)
    for key in sorted(wrong):
        (fee_told, usage_told), (fee, usage) = told.get(key, (0, 0)), counted.get(key, (0, 0))
        statement = statements.get(key)
        share = statement.share_percent if statement else shares.get(services[key], Decimal(100))
        what = [
            f"{name} {before / 100:,.2f} → {after / 100:,.2f} dollars"
            for name, before, after in (("plan fees", fee_told, fee), ("metered use", usage_told, usage))
            if before != after
        ]
        yield Correction(
            resource_id=key,
            service=services[key],
            month=booked.first_day,
            concerns=month.first_day,
            statement=statement,
            kind=Correction.Kind.FOUND,
            fee_cents=fee - fee_told,
            usage_cents=usage - usage_told,
            net_cents=net_of(fee + usage, share) - net_of(fee_told + usage_told, share),
            reason=f"Counted again after {month.label} was closed: {'; '.join(what)}.",
            made_by=audit.SYSTEM,
        )


def book_correction(
    resource: Resource, *, concerns: Month, cents: int, reason: str, actor: str
) -> Correction:
    """Book an operator's correction of a closed month in the first open one. Refusal when that month is open."""
    if not cents:
        raise Refusal("A correction changes the amount: give cents above or below nothing.", code="nothing")
    if not reason.strip():
        raise Refusal("Say why: the reason stays with the entry.", code="reason_needed")
    with transaction.atomic():
        _alone()
        if concerns not in closed_months():
            raise Refusal(
                f"{concerns.label} is not closed: nothing of it is frozen that would need a correction.",
                code="month_open",
            )
        statement = Statement.objects.filter(resource=resource, month=concerns.first_day).first()
        share = statement.share_percent if statement else share_of(resource.service, concerns) or Decimal(100)
        row = Correction.objects.create(
            resource=resource,
            service=resource.service,
            month=first_open_month().first_day,
            concerns=concerns.first_day,
            statement=statement,
            kind=Correction.Kind.OPERATOR,
            fee_cents=cents,
            net_cents=net_of(cents, share),
            reason=reason.strip(),
            made_by=actor,
        )
        audit.record(
            "billing.correction_booked", resource=resource, actor=actor, concerns=str(concerns), cents=cents
        )
    return row
