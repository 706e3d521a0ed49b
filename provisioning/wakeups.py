"""Telling a worker that there is something to do, as soon as it is committed.

A wake-up is a courtesy. It is sent from a thread of its own, so that nobody waits for the broker; when the
broker is away it is dropped, and the sweeper finds the row.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from functools import partial

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

_QUIET_SECONDS = 2.0
_PENDING_MOST = 10_000
_GATHER_SECONDS = 0.05
_GATHER_MOST = 100
_SHARED = {
    "provisioning.exchange_grant": ("provisioning.exchange_grants", 5),
    "provisioning.run_operation": ("provisioning.spread_operations", 20),
}
"""The task that takes the wake-ups which come at the same time, and how many of them: to send one costs as much as a
request's statements. A task that is not named here gets a message for each row.

A worker exchanges the grants of a message one after the other. Operations it only sends on, one by one: they may take
long, and one that kills its worker takes no other with it.
"""


class _Sender:
    """One daemon thread for each process, started with the first wake-up (so after any fork)."""

    def __init__(self) -> None:
        self._pending: queue.Queue[tuple[str, int, str, float | None]] = queue.Queue(_PENDING_MOST)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._quiet_until = 0.0

    def send(self, task: str, row: int, queue_name: str, countdown: float | None) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="wakeups", daemon=True)
                self._thread.start()
        with contextlib.suppress(queue.Full):
            self._pending.put_nowait((task, row, queue_name, countdown))

    def flush(self, *, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._pending.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)

    def _run(self) -> None:
        while True:
            gathered = [self._pending.get()]
            time.sleep(_GATHER_SECONDS)
            with contextlib.suppress(queue.Empty):
                while len(gathered) < _GATHER_MOST:
                    gathered.append(self._pending.get_nowait())
            try:
                self._send_together(gathered)
            except Exception as error:
                # The thread must outlive whatever it met: nobody else sends this process's wake-ups.
                log.exception("wakeup.failed", error=type(error).__name__)
            finally:
                for _ in gathered:
                    self._pending.task_done()

    def _send_together(self, gathered: list[tuple[str, int, str, float | None]]) -> None:
        rows: dict[tuple[str, str, float | None], list[int]] = {}
        for task, row, queue_name, countdown in gathered:
            rows.setdefault((task, queue_name, countdown), []).append(row)
        for (task, queue_name, countdown), told in rows.items():
            shared, most = _SHARED.get(task, (task, 1))
            numbers = list(dict.fromkeys(told))
            for start in range(0, len(numbers), most):
                some = numbers[start : start + most]
                self._send_some(task if len(some) == 1 else shared, some, queue_name, countdown)

    def _send_some(self, task: str, rows: list[int], queue_name: str, countdown: float | None) -> None:
        if time.monotonic() < self._quiet_until:
            return
        try:
            current_app.send_task(
                task, args=rows, queue=queue_name, countdown=countdown, expires=300, retry=False
            )
        except (OperationalError, OSError) as error:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            log.warning("wakeup.dropped", task_name=task, rows=rows, error=type(error).__name__)


_sender = _Sender()


def spread_operations(operation_ids: Sequence[int]) -> None:
    """Wake a worker for each of these operations, by a message of its own. For a worker: it waits for the broker."""
    for operation_id in operation_ids:
        current_app.send_task(
            "provisioning.run_operation", args=[operation_id], queue="operations", expires=300, retry=False
        )


def wake_operation(operation_id: int, *, countdown: float | None = None) -> None:
    """After the commit, wake a worker for this operation (in `countdown` seconds, a few at most)."""
    transaction.on_commit(
        partial(_sender.send, "provisioning.run_operation", operation_id, "operations", countdown)
    )


def wake_task(task: str, row: int, *, queue_name: str) -> None:
    """After the commit, wake a worker for a service's own task about a row; its own schedule finds a lost one."""
    transaction.on_commit(partial(_sender.send, task, row, queue_name, None))


def wake_grant(access_id: int, *, countdown: float | None = None) -> None:
    """After the commit, wake a worker to exchange this grant before it runs out."""
    transaction.on_commit(
        partial(_sender.send, "provisioning.exchange_grant", access_id, "grants", countdown)
    )


def flush(*, seconds: float = 2.0) -> None:
    """Wait, so long at most, until every wake-up is sent: for commands, whose process ends before its thread would."""
    _sender.flush(seconds=seconds)
