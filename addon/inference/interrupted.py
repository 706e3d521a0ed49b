"""Streams whose gateway process died: metered for what it last wrote down of them."""

import structlog
from django.db import connection

from addon.inference.models import OpenStream, Outcome, UsageEvent

log = structlog.get_logger(__name__)

SILENT_SECONDS = 30.0
"""A living process writes every second. One that Postgres was away from for longer meters over what is written here."""

SETTLE = f"""
    WITH dead AS (
        DELETE FROM {OpenStream._meta.db_table}
         WHERE seen_at < statement_timestamp() - %s * interval '1 second' RETURNING *
    )
    INSERT INTO {UsageEvent._meta.db_table} (
        id, resource_id, at, model, region, input_tokens, output_tokens, cached_tokens, search_units,
        outcome, estimated, streamed, first_milliseconds, milliseconds
    )
    SELECT id, resource_id, at, model, region, CASE WHEN output_tokens = 0 THEN 0 ELSE input_tokens END, output_tokens,
           0, 0, %s, true, true, first_milliseconds,
           greatest(first_milliseconds, (extract(epoch FROM seen_at - at) * 1000)::integer)
      FROM dead
    ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 - names of our own


def settle_interrupted(*, silent_seconds: float = SILENT_SECONDS) -> int:
    """Meter every open stream that its process has been silent about for so long; how many there were.

    Of one that had brought nothing yet but comments, no input is metered either.

    One statement: whether it runs twice, in two workers at once or not to its end, each stream is metered once.
    """
    with connection.cursor() as cursor:
        cursor.execute(SETTLE, [silent_seconds, Outcome.INTERRUPTED.value])
        settled = int(cursor.rowcount)
    if settled:
        log.warning("inference.usage.interrupted", streams=settled)
    return settled
