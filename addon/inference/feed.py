"""What billing reads of the rows of single requests: tokens and search units, under the request's id.

Read by when rows were written, so that what is written late, or corrected, is told too; the gateway does
nothing for it.
"""

from datetime import UTC, datetime

from django.db import connection
from django.db.models import Max

from addon.inference.models import Period, UsageEvent, UsageTotal
from addon.inference.rollup import KNOWN_UNTIL
from provisioning.limits import limits_of
from provisioning.models import Resource
from provisioning.services import Meter, UsageBatch, UsageReading, UsageUnit

UNITS = (
    UsageUnit("input_tokens", "Input tokens", "tokens"),
    UsageUnit("output_tokens", "Output tokens", "tokens"),
    UsageUnit("search_units", "Search units", "search units"),
)
_EVENTS = UsageEvent._meta.db_table
_BATCH_END = f"""
    SELECT max(recorded_at), count(*) FROM (
        SELECT recorded_at FROM {_EVENTS} WHERE recorded_at > %s::timestamptz AND recorded_at <= %s::timestamptz
         ORDER BY 1 LIMIT %s) AS batch
"""  # noqa: S608 - a name of ours
_ROWS = f"""
    SELECT id, resource_id, at, input_tokens, output_tokens, search_units FROM {_EVENTS}
     WHERE recorded_at > %s::timestamptz AND recorded_at <= %s::timestamptz
"""  # noqa: S608 - a name of ours
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def read_usage(*, since: str, most: int) -> UsageBatch:
    """The requests that were recorded after the mark, up to where every transaction is known to be through."""
    mark = datetime.fromisoformat(since) if since else _FIRST
    with connection.cursor() as cursor:
        cursor.execute(KNOWN_UNTIL)
        known = cursor.fetchone()[0]
        if known <= mark:
            return UsageBatch((), since)
        cursor.execute(_BATCH_END, [mark, known, most // 2])
        end, found = cursor.fetchone()
        if end is None:
            return UsageBatch((), known.isoformat())
        cursor.execute(_ROWS, [mark, end])
        readings = []
        for event, resource_id, at, *quantities in cursor.fetchall():
            # Noughts too: they correct what a stream that was thought interrupted had been metered for.
            readings += [
                UsageReading(event, resource_id, at, unit.name, quantity)
                for unit, quantity in zip(UNITS, quantities, strict=True)
                if quantity or unit.name == "output_tokens"
            ]
    more = found >= most // 2
    return UsageBatch(readings, (end if more else known).isoformat(), more=more)


def usage_peaks(resource: Resource, *, since: datetime) -> list[Meter]:
    """The busiest minute's requests and the fullest one's tokens since a moment, by whole hours."""
    limits = limits_of(resource)
    begin = since.replace(minute=0, second=0, microsecond=0)
    peaks = UsageTotal.objects.filter(resource=resource, period=Period.HOUR, start__gte=begin).aggregate(
        requests=Max("peak_requests"), tokens=Max("peak_tokens")
    )
    return [
        Meter(f"{label} in the busiest minute", limits[key], unit, used=peaks[name] or 0, key=key)
        for key, name, label, unit in (
            ("requests_per_minute", "requests", "Requests", "requests/min"),
            ("tokens_per_minute", "tokens", "Tokens", "tokens/min"),
        )
        if key in limits
    ]
