"""The usage ledger's partitions: one for each month, made ahead, dropped as wholes when they are old."""

import structlog
from django.db import connection, transaction
from django.utils import timezone

from billing.config import billing_environment
from billing.models import UsageRecord
from billing.months import Month

log = structlog.get_logger(__name__)

TABLE = UsageRecord._meta.db_table
AHEAD = 3
"""Months that have their partition before they begin."""

_LOCK = 7_301_101
_NAMES = """
    SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
     WHERE i.inhparent = %s::regclass
"""


def partition_of(month: Month) -> str:
    """The name of a month's table."""
    return f"{TABLE}_{month.year:04d}_{month.month:02d}"


def present_months() -> list[Month]:
    """The months that have a partition, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [TABLE])
        names = [str(name) for (name,) in cursor.fetchall()]
    return sorted(Month.parse(name[-7:].replace("_", "-")) for name in names)


def oldest_kept(now_month: Month | None = None) -> Month:
    """The first month whose records are kept by the retention."""
    now_month = now_month or Month.of(timezone.now())
    return now_month.plus(-billing_environment().usage_retention_months)


def ensure_partitions(months: set[Month]) -> list[Month]:
    """Make the partitions of `months` that are missing; returns these. Safe to repeat and at the same time.

    A new table is filled with nothing, so it is made apart and attached: that stops nobody who writes or reads.
    """
    missing = sorted(months - set(present_months()))
    if not missing:
        return []
    made = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        for month in sorted(set(missing) - set(present_months())):
            name = partition_of(month)
            cursor.execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
            cursor.execute(
                f"ALTER TABLE {TABLE} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{month.start.isoformat()}') TO ('{month.end.isoformat()}')"
            )
            made.append(month)
    if made:
        log.info("billing.partitions.made", months=[str(month) for month in made])
    return made


def make_ahead() -> list[Month]:
    """Make the partitions of the present month and the next ones; returns the new ones."""
    present = Month.of(timezone.now())
    return ensure_partitions({present.plus(number) for number in range(AHEAD + 1)})


def drop_expired(*, closed: set[Month]) -> list[Month]:
    """Drop the partitions beyond the retention; returns their months.

    One that holds records is dropped only when its month is in `closed`: what no statement was made of is not thrown
    away. That is told as an alarm, every time.
    """
    dropped, kept = [], []
    for month in present_months():
        if month >= oldest_kept():
            continue
        name = partition_of(month)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")  # noqa: S608 - a name of ours
            if cursor.fetchone()[0] and month not in closed:
                kept.append(month)
                continue
            cursor.execute(f"DROP TABLE {name}")
            dropped.append(month)
    if kept:
        log.error("billing.partitions.not_closed", alarm=True, months=[str(month) for month in kept])
    if dropped:
        log.info("billing.partitions.dropped", months=[str(month) for month in dropped])
    return dropped
