"""Celery's door."""

from celery import shared_task

from sso import app_logs, login, sessions


@shared_task(name="sso.purge")
def purge() -> None:
    """Delete sessions and used tokens that have run out."""
    sessions.purge_sessions()
    login.purge_used_tokens()


@shared_task(name="sso.write_app_logs", time_limit=60, soft_time_limit=55)
def write_app_logs() -> None:
    """Let the lines that are due be written, each app's by a task of its own."""
    for resource_id, events in app_logs.claim().items():
        write_app_log.apply_async((resource_id, events), queue="notices", expires=300, retry=False)


@shared_task(name="sso.write_app_log", time_limit=60, soft_time_limit=55)
def write_app_log(resource_id: int, events: list[int]) -> None:
    """Write some events of a resource to the logs of its apps."""
    app_logs.write(resource_id, events)
