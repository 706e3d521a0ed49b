"""Celery's door: each task reads what came and calls one function."""

import time

from celery import shared_task

from provisioning import access, operations
from provisioning import reconcile as comparison
from provisioning import sweep as sweeper
from provisioning.wakeups import wake_grant

_TOGETHER_SECONDS = 5.0


@shared_task(name="provisioning.run_operation")
def run_operation(operation_id: int) -> None:
    """Carry one operation on."""
    operations.run(operation_id)


@shared_task(name="provisioning.exchange_grants")
def exchange_grants(*access_ids: int) -> None:
    """Exchange grants for tokens; when the first ones take long, the others are left to other workers."""
    until = time.monotonic() + _TOGETHER_SECONDS
    for access_id in access_ids:
        if time.monotonic() < until:
            access.exchange_grant(access_id)
        else:
            wake_grant(access_id)


@shared_task(name="provisioning.sweep")
def sweep() -> None:
    """Wake what nobody works on."""
    sweeper.sweep()


@shared_task(name="provisioning.reconcile", time_limit=3600, soft_time_limit=3500)
def reconcile() -> None:
    """Compare every live resource with Heroku and log the differences."""
    comparison.reconcile_all(fix=False)
