"""The rows of metering, and the one connection by which a process of the gateway writes them.

Rows go to Postgres as one JSON text, which costs less than a list for each column; the connection lives in the event
loop, because Django's cursor in a thread takes twice the time of all this.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import structlog
from django.db import connection as django_connection
from psycopg import AsyncConnection, DataError, Error, IntegrityError

from addon.inference.models import OpenStream, Outcome, UsageEvent

log = structlog.get_logger(__name__)

COMMIT_SECONDS = 30.0
"""How long a commit may take before its connection counts as dead."""
_EVENTS, _OPEN = UsageEvent._meta.db_table, OpenStream._meta.db_table
_COLUMNS = {
    "id": "uuid",
    "resource_id": "bigint",
    "at": "timestamptz",
    "model": "text",
    "region": "text",
    "input_tokens": "integer",
    "output_tokens": "integer",
    "cached_tokens": "integer",
    "search_units": "integer",
    "outcome": "text",
    "estimated": "boolean",
    "streamed": "boolean",
    "first_milliseconds": "integer",
    "milliseconds": "integer",
}
_OPEN_COLUMNS = (
    *("id", "resource_id", "at", "model", "region"),
    *("input_tokens", "output_tokens", "first_milliseconds"),
)


def _insert(table: str, columns: tuple[str, ...]) -> str:
    named = ", ".join(columns)
    typed = ", ".join(f"{name} {_COLUMNS[name]}" for name in columns)
    given = f"json_to_recordset(%s::json) AS given({typed})"
    return f"INSERT INTO {table} ({named}) SELECT {named} FROM {given} "  # noqa: S608 - names of our own


_INSERT = (
    _insert(_EVENTS, tuple(_COLUMNS))
    # A stream that was settled as interrupted while its process only was slow: now the truth is known.
    + f"ON CONFLICT (id) DO UPDATE SET ({', '.join(_COLUMNS)}) = ROW(excluded.{', excluded.'.join(_COLUMNS)}) "
    f"WHERE {_EVENTS}.outcome = '{Outcome.INTERRUPTED}' AND excluded.outcome <> '{Outcome.INTERRUPTED}'"
)
_CLOSE = f"DELETE FROM {_OPEN} WHERE id = ANY(%s::uuid[])"  # noqa: S608 - a name of our own
_CLOSE_AND_INSERT = f"WITH closed AS ({_CLOSE}) {_INSERT}"
_REFRESH = (
    _insert(_OPEN, _OPEN_COLUMNS)
    + "ON CONFLICT (id) DO UPDATE SET output_tokens = excluded.output_tokens, seen_at = statement_timestamp()"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The columns of a `UsageEvent`."""

    id: uuid.UUID
    resource_id: int
    at: datetime
    model: str
    region: str
    outcome: str
    streamed: bool
    first_milliseconds: int
    milliseconds: int
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    search_units: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The columns of an `OpenStream`; `produced` counts the tokens of its output whenever it is asked."""

    id: uuid.UUID
    resource_id: int
    at: datetime
    model: str
    region: str
    input_tokens: int
    first_milliseconds: int
    produced: Callable[[], int]

    @property
    def output_tokens(self) -> int:
        """What it has produced by now."""
        return self.produced()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What is written together: usage, the ids of streams that ended, and streams that begin or go on."""

    usages: list[Usage]
    ended: list[uuid.UUID]
    openings: list[Opening]


class UsageRows:
    """One process's connection for metering, made with the first commit and made anew after it broke."""

    def __init__(self) -> None:
        self._connection: AsyncConnection[Any] | None = None

    async def commit(self, rows: Rows) -> set[uuid.UUID]:
        """Write `rows`; the ids of usage that Postgres will never take. psycopg.Error or TimeoutError while it is away.

        Each statement commits by itself and may be repeated: together they need no transaction. The connection is not
        looked at before: one that died is noticed by the statement, which the caller repeats on a new one.
        """
        refused: set[uuid.UUID] = set()
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                try:
                    await self._write_usage(rows.usages, rows.ended)
                except (DataError, IntegrityError):
                    # One bad row must not keep the others waiting for ever.
                    refused = await self._write_each(rows)
                if rows.openings:
                    given = [{name: getattr(row, name) for name in _OPEN_COLUMNS} for row in rows.openings]
                    await self._execute(_REFRESH, _json(given))
        except BaseException:
            await self.close()
            raise
        return refused

    async def close(self) -> None:
        """End the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _write_usage(self, usages: list[Usage], ended: list[uuid.UUID]) -> None:
        if usages and ended:
            await self._execute(_CLOSE_AND_INSERT, ended, _json(usages))
        elif usages:
            await self._execute(_INSERT, _json(usages))
        elif ended:
            await self._execute(_CLOSE, ended)

    async def _write_each(self, rows: Rows) -> set[uuid.UUID]:
        refused = set()
        for usage in rows.usages:
            try:
                await self._write_usage([usage], [])
            except (DataError, IntegrityError) as error:
                refused.add(usage.id)
                log.error("inference.usage.lost", alarm=True, usage=repr(usage), error=type(error).__name__)
        await self._write_usage([], rows.ended)
        return refused

    async def _execute(self, statement: str, *values: Any) -> None:
        if self._connection is None:
            settings = django_connection.get_connection_params()
            for of_django in ("cursor_factory", "context"):
                settings.pop(of_django, None)
            self._connection = await AsyncConnection.connect(**settings, autocommit=True)
        await self._connection.execute(statement, values)


def _json(rows: list[Any]) -> str:
    return orjson.dumps(rows).decode()


AWAY: tuple[type[Exception], ...] = (Error, TimeoutError)
"""What `commit` raises while Postgres is away."""
