"""What keeps the usage tables right and small: every night the totals are recounted, and what is old is deleted."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import structlog
from django.db import connection, transaction
from django.utils import timezone

from addon.inference.config import usage_retention
from addon.inference.models import Period, RequestFailure, UsageEvent, UsageTotal
from addon.inference.recount import Difference, differences, replace_totals
from addon.inference.rollup import lock_mark, minutes_begin, roll_up

log = structlog.get_logger(__name__)

HOURS_KEPT = timedelta(days=400)
"""A year that can be compared with the one before it. Totals per day stay."""
DELETED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Purged:
    """How many rows of each table were deleted."""

    events: int
    failures: int
    totals: int

    @property
    def rows(self) -> int:
        """Of all of them."""
        return self.events + self.failures + self.totals


def check_totals(*, days: int, fix: bool) -> list[Difference]:
    """The totals of the last `days` whole days that differ from a recount; with `fix` they are put right.

    Days whose rows are no longer kept are left out. Rows that come meanwhile are no differences: what differs is rolled
    up once more and looked at again.
    """
    now = timezone.now()
    end = _midnight(now)
    begin = max(end - timedelta(days=days), _midnight(now - usage_retention()))
    real = []
    for period in Period:
        since = max(begin, minutes_begin(now)) if period == Period.MINUTE else begin
        if since >= end or not differences(period, begin=since, end=end):
            continue
        roll_up()
        found = differences(period, begin=since, end=end)
        real += found
        if fix and found:
            _fix(period, {_midnight(each.start) for each in found})
    if real:
        log.error("inference.usage.totals_differ", alarm=True, number=len(real), fixed=fix)
    return real


def purge() -> Purged:
    """Delete rows of requests beyond their retention, and totals too fine for their age. Small transactions."""
    now = timezone.now()
    with transaction.atomic():
        mark = lock_mark(wait=True)
    # Never what the roll-up has not seen.
    until = min(_midnight(now - usage_retention()), mark.until if mark else now)
    finer = ((Period.MINUTE, minutes_begin(now)), (Period.HOUR, _midnight(now - HOURS_KEPT)))
    purged = Purged(
        events=_delete(UsageEvent._meta.db_table, "recorded_at < %s", until),
        failures=_delete(RequestFailure._meta.db_table, "recorded_at < %s", until),
        totals=sum(
            _delete(UsageTotal._meta.db_table, "period = %s AND start < %s", period.value, start)
            for period, start in finer
        ),
    )
    log.info("inference.usage.purged", events=purged.events, failures=purged.failures, totals=purged.totals)
    return purged


def _fix(period: Period, days: set[datetime]) -> None:
    for day in sorted(days):
        with transaction.atomic():
            lock_mark(wait=True)
            replace_totals(period, begin=day, end=day + timedelta(days=1))


def _delete(table: str, condition: str, *values: str | datetime) -> int:
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608 - every inserted word is ours
                f"SELECT ctid FROM {table} WHERE {condition} LIMIT {DELETED_AT_ONCE}))",
                values,
            )
            found: int = cursor.rowcount
            deleted += found
            if found < DELETED_AT_ONCE:
                return deleted


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.date(), time(), tzinfo=UTC)
