"""The usage ledger: records come in by COPY, and the totals are brought up to date in the same statement.

So a record and its part of the totals are committed together or not at all, and a repeat changes neither.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from django.db import connection, transaction
from django.utils import timezone

from billing.models import UsageRecord, UsageTotal
from billing.months import Month
from billing.partitions import ensure_partitions, oldest_kept
from provisioning.services import UsageReading

log = structlog.get_logger(__name__)

RECORDS = UsageRecord._meta.db_table
TOTALS = UsageTotal._meta.db_table
LEDGER_LOCK = 7_301_102
"""Advisory lock: shared by those who write records, alone for who puts totals in the place of others."""

CLOCKS_APART = timedelta(days=1)
STATEMENT_MILLISECONDS = 120_000

_STAGING = """
    CREATE TEMPORARY TABLE IF NOT EXISTS billing_arrivals (
        position integer, event_id uuid, unit varchar(40), at timestamptz, resource_id bigint, source varchar(60),
        quantity bigint
    ) ON COMMIT DELETE ROWS
"""
_COPY = "COPY billing_arrivals (position, event_id, unit, at, resource_id, source, quantity) FROM STDIN (FORMAT BINARY)"
_TYPES = ("int4", "uuid", "varchar", "timestamptz", "int8", "varchar", "int8")
_COLUMNS = "event_id, unit, revision, at, resource_id, source, quantity"


def _add_to(period: str) -> str:
    return f"""
        INSERT INTO {TOTALS} AS kept (resource_id, period, start, unit, quantity, records)
        SELECT resource_id, '{period}', date_trunc('{period}', at, 'UTC'), unit, sum(quantity), count(*)
          FROM fresh GROUP BY 1, 3, 4 ORDER BY 1, 3, 4
        ON CONFLICT (resource_id, period, start, unit) DO UPDATE
           SET quantity = kept.quantity + excluded.quantity, records = kept.records + excluded.records
    """  # noqa: S608 - every inserted word is ours


def _write(rows: str) -> str:
    """A statement that appends `rows` (a query of _COLUMNS), totals what was new, and returns how many that were."""
    return f"""
        WITH fresh AS (
            INSERT INTO {RECORDS} ({_COLUMNS}) {rows} ON CONFLICT DO NOTHING
            RETURNING resource_id, unit, at, quantity
        ), hours AS ({_add_to("hour")}), days AS ({_add_to("day")})
        SELECT count(*) FROM fresh
    """  # noqa: S608 - every inserted word is ours


# In the order of the key, so that two writers of the same events wait for each other in one direction.
_FIRST = _write("""
    SELECT DISTINCT ON (event_id, unit) event_id, unit, 0, at, resource_id, source, quantity
      FROM billing_arrivals WHERE quantity > 0 ORDER BY event_id, unit, position
""")
_CHANGED = _write(f"""
    SELECT latest.event_id, latest.unit, known.revision + 1, latest.at, latest.resource_id, latest.source,
           latest.quantity - known.quantity
      FROM (SELECT DISTINCT ON (event_id, unit) * FROM billing_arrivals
             ORDER BY event_id, unit, position DESC) AS latest
      CROSS JOIN LATERAL (
        SELECT max(r.revision) AS revision, sum(r.quantity)::bigint AS quantity FROM {RECORDS} AS r
         WHERE r.event_id = latest.event_id AND r.unit = latest.unit AND r.at = latest.at
      ) AS known
     WHERE known.quantity <> latest.quantity ORDER BY 1, 2
""")  # noqa: S608 - every inserted word is ours


@dataclass(frozen=True)
class Ingest:
    """What became of some readings: records appended (corrections among them), and readings that cannot be kept."""

    records: int = 0
    corrections: int = 0
    refused: int = 0


def ingest(source: str, readings: Iterable[UsageReading]) -> Ingest:
    """Bring the ledger to what `readings` say; the same readings again change nothing. One transaction.

    A reading tells the whole quantity of its event. One that was told before with another quantity is corrected by the
    difference; of readings of the same event in one call the last one counts. Events of one source that may be
    corrected are read by one reader at a time. A reading from before the retention, or from the future, is refused,
    counted and told as an alarm.
    """
    now = timezone.now()
    begin, end = oldest_kept().start, now + CLOCKS_APART
    given = list(readings)
    kept = [each for each in given if begin <= each.at < end]
    if refused := len(given) - len(kept):
        log.error("billing.usage.refused", alarm=True, source=source, readings=refused)
    if not kept:
        return Ingest(refused=refused)
    with transaction.atomic():
        ensure_partitions({Month.of(day) for day in {each.at.astimezone(UTC).date() for each in kept}})
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LEDGER_LOCK])
            cursor.execute(_STAGING)
            cursor.execute("TRUNCATE billing_arrivals")
            _copy(source, kept)
            cursor.execute(_FIRST)
            first = int(cursor.fetchone()[0])
            corrections = 0
            if first < sum(each.quantity > 0 for each in kept) or any(not each.quantity for each in kept):
                cursor.execute(_CHANGED)
                corrections = int(cursor.fetchone()[0])
            # Not at the commit: a caller's transaction may hold several of these.
            cursor.execute("TRUNCATE billing_arrivals")
    return Ingest(records=first + corrections, corrections=corrections, refused=refused)


def _copy(source: str, readings: Sequence[UsageReading]) -> None:
    connection.ensure_connection()
    with connection.connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for position, each in enumerate(readings):
            copy.write_row(
                (position, each.event, each.unit, each.at, each.resource_id, source, each.quantity)
            )


def used_between(
    resource_ids: Sequence[int], *, begin: datetime, end: datetime
) -> dict[tuple[int, str], int]:
    """What resources used from `begin` until before `end`, by resource and unit; exact to the record.

    Whole days come from the totals; what is left of the first and the last day from the records.
    """
    if end <= begin or not resource_ids:
        return {}
    first, last = _day_after(begin), _midnight(end)
    parts: list[tuple[str, datetime, datetime]]
    if first < last:
        parts = [(RECORDS, begin, first), (TOTALS, first, last), (RECORDS, last, end)]
    else:
        parts = [(RECORDS, begin, end)]
    found: dict[tuple[int, str], int] = {}
    with connection.cursor() as cursor:
        for table, since, until in parts:
            if until <= since:
                continue
            column, more = ("start", "AND period = 'day'") if table == TOTALS else ("at", "")
            cursor.execute(
                f"""
                SELECT resource_id, unit, sum(quantity)::bigint FROM {table}
                 WHERE resource_id = ANY(%s::bigint[]) {more}
                   AND {column} >= %s::timestamptz AND {column} < %s::timestamptz
                 GROUP BY 1, 2
                """,  # noqa: S608 - every inserted word is ours
                [list(resource_ids), since, until],
            )
            for resource_id, unit, quantity in cursor.fetchall():
                key = (int(resource_id), str(unit))
                found[key] = found.get(key, 0) + int(quantity)
    return found


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _day_after(at: datetime) -> datetime:
    midnight = _midnight(at)
    return midnight if midnight == at else midnight + timedelta(days=1)
