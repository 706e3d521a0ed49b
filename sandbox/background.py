"""What happens by itself: repeated DELETEs and the 12 h limit, on the sandbox's clock."""

from __future__ import annotations

import asyncio
import logging

from sandbox.addons import end_overdue, send_due_delete
from sandbox.records import Addon
from sandbox.state import Sandbox

log = logging.getLogger(__name__)
ROUND_SECONDS = 0.2


async def keep_time(sandbox: Sandbox) -> None:
    """Look after due work for ever; a failure of one round is logged and the next goes on."""
    sending: dict[str, asyncio.Task[None]] = {}
    while True:
        try:
            _round(sandbox, sending)
        except Exception:
            log.exception("a background round failed")
        await asyncio.sleep(ROUND_SECONDS)


def _round(sandbox: Sandbox, sending: dict[str, asyncio.Task[None]]) -> None:
    now = sandbox.clock.now()
    for addon_id in [addon_id for addon_id, task in sending.items() if task.done()]:
        task = sending.pop(addon_id)
        if not task.cancelled() and task.exception() is not None:
            log.error("a repeated DELETE failed", exc_info=task.exception())
    # A request that is still being made is bounded by itself; the limit is for what was accepted.
    overdue = "SELECT * FROM addons WHERE deadline_at <= ? AND deleted_at IS NULL AND unanswered = 0"
    for row in sandbox.store.rows(overdue, now):
        end_overdue(sandbox, Addon(**row))
    for row in sandbox.store.rows("SELECT * FROM addons WHERE delete_due_at <= ?", now):
        if row["id"] not in sending:
            sending[row["id"]] = sandbox.spawn(send_due_delete(sandbox, Addon(**row)))
