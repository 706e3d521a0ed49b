"""The Celery application: wake-ups only.

What has to be done stands in Postgres. A message that is lost, repeated, late or out of order changes nothing:
the sweeper on the schedule finds every row that nobody works on.
"""

import os
import signal

from celery import Celery
from celery.signals import setup_logging, task_postrun, task_prerun, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "addon.settings")

app = Celery("addonworks")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Web requests run in threads, where only the default application is seen.
app.set_default()


@setup_logging.connect
def use_project_logging(**_: object) -> None:
    """Keep Celery from replacing the logging that Django's settings have configured."""


@worker_process_init.connect
def leave_stopping_to_the_worker(**_: object) -> None:
    """Let a task end that is under way when the platform stops us.

    Heroku sends SIGTERM to every process of a dyno. The worker's first process takes no more tasks then and waits for
    those that run; without this, their processes would be cut off in the middle.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@task_prerun.connect
def bind_log_context(task_id: str, task: object, **_: object) -> None:
    """Give every log line of a task its name and id."""
    from structlog.contextvars import bind_contextvars, clear_contextvars

    clear_contextvars()
    bind_contextvars(task=getattr(task, "name", "?"), task_id=task_id)


@task_postrun.connect
def clear_log_context(**_: object) -> None:
    """Leave nothing of this task in the next one's log lines."""
    from structlog.contextvars import clear_contextvars

    clear_contextvars()
