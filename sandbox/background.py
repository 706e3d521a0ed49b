"""What happens by itself, on the sandbox's clock: repeated DELETEs, the 12 h limit, webhook deliveries."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any

from sandbox import webhooks
from sandbox.addons import send_due_delete
from sandbox.records import Addon
from sandbox.resources import end_overdue
from sandbox.state import Sandbox

log = logging.getLogger(__name__)
ROUND_SECONDS = 0.2


async def keep_time(sandbox: Sandbox) -> None:
    """Look after due work for ever; a failure of one round is logged and the next goes on."""
    under_way: dict[str, asyncio.Task[None]] = {}
    while True:
        try:
            _round(sandbox, under_way)
        except Exception:
            log.exception("a background round failed")
        await asyncio.sleep(ROUND_SECONDS)


def _round(sandbox: Sandbox, under_way: dict[str, asyncio.Task[None]]) -> None:
    for name in [name for name, task in under_way.items() if task.done()]:
        task = under_way.pop(name)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed: %s", name, exc_info=task.exception())

    def begin(name: str, work: Coroutine[Any, Any, None]) -> None:
        under_way[name] = sandbox.spawn(work)

    now = sandbox.clock.now()
    # A request that is still being made is bounded by itself; the limit is for what was accepted.
    overdue = "SELECT * FROM addons WHERE deadline_at <= ? AND deleted_at IS NULL AND unanswered = 0"
    for row in sandbox.store.rows(overdue, now):
        end_overdue(sandbox, Addon(**row))
    for row in sandbox.store.rows("SELECT * FROM addons WHERE delete_due_at <= ?", now):
        if row["id"] not in under_way:
            begin(row["id"], send_due_delete(sandbox, Addon(**row)))
    for row in webhooks.due(sandbox):
        if row["webhook_id"] not in under_way:
            begin(row["webhook_id"], webhooks.deliver(sandbox, row))


async def until_told_to_stop() -> None:
    """Wait for SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
