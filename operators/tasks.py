"""Celery's door to this floor."""

from celery import shared_task

from operators import accounts


@shared_task(name="operators.purge_sessions")
def purge_sessions() -> None:
    """Delete sessions that have run out."""
    accounts.purge_sessions()
