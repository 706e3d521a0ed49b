"""Celery's door: each task reads an id and calls one function."""

from celery import shared_task

from provisioning import access, operations
from provisioning import reconcile as comparison
from provisioning import sweep as sweeper


@shared_task(name="provisioning.run_operation")
def run_operation(operation_id: int) -> None:
    """Carry one operation on."""
    operations.run(operation_id)


@shared_task(name="provisioning.exchange_grant")
def exchange_grant(access_id: int) -> None:
    """Exchange one grant for tokens."""
    access.exchange_grant(access_id)


@shared_task(name="provisioning.sweep")
def sweep() -> None:
    """Wake what nobody works on."""
    sweeper.sweep()


@shared_task(name="provisioning.reconcile", time_limit=3600, soft_time_limit=3500)
def reconcile() -> None:
    """Compare every live resource with Heroku and log the differences."""
    comparison.reconcile_all(fix=False)
