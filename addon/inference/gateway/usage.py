"""Metering: an answer's use is committed in Postgres before its last byte leaves.

Answers that end at the same time share a commit: while one is under way, the next gathers what comes. A stream is
written down before its first byte leaves, too, and brought up to date while it lasts, so that what a killed process
has delivered is still known: `addon.inference.interrupted` settles it.
"""

import asyncio
import time
import uuid
from itertools import islice

import structlog

from addon.inference.gateway.errors import unavailable
from addon.inference.gateway.usage_rows import AWAY, Opening, Rows, Usage, UsageRows

log = structlog.get_logger(__name__)

BATCH_MOST = 500
PATIENCE_SECONDS = 10.0
RETRY_SECONDS = 0.2
REFRESH_SECONDS = 1.0
KEPT_MOST = 100_000


class Meter:
    """One process's metering; commits follow one another."""

    def __init__(self, rows: UsageRows) -> None:
        self._rows = rows
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
        await self._rows.close()

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
        since = 0.0
        while self._waiting or self._opening or self._abandoned or self._refresh_at:
            batch = list(islice(self._waiting.values(), BATCH_MOST))
            ended = {usage.id for usage, _ in batch if usage.streamed} | self._abandoned
            opened, refreshed = dict(self._opening), self._refresh_at
            openings = [
                each
                for each in (self._open.values() if refreshed else map(self._open.__getitem__, opened))
                if each.id not in ended
            ]
            rows = Rows(usages=[usage for usage, _ in batch], ended=list(ended), openings=openings)
            try:
                refused = await self._rows.commit(rows)
            except AWAY as error:
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
