"""Celery's door: each task calls one function."""

from celery import shared_task

from addon.inference import interrupted, rollup, upkeep


@shared_task(name="inference.roll_up", time_limit=290, soft_time_limit=280)
def roll_up() -> None:
    """Bring the totals of usage up to date."""
    rollup.roll_up()


@shared_task(name="inference.keep_up_usage", time_limit=3600, soft_time_limit=3500)
def keep_up_usage() -> None:
    """Recount the last days, put right what differs, and delete what is old."""
    upkeep.check_totals(days=2, fix=True)
    upkeep.purge()


@shared_task(name="inference.settle_interrupted", time_limit=60, soft_time_limit=50)
def settle_interrupted() -> None:
    """Meter the streams whose process died."""
    interrupted.settle_interrupted()
