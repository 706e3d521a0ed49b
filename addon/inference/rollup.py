"""The roll-up: totals per minute, hour and day, kept up with the rows that they are derived from.

It goes by when rows were written, not by when their requests began: a row that is written late, however late, makes its
minute, hour and day be totalled again. Totals are replaced, never added to, so doing it twice changes nothing, and a
worker that dies leaves its transaction undone and the mark where it was.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import structlog
from django.db import connection, transaction
from django.utils import timezone

from addon.inference import totals
from addon.inference.config import usage_retention
from addon.inference.models import Period, RollUpMark
from provisioning.models import Heartbeat

log = structlog.get_logger(__name__)

HEARTBEAT = "inference-usage"
BATCH_MOST = 20_000
MINUTES_KEPT = timedelta(days=14)
STATEMENT_MILLISECONDS = 240_000
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
_MARK = 1

# A row that nobody can see yet is written by a statement that is still running, or in a transaction that has written
# before: the oldest of these is as far as everything is known. The seconds are for clocks that step.
KNOWN_UNTIL = """
    SELECT least(statement_timestamp(),
                 (SELECT min(CASE WHEN backend_xid IS NOT NULL THEN xact_start
                                  WHEN state = 'active' THEN query_start END)
                    FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid())) - interval '5 seconds'
"""
_BATCH_END = f"""
    SELECT max(recorded_at), count(*) FROM (
        SELECT recorded_at FROM (
            (SELECT recorded_at FROM {totals.EVENTS} WHERE recorded_at > %(mark)s ORDER BY 1 LIMIT %(most)s)
            UNION ALL
            (SELECT recorded_at FROM {totals.FAILURES} WHERE recorded_at > %(mark)s ORDER BY 1 LIMIT %(most)s)
        ) AS either ORDER BY 1 LIMIT %(most)s
    ) AS batch
"""  # noqa: S608 - every inserted word is ours
_TOUCHED = f"""
    SELECT resource_id, date_trunc('minute', at, 'UTC') FROM {totals.EVENTS}
     WHERE recorded_at > %(mark)s AND recorded_at <= %(end)s
    UNION
    SELECT resource_id, date_trunc('minute', at, 'UTC') FROM {totals.FAILURES}
     WHERE recorded_at > %(mark)s AND recorded_at <= %(end)s
"""  # noqa: S608 - every inserted word is ours
_HEAD = """
    WITH touched AS (
        SELECT * FROM unnest(%(resources)s::bigint[], %(starts)s::timestamptz[]) AS t(resource_id, start))
"""


def _within(alias: str, table: str, *, column: str, length: str) -> str:
    return (
        f"touched AS t JOIN {table} AS {alias} ON {alias}.resource_id = t.resource_id "
        f"AND {alias}.{column} >= t.start AND {alias}.{column} < t.start + interval '1 {length}'"
    )


def _from_shorter(period: Period, shorter: Period) -> str:
    within = _within("s", totals.TOTALS, column="start", length=period)
    columns = ", ".join(f"s.{name}" for name in (*totals.KEY, *totals.VALUES))
    source = f"(SELECT {columns} FROM {within} AND s.period = '{shorter}') AS shorter"  # noqa: S608 - our own words
    return totals.store(period, totals.longer(period, source=source), head=_HEAD)


_STORE_MINUTES = totals.store(
    Period.MINUTE,
    totals.minutes(
        events=_within("u", totals.EVENTS, column="at", length="minute"),
        failures=_within("f", totals.FAILURES, column="at", length="minute"),
    ),
    head=_HEAD,
)
# The minutes that these hours would be totalled from are gone.
_STORE_LATE_HOURS = totals.store(
    Period.HOUR,
    totals.longer(
        Period.HOUR,
        source="({}) AS minutes".format(
            totals.minutes(
                events=_within("u", totals.EVENTS, column="at", length="hour"),
                failures=_within("f", totals.FAILURES, column="at", length="hour"),
            )
        ),
    ),
    head=_HEAD,
)
_STORE_HOURS = _from_shorter(Period.HOUR, Period.MINUTE)
_STORE_DAYS = _from_shorter(Period.DAY, Period.HOUR)

Touched = set[tuple[int, datetime]]


@dataclass(frozen=True)
class RollUp:
    """What one run did: minutes totalled anew, some of them to the same totals; or that another one was at it."""

    minutes: int = 0
    left_to_another: bool = False


def roll_up() -> RollUp:
    """Bring the totals up to the rows that are there now; a second one at the same time leaves it to the first."""
    minutes = 0
    mark = _FIRST
    while True:
        with transaction.atomic():
            stored = lock_mark(wait=False)
            if stored is None:
                return RollUp(minutes, left_to_another=True)
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
                cursor.execute(KNOWN_UNTIL)
                known = cursor.fetchone()[0]
                mark = max(mark, stored.until)
                cursor.execute(_BATCH_END, {"mark": mark, "most": BATCH_MOST})
                end, found = cursor.fetchone()
                if end is not None:
                    cursor.execute(_TOUCHED, {"mark": mark, "end": end})
                    touched: Touched = set(cursor.fetchall())
                    _total(touched)
                    minutes, mark = minutes + len(touched), end
            # What came during the last seconds is looked at again next time.
            stored.until = max(stored.until, min(known, mark) if found == BATCH_MOST else known)
            stored.save(update_fields=["until"])
        if found < BATCH_MOST:
            Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": timezone.now()})
            return RollUp(minutes)


def lock_mark(*, wait: bool) -> RollUpMark | None:
    """The mark, locked until the transaction ends; None when another holds it and `wait` is false."""
    marks = RollUpMark.objects.select_for_update(skip_locked=not wait)
    if mark := marks.filter(pk=_MARK).first():
        return mark
    RollUpMark.objects.bulk_create([RollUpMark(pk=_MARK, until=_FIRST)], ignore_conflicts=True)
    return marks.filter(pk=_MARK).first()


def minutes_begin(now: datetime) -> datetime:
    """The midnight from which on totals per minute are kept."""
    return datetime.combine((now - MINUTES_KEPT).date(), time(), tzinfo=UTC)


def _total(touched: Touched) -> None:
    now = timezone.now()
    gone = {pair for pair in touched if pair[1] < now - usage_retention()}
    if gone:
        # What would be counted again is deleted by now: the totals of then stay as they are.
        log.error("inference.usage.too_late", alarm=True, minutes=len(gone))
    late = {pair for pair in touched - gone if pair[1] < minutes_begin(now)}
    fresh = touched - gone - late
    late_hours, fresh_hours = _begins(Period.HOUR, late), _begins(Period.HOUR, fresh)
    with connection.cursor() as cursor:
        for statement, chosen in (
            (_STORE_MINUTES, fresh),
            (_STORE_HOURS, fresh_hours),
            (_STORE_LATE_HOURS, late_hours),
            (_STORE_DAYS, _begins(Period.DAY, late_hours | fresh_hours)),
        ):
            if chosen:
                cursor.execute(statement, _columns(chosen))


def _columns(touched: Touched) -> dict[str, list[int] | list[datetime]]:
    # In order, so that rows are locked in the order of the index.
    pairs = sorted(touched)
    return {"resources": [resource for resource, _ in pairs], "starts": [start for _, start in pairs]}


def _begins(period: Period, touched: Touched) -> Touched:
    """The periods that shorter ones lie in."""
    return {(resource, _begin(period, start)) for resource, start in touched}


def _begin(period: Period, at: datetime) -> datetime:
    at = at.astimezone(UTC).replace(minute=0)
    return at.replace(hour=0) if period == Period.DAY else at
