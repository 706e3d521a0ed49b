"""gunicorn's configuration, in production and on one machine.

Access lines are not written: they would carry query strings, and the project logs requests itself.
"""

import gc
import os
import shutil
import tempfile
from pathlib import Path

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
worker_class = "uvicorn_worker.UvicornWorker"
# One process per core serves best; Heroku sets WEB_CONCURRENCY by the dyno's size.
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Heroku sends SIGTERM and kills after 30 s; requests end well before.
graceful_timeout = 25
# Of a worker that no longer turns its loop. Longer than any single request may block it.
timeout = 60
# Longer than the idle time of the routers in front (Heroku's: 55 s, AWS: 60 s), so that they close first.
keepalive = 75
accesslog = None
# One socket in the home folder would be fought over by every gunicorn of this user.
control_socket_disable = True
errorlog = "-"
loglevel = "info"
# Workers are replaced now and then, not all at once, against slow leaks.
max_requests = 20_000
max_requests_jitter = 4_000
# The heartbeat file must not wait for a slow disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "*" if "DYNO" in os.environ else "127.0.0.1")


# What the processes count for Prometheus lies in files here, which any of them adds up. prometheus_client looks for the
# variable when it is imported, so it is set before there is a worker.
_own_metrics = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _own_metrics:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="addonworks-metrics-")


def on_starting(server: object) -> None:
    """Begin to count at nothing, also in a folder that an earlier run has used."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()


def child_exit(server: object, worker: object) -> None:
    """Take a process that has ended out of the gauges that add up living ones."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def on_exit(server: object) -> None:
    """Leave no folder behind."""
    if _own_metrics:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def post_worker_init(worker: object) -> None:
    """Take what was loaded by now out of the garbage collector's sight, and let it look less often.

    Views make many short-lived objects in no cycles; passes over all of Django's took a tenth of a request's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
