"""Celery's door: each task calls one function."""

from celery import shared_task

from addon.mobiloud import retention


@shared_task(name="mobiloud.purge", time_limit=300, soft_time_limit=280)
def purge() -> None:
    """Delete what removed resources left, once the retention period is over."""
    retention.purge_ended()
