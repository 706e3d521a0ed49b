"""Celery's door: each task calls one function."""

from celery import shared_task

from billing import closing, feeds, thresholds, upkeep


@shared_task(name="billing.collect_usage", time_limit=290, soft_time_limit=280)
def collect_usage() -> None:
    """Bring the ledger up to what the services tell."""
    feeds.collect_usage()


@shared_task(name="billing.keep_up", time_limit=3600, soft_time_limit=3500)
def keep_up() -> None:
    """Make and drop partitions, recount the last days, and look for what closed months lack."""
    upkeep.keep_up()


@shared_task(name="billing.close_months", time_limit=3600, soft_time_limit=3500)
def close_months() -> None:
    """Close the months that an operator asked to be closed."""
    closing.close_requested()


@shared_task(name="billing.check_limits", time_limit=590, soft_time_limit=580)
def check_limits() -> None:
    """Tell people of limits and budgets that are being used up."""
    thresholds.check_all()
