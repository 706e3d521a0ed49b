"""Celery's door."""

from celery import shared_task

from sso import login, sessions


@shared_task(name="sso.purge")
def purge() -> None:
    """Delete sessions and used tokens that have run out."""
    sessions.purge_sessions()
    login.purge_used_tokens()
