"""The SQL that makes totals: minutes from the rows of single requests, longer periods from shorter ones.

The same statements serve the roll-up, which stores what they find, and the recount, which compares it.
"""

from addon.inference.latency import BOUNDS, BUCKETS
from addon.inference.models import RequestFailure, UsageEvent, UsageTotal

TOTALS = UsageTotal._meta.db_table
EVENTS = UsageEvent._meta.db_table
FAILURES = RequestFailure._meta.db_table
SUMS = (
    *("requests", "hung_up", "broken", "refused", "limited", "failed"),
    *("input_tokens", "output_tokens", "cached_tokens", "search_units"),
)
PEAKS = ("peak_requests", "peak_tokens")
ARRAYS = ("durations", "first_bytes")
VALUES = (*SUMS, *PEAKS, *ARRAYS)
KEY = ("resource_id", "start", "model")

_BOUNDS = f"ARRAY[{', '.join(map(str, BOUNDS))}]"


def _counts(column: str) -> str:
    each = (f"count(*) FILTER (WHERE {column} = {bucket})" for bucket in range(BUCKETS))
    return f"ARRAY[{', '.join(each)}]"


def _added(column: str) -> str:
    each = (f"sum({column}[{bucket + 1}])::bigint" for bucket in range(BUCKETS))
    return f"ARRAY[{', '.join(each)}]"


def minutes(*, events: str, failures: str) -> str:
    """A query of one row for each resource, minute and model, with the columns KEY and VALUES.

    `events` and `failures` say which rows: what follows FROM, with the tables named `u` and `f`.
    """
    return f"""
        SELECT resource_id, start, model,
               {", ".join(f"sum({name})::bigint AS {name}" for name in SUMS)},
               sum(requests)::bigint AS peak_requests,
               sum(input_tokens + output_tokens)::bigint AS peak_tokens,
               {_counts("duration")} AS durations,
               {_counts("first")} AS first_bytes
          FROM (
            SELECT u.resource_id, date_trunc('minute', u.at, 'UTC') AS start, u.model,
                   1 AS requests, (u.outcome = 'hung_up')::int AS hung_up,
                   (u.outcome NOT IN ('complete', 'hung_up'))::int AS broken,
                   0 AS refused, 0 AS limited, 0 AS failed,
                   u.input_tokens, u.output_tokens, u.cached_tokens, u.search_units,
                   width_bucket(u.milliseconds, {_BOUNDS}) AS duration,
                   CASE WHEN u.streamed THEN width_bucket(u.first_milliseconds, {_BOUNDS}) END AS first
              FROM {events}
            UNION ALL
            SELECT f.resource_id, date_trunc('minute', f.at, 'UTC'), f.model,
                   0, 0, 0,
                   CASE WHEN f.status < 500 AND f.status <> 429 THEN f.repeats ELSE 0 END,
                   CASE WHEN f.status = 429 THEN f.repeats ELSE 0 END,
                   CASE WHEN f.status >= 500 THEN f.repeats ELSE 0 END,
                   0, 0, 0, 0, NULL, NULL
              FROM {failures}
          ) AS requests
         GROUP BY resource_id, start, model
    """  # noqa: S608 - every inserted word is ours


def longer(period: str, *, source: str) -> str:
    """A query like `minutes` of whole periods ("hour", "day") from `source`, which has its columns for shorter ones."""
    return f"""
        SELECT resource_id, date_trunc('{period}', start, 'UTC') AS start, model,
               {", ".join(f"sum({name})::bigint AS {name}" for name in SUMS)},
               {", ".join(f"max({name}) AS {name}" for name in PEAKS)},
               {", ".join(f"{_added(name)} AS {name}" for name in ARRAYS)}
          FROM {source}
         GROUP BY 1, 2, 3
    """  # noqa: S608 - every inserted word is ours


def store(period: str, query: str, *, head: str = "") -> str:
    """A statement that puts the query's totals in the place of the present ones; `head` is its WITH clause.

    Rows that would stay as they are are not written: the latest minute is looked at again and again.
    """
    changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in VALUES)
    old, new = (", ".join(f"{side}.{name}" for name in VALUES) for side in ("kept", "EXCLUDED"))
    return f"""
        {head}
        INSERT INTO {TOTALS} AS kept (period, {", ".join((*KEY, *VALUES))})
        SELECT '{period}', found.* FROM ({query}) AS found
        ON CONFLICT (resource_id, period, start, model) DO UPDATE SET {changed}
         WHERE ({old}) IS DISTINCT FROM ({new})
    """  # noqa: S608 - every inserted word is ours
