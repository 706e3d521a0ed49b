"""Celery's door: each task reads ids or nothing and calls one function."""

import time
from collections.abc import Callable

from celery import shared_task

from provisioning import access, operations
from provisioning import reconcile as comparison
from provisioning import sweep as sweeper
from provisioning.wakeups import wake_grant, wake_operation

_TOGETHER_SECONDS = 5.0


def _each(ids: tuple[int, ...], do: Callable[[int], None], wake: Callable[[int], None]) -> None:
    """Do one after the other; when the first ones take long, leave the others to other workers."""
    until = time.monotonic() + _TOGETHER_SECONDS
    for number in ids:
        if time.monotonic() < until:
            do(number)
        else:
            wake(number)


@shared_task(name="provisioning.run_operations")
def run_operations(*operation_ids: int) -> None:
    """Carry operations on."""
    _each(operation_ids, operations.run, wake_operation)


@shared_task(name="provisioning.exchange_grants")
def exchange_grants(*access_ids: int) -> None:
    """Exchange grants for tokens."""
    _each(access_ids, access.exchange_grant, wake_grant)


@shared_task(name="provisioning.sweep")
def sweep() -> None:
    """Wake what nobody works on."""
    sweeper.sweep()


@shared_task(name="provisioning.reconcile", time_limit=3600, soft_time_limit=3500)
def reconcile() -> None:
    """Compare every live resource with Heroku and log the differences."""
    comparison.reconcile_all(fix=False)
