"""Requests that failed, for the customer's dashboard: written in the background, a moment later.

Nothing waits for it and nothing is charged by it. A caller that fails faster than a person can read gets a row for each
of the first ones in a minute, and then one row for all that are alike within a moment: whoever sends nonsense at full
speed must not fill the table.
"""

import asyncio
import time
import uuid
from concurrent.futures import Executor
from datetime import UTC, datetime

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections

from addon.inference.gateway.keys import Caller
from addon.inference.models import RequestFailure

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 1.0
OWN_ROWS_PER_MINUTE = 30
KEPT_MOST = 10_000
"""Rows that wait while Postgres is away; what comes beyond is not told."""


class Failures:
    """One process's failed requests on their way to Postgres; `threads` run the writing."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._rows: list[RequestFailure] = []
        self._alike: dict[tuple[int, str, int, str], RequestFailure] = {}
        self._own: dict[int, int] = {}
        self._minute = 0
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def note(self, caller: Caller, request_id: uuid.UUID, *, status: int, code: str, seconds: float) -> None:
        """Remember that the request `request_id` was answered with an error, `seconds` after it came."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._own = minute, {}
        own = self._own[caller.resource_id] = self._own.get(caller.resource_id, 0) + 1
        key = (caller.resource_id, caller.plan, status, code)
        if own > OWN_ROWS_PER_MINUTE and (known := self._alike.get(key)):
            known.repeats += 1
            return
        if len(self._rows) >= KEPT_MOST:
            return
        row = RequestFailure(
            id=request_id,
            resource_id=caller.resource_id,
            at=datetime.now(UTC),
            model=caller.plan,
            status=status,
            code=code,
            milliseconds=int(seconds * 1000),
        )
        self._rows.append(row)
        if own > OWN_ROWS_PER_MINUTE:
            self._alike[key] = row
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Write what is left, if Postgres takes it."""
        self._closing.set()
        if self._writer:
            await self._writer

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._rows:
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._closing.wait()
            except TimeoutError:
                pass  # The usual case: more have come meanwhile.
            batch, self._rows, self._alike = self._rows, [], {}
            try:
                await loop.run_in_executor(self._threads, _insert, batch)
            except (OperationalError, InterfaceError) as error:
                log.warning("inference.failures.waiting", rows=len(batch), error=type(error).__name__)
                if self._closing.is_set():
                    return
                self._rows = (batch + self._rows)[:KEPT_MOST]
            except DatabaseError as error:
                # These rows will never be taken: a fault of ours, which must not keep the others waiting.
                log.error("inference.failures.lost", rows=len(batch), error=type(error).__name__)


def _insert(batch: list[RequestFailure]) -> None:
    close_old_connections()
    # A commit whose confirmation got lost is tried again: the rows are the same ones.
    RequestFailure.objects.bulk_create(batch, ignore_conflicts=True)
