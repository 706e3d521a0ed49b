"""Metering: an answer's use is committed in Postgres before its last byte leaves.

Answers that end at the same time share a commit: while one is under way, the next gathers what comes. A stream is
written down before its first byte leaves, too, and brought up to date while it lasts, so that what a killed process
has delivered is still known: `addon.inference.interrupted` settles it.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import structlog
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    connection,
)

from addon.inference.gateway.errors import unavailable
from addon.inference.models import OpenStream, Outcome, UsageEvent

log = structlog.get_logger(__name__)

BATCH_MOST = 500
PATIENCE_SECONDS = 10.0
RETRY_SECONDS = 0.2
REFRESH_SECONDS = 1.0
KEPT_MOST = 100_000
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
_OPEN_COLUMNS = {
    name: _COLUMNS[name]
    for name in (
        *("id", "resource_id", "at", "model", "region"),
        *("input_tokens", "output_tokens", "first_milliseconds"),
    )
}
_EVENTS, _OPEN = UsageEvent._meta.db_table, OpenStream._meta.db_table


def _rows(columns: dict[str, str]) -> str:
    kinds = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    return f"SELECT * FROM unnest({kinds})"  # noqa: S608 - types of our own


_INSERT = (
    f"INSERT INTO {_EVENTS} ({', '.join(_COLUMNS)}) {_rows(_COLUMNS)} "
    # A stream that was settled as interrupted while its process only was slow: now the truth is known.
    f"ON CONFLICT (id) DO UPDATE SET ({', '.join(_COLUMNS)}) = ROW(excluded.{', excluded.'.join(_COLUMNS)}) "
    f"WHERE {_EVENTS}.outcome = '{Outcome.INTERRUPTED}' AND excluded.outcome <> '{Outcome.INTERRUPTED}'"
)
_CLOSE = f"DELETE FROM {_OPEN} WHERE id = ANY(%s::uuid[])"  # noqa: S608 - a name of our own
_CLOSE_AND_INSERT = f"WITH closed AS ({_CLOSE}) {_INSERT}"
_REFRESH = (
    f"INSERT INTO {_OPEN} ({', '.join(_OPEN_COLUMNS)}) {_rows(_OPEN_COLUMNS)} "
    "ON CONFLICT (id) DO UPDATE SET output_tokens = excluded.output_tokens, seen_at = statement_timestamp()"
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


class Meter:
    """One process's metering; `threads` run the commits, one at a time."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._waiting: dict[uuid.UUID, tuple[Usage, asyncio.Future[None]]] = {}
        self._opening: dict[uuid.UUID, asyncio.Future[None]] = {}
        self._open: dict[uuid.UUID, Opening] = {}
        self._abandoned: set[uuid.UUID] = set()
        self._refresh_at = 0.0
        self._writer: asyncio.Task[None] | None = None
        self._refresher: asyncio.Task[None] | None = None

    async def open(self, opening: Opening) -> None:
        """Return once the stream is written down; to be awaited before its first byte. ApiError 503, then it is not."""
        self._open[opening.id] = opening
        future = self._opening[opening.id] = asyncio.get_running_loop().create_future()
        self._wake()
        if self._refresher is None or self._refresher.done():
            self._refresher = asyncio.get_running_loop().create_task(self._refresh())
        try:
            await self._wait_for(future)
        except BaseException:
            # No byte has left. The row may be under way all the same.
            self._opening.pop(opening.id, None)
            self._open.pop(opening.id, None)
            self._abandoned.add(opening.id)
            raise

    async def record(self, usage: Usage) -> None:
        """Return once `usage` is committed; ApiError 503 when that takes too long.

        Then a whole answer is not delivered, and not written either. A stream's use stays in the queue, because its
        text was delivered: it is written as soon as Postgres is back.
        """
        if len(self._waiting) >= KEPT_MOST and not usage.streamed:
            raise unavailable("The answer cannot be recorded right now. Please try again.")
        future = asyncio.get_running_loop().create_future()
        self._waiting[usage.id] = (usage, future)
        self._wake()
        try:
            await self._wait_for(future)
        except BaseException:
            if not usage.streamed:
                self._waiting.pop(usage.id, None)
            raise

    async def close(self) -> None:
        """Write what is left, for so long at most."""
        if self._refresher:
            self._refresher.cancel()
        if self._writer:
            await asyncio.wait([self._writer], timeout=PATIENCE_SECONDS)

    async def _wait_for(self, future: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await future
        except TimeoutError:
            raise unavailable("The answer cannot be recorded right now. Please try again.") from None

    def _wake(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _refresh(self) -> None:
        """Bring the open streams up to date now and then, which also says that this process lives."""
        while self._open:
            await asyncio.sleep(REFRESH_SECONDS)
            self._refresh_at = time.monotonic()
            self._wake()

    async def _write(self) -> None:
        loop, since = asyncio.get_running_loop(), 0.0
        while self._waiting or self._opening or self._abandoned or self._refresh_at:
            batch = list(islice(self._waiting.values(), BATCH_MOST))
            ended = {usage.id for usage, _ in batch if usage.streamed} | self._abandoned
            opened, refreshed = dict(self._opening), self._refresh_at
            openings = [
                each
                for each in (self._open.values() if refreshed else map(self._open.__getitem__, opened))
                if each.id not in ended
            ]
            rows = _Rows(
                usages=[usage for usage, _ in batch],
                ended=list(ended),
                openings=_columns(openings, _OPEN_COLUMNS) if openings else None,
            )
            try:
                refused = await loop.run_in_executor(self._threads, _commit, rows)
            except (DatabaseError, InterfaceError) as error:
                if not since:
                    since = time.monotonic()
                    log.error("inference.usage.waiting", alarm=True, error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if since:
                log.warning("inference.usage.written_late", seconds=round(time.monotonic() - since, 1))
                since = 0.0
            self._abandoned -= ended
            if self._refresh_at == refreshed:
                self._refresh_at = 0.0
            for identity, opening in opened.items():
                self._opening.pop(identity, None)
                _done(opening)
            for usage, future in batch:
                self._waiting.pop(usage.id, None)
                self._open.pop(usage.id, None)
                if usage.id not in refused:
                    _done(future)
                elif not future.done():
                    future.set_exception(unavailable("The answer cannot be recorded. Please try again."))


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What is written together: usage, the ids of streams that ended, and streams that begin or go on, by columns."""

    usages: list[Usage]
    ended: list[uuid.UUID]
    openings: list[list[Any]] | None


def _columns(rows: list[Any], names: dict[str, str]) -> list[list[Any]]:
    return [[getattr(row, name) for row in rows] for name in names]


def _commit(rows: _Rows) -> set[uuid.UUID]:
    """Write `rows`; the ids of usage that Postgres will never take.

    Each statement commits by itself and may be repeated: together they need no transaction. The thread's connection is
    not looked at before: one that died is noticed by the statement, which is then repeated on a new one.
    """
    refused: set[uuid.UUID] = set()
    try:
        with connection.cursor() as cursor:
            try:
                _write_usage(cursor, rows.usages, rows.ended)
            except (DataError, IntegrityError):
                # One bad row must not keep the others waiting for ever.
                refused = _write_each(cursor, rows)
            if rows.openings:
                cursor.execute(_REFRESH, rows.openings)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise
    return refused


def _write_usage(cursor: Any, usages: list[Usage], ended: list[uuid.UUID]) -> None:
    if usages and ended:
        cursor.execute(_CLOSE_AND_INSERT, [ended, *_columns(usages, _COLUMNS)])
    elif usages:
        cursor.execute(_INSERT, _columns(usages, _COLUMNS))
    elif ended:
        cursor.execute(_CLOSE, [ended])


def _write_each(cursor: Any, rows: _Rows) -> set[uuid.UUID]:
    refused = set()
    for usage in rows.usages:
        try:
            _write_usage(cursor, [usage], [])
        except (DataError, IntegrityError) as error:
            refused.add(usage.id)
            log.error("inference.usage.lost", alarm=True, usage=repr(usage), error=type(error).__name__)
    _write_usage(cursor, [], rows.ended)
    return refused
