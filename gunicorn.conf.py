"""gunicorn's configuration, in production and on one machine.

Access lines are not written: they would carry query strings, and the project logs requests itself.
"""

import gc
import os

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


def post_worker_init(worker: object) -> None:
    """Take what was loaded by now out of the garbage collector's sight, and let it look less often.

    Views make many short-lived objects in no cycles; passes over all of Django's took a tenth of a request's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
