"""Metering: an answer's use is committed in Postgres before its last byte leaves.

Answers that end at the same time share a commit: while one is under way, the next gathers what comes.
"""

import asyncio
import time
import uuid
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from addon.inference.gateway.errors import unavailable
from addon.inference.models import UsageEvent

log = structlog.get_logger(__name__)

BATCH_MOST = 500
PATIENCE_SECONDS = 10.0
RETRY_SECONDS = 0.2
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
_INSERT = (
    f"INSERT INTO {UsageEvent._meta.db_table} ({', '.join(_COLUMNS)}) "  # noqa: S608 - names of our own
    f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in _COLUMNS.values())}) "
    "ON CONFLICT (id) DO NOTHING"
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


class Meter:
    """One process's metering; `threads` run the commits, one at a time."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._waiting: dict[uuid.UUID, tuple[Usage, asyncio.Future[None]]] = {}
        self._writer: asyncio.Task[None] | None = None

    async def record(self, usage: Usage) -> None:
        """Return once `usage` is committed; ApiError 503 when that takes too long.

        Then a whole answer is not delivered, and not written either. A stream's use stays in the queue, because its
        text was delivered: it is written as soon as Postgres is back.
        """
        if len(self._waiting) >= KEPT_MOST:
            raise unavailable("The answer cannot be recorded right now. Please try again.")
        future = asyncio.get_running_loop().create_future()
        self._waiting[usage.id] = (usage, future)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())
        done, _ = await asyncio.wait([future], timeout=PATIENCE_SECONDS)
        if not done:
            if not usage.streamed:
                self._waiting.pop(usage.id, None)
            raise unavailable("The answer cannot be recorded right now. Please try again.")

    async def close(self) -> None:
        """Write what is left, for so long at most."""
        if self._writer:
            await asyncio.wait([self._writer], timeout=PATIENCE_SECONDS)

    async def _write(self) -> None:
        loop, since = asyncio.get_running_loop(), 0.0
        while self._waiting:
            batch = list(islice(self._waiting.values(), BATCH_MOST))
            try:
                await loop.run_in_executor(self._threads, _insert, [usage for usage, _ in batch])
            except (DatabaseError, InterfaceError) as error:
                if not since:
                    since = time.monotonic()
                    log.error("inference.usage.waiting", alarm=True, error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if since:
                log.warning("inference.usage.written_late", seconds=round(time.monotonic() - since, 1))
                since = 0.0
            for usage, future in batch:
                self._waiting.pop(usage.id, None)
                if not future.done():
                    future.set_result(None)


def _insert(batch: list[Usage]) -> None:
    close_old_connections()
    columns: list[list[Any]] = [[getattr(usage, name) for usage in batch] for name in _COLUMNS]
    try:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, columns)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise
