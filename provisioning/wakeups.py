"""Telling a worker that there is something to do, as soon as it is committed.

A wake-up is a courtesy: when the broker is away it is dropped without delaying anybody, and the sweeper finds the row.
"""

import time
from functools import partial

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

_QUIET_SECONDS = 2.0
_quiet_until = 0.0


def wake_operation(operation_id: int, *, countdown: float | None = None) -> None:
    """After the commit, wake a worker for this operation (in `countdown` seconds, a few at most)."""
    transaction.on_commit(partial(_send, "provisioning.run_operation", operation_id, "operations", countdown))


def wake_grant(access_id: int, *, countdown: float | None = None) -> None:
    """After the commit, wake a worker to exchange this grant before it runs out."""
    transaction.on_commit(partial(_send, "provisioning.exchange_grant", access_id, "grants", countdown))


def _send(task: str, row: int, queue: str, countdown: float | None) -> None:
    global _quiet_until  # one flag for the process; a race between threads costs one attempt more
    if time.monotonic() < _quiet_until:
        return
    try:
        current_app.send_task(task, args=[row], queue=queue, countdown=countdown, expires=300, retry=False)
    except (OperationalError, OSError) as error:
        _quiet_until = time.monotonic() + _QUIET_SECONDS
        log.warning("wakeup.dropped", task_name=task, row=row, error=type(error).__name__)
