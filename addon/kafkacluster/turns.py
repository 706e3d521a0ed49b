"""Taking turns at one tenant's things on its cluster, without keeping a row of Postgres locked while Kafka is asked.

Who changes a tenant on the cluster reads what should be, tells the cluster, and notes that it was told. Two at once
could tell it in the wrong order, so each takes the tenant's turn: an advisory lock of the database session. It holds
up nobody but others that want the same turn (Heroku's requests lock rows), and a process that dies gives it back.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from django.db import connection

from provisioning.models import Operation
from provisioning.services import Fault

WAIT_SECONDS = 5.0
"""Longer than what one turn usually takes, shorter than an operation's lease."""

_PAUSE_SECONDS = 0.05
_SPACE = 0x6B61666B
"""`kafk`: the advisory locks of this module, beside others'."""


@contextmanager
def turn(resource_id: int) -> Iterator[None]:
    """Be the only one that changes the tenant of this resource on its cluster, until the end of the block.

    Raises Fault when another one has not ended within `WAIT_SECONDS`: try again later. Turns of one session nest. Read
    the rows inside: what was read before may be what another turn has changed.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not _ask("pg_try_advisory_lock", resource_id):
        if time.monotonic() > deadline:
            raise Fault("another change of this tenant is under way", retry_after=1.0)
        time.sleep(_PAUSE_SECONDS)
    try:
        yield
    finally:
        _ask("pg_advisory_unlock", resource_id)


def in_turn(step: Callable[[Operation], None]) -> Callable[[Operation], None]:
    """Let an operation's step run in the turn of its resource's tenant; Fault as `turn`."""

    @wraps(step)
    def taken(operation: Operation) -> None:
        with turn(operation.resource_id):
            step(operation)

    return taken


def _ask(function: str, resource_id: int) -> bool:
    with connection.cursor() as cursor:
        # Advisory locks have two whole numbers of 32 bits; resources whose numbers meet only wait for each other.
        cursor.execute(f"SELECT {function}(%s, %s)", [_SPACE, resource_id % 2**31])
        row = cursor.fetchone()
    return bool(row and row[0])
