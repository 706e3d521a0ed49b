"""Celery's door: each task reads what came and calls one function."""

from celery import shared_task

from provisioning import access, heroku_calls, operations, wakeups
from provisioning import reconcile as comparison
from provisioning import sweep as sweeper


@shared_task(name="provisioning.run_operation")
def run_operation(operation_id: int) -> None:
    """Carry one operation on."""
    operations.run(operation_id)


@shared_task(name="provisioning.spread_operations")
def spread_operations(*operation_ids: int) -> None:
    """Wake a worker for each of several operations."""
    wakeups.spread_operations(operation_ids)


@shared_task(name="provisioning.exchange_grant")
def exchange_grant(access_id: int) -> None:
    """Exchange one grant for tokens."""
    access.exchange_grant(access_id)


@shared_task(name="provisioning.exchange_grants")
def exchange_grants(*access_ids: int) -> None:
    """Exchange several grants for tokens."""
    access.exchange_grants(access_ids)


@shared_task(name="provisioning.sweep")
def sweep() -> None:
    """Wake what nobody works on."""
    sweeper.sweep()


@shared_task(name="provisioning.purge_heroku_calls")
def purge_heroku_calls() -> None:
    """Forget calls to Heroku that are old."""
    heroku_calls.purge()


@shared_task(name="provisioning.reconcile", time_limit=3600, soft_time_limit=3500)
def reconcile() -> None:
    """Compare every live resource with Heroku and log the differences."""
    comparison.reconcile_all(fix=False)
