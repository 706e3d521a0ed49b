"""The recount: totals worked out again from the ledger's records, to compare with or to put in place."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.utils import timezone

from billing.ledger import LEDGER_LOCK, RECORDS, TOTALS
from billing.models import TotalPeriod
from billing.months import Month
from billing.partitions import present_months

log = structlog.get_logger(__name__)

STATEMENT_MILLISECONDS = 900_000
HOURS_KEPT = timedelta(days=400)
"""A year that can be compared with the one before it. Totals per day stay."""

_COUNTED = """
    SELECT resource_id, date_trunc('{period}', at, 'UTC') AS start, unit,
           sum(quantity)::bigint AS quantity, count(*) AS records
      FROM {records} WHERE at >= %(begin)s::timestamptz AND at < %(end)s::timestamptz GROUP BY 1, 2, 3
"""
_STORED = "period = '{period}' AND start >= %(begin)s::timestamptz AND start < %(end)s::timestamptz"


@dataclass(frozen=True)
class Difference:
    """A stored total that is not what its records amount to; a side that is missing counts as 0."""

    resource_id: int
    period: TotalPeriod
    start: datetime
    unit: str
    stored: int
    counted: int


def differences(*, begin: datetime, end: datetime) -> list[Difference]:
    """The totals between two midnights that differ from the records; at most 1000 of each period.

    One statement sees one moment of both sides, and records are committed with their totals: what differs is wrong.
    """
    found = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
        for period in TotalPeriod:
            cursor.execute(
                f"""
                WITH counted AS ({_COUNTED.format(period=period, records=RECORDS)}),
                     stored AS (SELECT resource_id, start, unit, quantity, records FROM {TOTALS}
                                 WHERE {_STORED.format(period=period)})
                SELECT resource_id, start, unit, coalesce(s.quantity, 0), coalesce(c.quantity, 0)
                  FROM stored AS s FULL JOIN counted AS c USING (resource_id, start, unit)
                 WHERE (s.quantity, s.records) IS DISTINCT FROM (c.quantity, c.records)
                 ORDER BY start, resource_id LIMIT 1000
                """,  # noqa: S608 - every inserted word is ours
                {"begin": begin, "end": end},
            )
            found += [
                Difference(resource_id, period, start, unit, stored, counted)
                for resource_id, start, unit, stored, counted in cursor.fetchall()
            ]
    return found


def replace_totals(*, begin: datetime, end: datetime) -> None:
    """Put what the records amount to in the place of the totals between two midnights. Writers wait meanwhile."""
    values = {"begin": begin, "end": end}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LEDGER_LOCK])
        for period in TotalPeriod:
            cursor.execute(f"DELETE FROM {TOTALS} WHERE {_STORED.format(period=period)}", values)  # noqa: S608
            cursor.execute(
                f"""
                INSERT INTO {TOTALS} (period, resource_id, start, unit, quantity, records)
                SELECT '{period}', found.* FROM ({_COUNTED.format(period=period, records=RECORDS)}) AS found
                """,  # noqa: S608 - every inserted word is ours
                values,
            )


def check_totals(*, days: int, fix: bool) -> list[Difference]:
    """The totals of the last `days` days, today among them, that differ from the records; with `fix` put right.

    Days whose partition is dropped are left out: there is nothing to count.
    """
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    end = today + timedelta(days=1)
    begin = end - timedelta(days=days)
    months = [month for month in present_months() if month >= Month.of(begin)]
    if not months:
        return []
    found = differences(begin=max(begin, months[0].start), end=end)
    if found:
        log.error("billing.usage.totals_differ", alarm=True, number=len(found), fixed=fix)
    if fix:
        for day in sorted({each.start.replace(hour=0) for each in found}):
            replace_totals(begin=day, end=day + timedelta(days=1))
    return found


def purge_hours() -> int:
    """Delete totals per hour that are older than what is kept; returns how many."""
    until = timezone.now() - HOURS_KEPT
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {TOTALS} WHERE period = 'hour' AND start < %s::timestamptz",  # noqa: S608
            [until],
        )
        return int(cursor.rowcount)
