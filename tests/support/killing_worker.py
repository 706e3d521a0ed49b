"""A Celery application whose worker dies, as by `kill -9`, at a chosen point of each operation's first run.

The points are where an operation has just done something to the outside: after every SQL statement, every commit,
every HTTP call and every call to Kafka. Between two of them nothing outside changes, so these are all the states a
death can leave. The n-th operation of its kind after the one numbered KILLS_AFTER dies at the n-th point, so a test
that starts enough operations has each point hit once. What was hit is told by the files in KILLS_FOLDER: `<kind>-<n>`
for a kill, `<kind>-total-<m>` for the number of points a run had that was not killed.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from celery.signals import worker_process_init
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper

from addon.celery import app

__all__ = ["app"]

FOLDER = Path(os.environ["KILLS_FOLDER"])
KINDS = os.environ["KILLS_KINDS"].split(",")
AFTER = int(os.environ["KILLS_AFTER"])


class Points:
    """Counts the points of one operation's run."""

    def __init__(self, kind: str, target: int) -> None:
        self.kind, self.target, self.count = kind, target, 0

    def passed(self) -> None:
        """One point is reached: die if it is the one."""
        self.count += 1
        if self.count == self.target:
            (FOLDER / f"{self.kind}-{self.target}").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        """`action` with a point after it."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            result = action(*args, **kwargs)
            self.passed()
            return result

        return counted


def arm(**_: object) -> None:
    """In each worker process: let `operations.run` count its points."""
    from addon.kafkacluster.calls import Calls
    from provisioning import operations
    from provisioning.models import Operation

    kafka = {name: getattr(Calls, name) for name in ("_call", "_with_coordinator")}
    run, send = operations.run, requests.Session.send
    commit = getattr(DatabaseWrapper, "_commit")  # noqa: B009 - not in the published types

    def run_and_die(operation_id: int) -> None:
        operation = Operation.objects.get(pk=operation_id)
        target = 1 + Operation.objects.filter(kind=operation.kind, pk__gt=AFTER, pk__lt=operation_id).count()
        if (
            operation.kind not in KINDS
            or operation.finished_at
            or (FOLDER / f"{operation.kind}-{target}").exists()
        ):
            run(operation_id)
            return
        points = Points(operation.kind, target)
        with connection.execute_wrapper(lambda execute, *args: points.around(execute)(*args)):
            setattr(requests.Session, "send", points.around(send))  # noqa: B010
            setattr(DatabaseWrapper, "_commit", points.around(commit))  # noqa: B010
            for name, call in kafka.items():
                setattr(Calls, name, points.around(call))
            try:
                run(operation_id)
            finally:
                for name, call in kafka.items():
                    setattr(Calls, name, call)
                setattr(requests.Session, "send", send)  # noqa: B010
                setattr(DatabaseWrapper, "_commit", commit)  # noqa: B010
        if Operation.objects.get(pk=operation_id).state == "succeeded":
            (FOLDER / f"{operation.kind}-total-{points.count}").touch()

    setattr(operations, "run", run_and_die)  # noqa: B010


worker_process_init.connect(arm)
