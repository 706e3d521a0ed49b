"""The recount: totals worked out again from the rows of single requests, to compare with or to put in place."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from addon.inference import totals
from addon.inference.models import Period

STATEMENT_MILLISECONDS = 900_000

# What began in a time was written after its beginning; the day is for web processes whose clocks are ahead. Without it
# every row there is would have to be looked at.
_RANGE = (
    "{0}.at >= %(begin)s AND {0}.at < %(end)s AND {0}.recorded_at > %(begin)s::timestamptz - interval '1 day'"
)
_MINUTES = totals.minutes(
    events=f"{totals.EVENTS} AS u WHERE {_RANGE.format('u')}",
    failures=f"{totals.FAILURES} AS f WHERE {_RANGE.format('f')}",
)
_STORED = "period = %(period)s AND start >= %(begin)s AND start < %(end)s"


def _recounted(period: Period) -> str:
    return totals.longer(period, source=f"({_MINUTES}) AS minutes")


@dataclass(frozen=True)
class Difference:
    """A stored total that is not what its rows amount to; a side without the total has 0 for it."""

    resource_id: int
    period: Period
    start: datetime
    model: str
    stored_requests: int
    counted_requests: int
    stored_tokens: int
    counted_tokens: int


def differences(period: Period, *, begin: datetime, end: datetime) -> list[Difference]:
    """The totals between two beginnings of a day that differ from a recount, in any column; at most 1000 of them.

    One statement sees one moment of both sides. Rows that the roll-up has not come to yet, and days whose rows are no
    longer kept, are the caller's to think of: see `addon.inference.upkeep.check_totals`.
    """
    columns = ", ".join((*totals.KEY, *totals.VALUES))
    sql = f"""
        WITH counted AS ({_recounted(period)}),
             stored AS (SELECT {columns} FROM {totals.TOTALS} WHERE {_STORED})
        SELECT resource_id, start, model,
               coalesce(s.requests, 0), coalesce(c.requests, 0),
               coalesce(s.input_tokens + s.output_tokens, 0), coalesce(c.input_tokens + c.output_tokens, 0)
          FROM stored AS s FULL JOIN counted AS c USING (resource_id, start, model)
         WHERE ({", ".join(f"s.{name}" for name in totals.VALUES)})
               IS DISTINCT FROM ({", ".join(f"c.{name}" for name in totals.VALUES)})
         ORDER BY start, resource_id LIMIT 1000
    """  # noqa: S608 - every inserted word is ours
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
        cursor.execute(sql, {"period": period.value, "begin": begin, "end": end})
        return [
            Difference(resource_id, period, start, model, *numbers)
            for resource_id, start, model, *numbers in cursor.fetchall()
        ]


def replace_totals(period: Period, *, begin: datetime, end: datetime) -> None:
    """Put the recount in the place of the stored totals between two beginnings of a day. The caller holds the mark."""
    values: dict[str, str | datetime] = {"period": period.value, "begin": begin, "end": end}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
        cursor.execute(f"DELETE FROM {totals.TOTALS} WHERE {_STORED}", values)  # noqa: S608 - words of ours
        cursor.execute(totals.store(period, _recounted(period)), values)
