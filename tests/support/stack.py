"""The whole provider as processes, with a stand-in Heroku before it, for tests that take parts of it away."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
import redis
import requests
from psycopg.rows import dict_row

from local.environment import new_secrets
from local.ports import free_port
from local.program import DOORS, WORKERS, Program, RunningProgram
from local.redis import Redis
from local.watcher import Watcher, signal_group
from tests.support.databases import migrated_database
from tests.support.folders import server_folder

PROJECT = Path(__file__).resolve().parents[2]
QUEUES = "grants,operations,notices,usage,maintenance"
PATIENCE_SECONDS = 60.0
T = TypeVar("T")


def until(what: Callable[[], T], *, seconds: float = PATIENCE_SECONDS, every: float = 0.05) -> T:
    """Wait until `what()` is true and return its value; AssertionError names the last value otherwise."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"still {value!r} after {seconds} s")
        time.sleep(every)


class Stack:
    """Web, worker, beat and sandbox over a database and a Redis of their own.

    Leases and sweeps are short, so that what a killed worker leaves is taken up within seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        watcher: Watcher,
        server: Redis,
        database_url: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` changes or adds variables of every part."""
        self.folder, self.watcher, self.redis = folder, watcher, server
        self.graceful_seconds = 3
        """How long a web that is asked to stop waits for its requests, from its next start on."""
        self.services_file = folder / "services.json"
        self.web_port, self.sandbox_port = free_port(), free_port()
        self.web_url = f"http://127.0.0.1:{self.web_port}"
        self.sandbox_url = f"http://127.0.0.1:{self.sandbox_port}"
        self.database_url = database_url
        self.secrets = new_secrets()
        self.environment = {
            **self.secrets,
            "DJANGO_SETTINGS_MODULE": "addon.settings",
            "ADDONWORKS_ENV": "test",
            "ADDONWORKS_ENV_FILE": "",
            "DATABASE_URL": database_url,
            "REDIS_URL": server.url,
            "BASE_URL": self.web_url,
            "HEROKU_API_URL": self.sandbox_url,
            "HEROKU_ID_URL": self.sandbox_url,
            "HEROKU_DASHBOARD_URL": self.sandbox_url,
            "OPERATION_LEASE_SECONDS": "6",
            "SWEEP_INTERVAL_SECONDS": "0.5",
            "CREDENTIAL_OVERLAP_SECONDS": "5",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            "PYTHONPATH": str(PROJECT),
            # Not in the system's folder for temporary files, where a killed web would leave it.
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
            **(environment or {}),
        }
        self._running: dict[str, RunningProgram] = {}
        self._how: dict[str, dict[str, Any]] = {}
        self._lock = threading.RLock()

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Run a management command against the stack and return its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def rotate(self, uuids: list[str], *, revoke_now: bool = False) -> None:
        """Start a rotation for each of these resources, as the command does, in one process."""
        lines = "import sys, django; django.setup()\n"
        lines += (
            "from provisioning.models import Resource\nfrom provisioning.rotation import rotate_credentials\n"
        )
        lines += "from provisioning.wakeups import flush\n"
        lines += "for row in Resource.objects.filter(uuid__in=sys.argv[1:]).values_list('pk', flat=True):\n"
        lines += f"    rotate_credentials(row, requested_by='test', revoke_now={revoke_now})\n"
        lines += "flush()\n"
        subprocess.run(
            [sys.executable, "-c", lines, *uuids],
            cwd=PROJECT,
            env={**os.environ, **self.environment},
            check=True,
            timeout=300,
        )

    def start(self) -> None:
        """Load the plans into the migrated database, start everything, and wait until the doors are open."""
        self.manage("sync_plans")
        self.services_file.write_text(self.manage("registration"))
        for name in ("sandbox", "web", "worker", "beat"):
            self.start_part(name)
        until(lambda: self._answers(f"{self.web_url}/healthz"))
        until(lambda: self._answers(f"{self.sandbox_url}/sandbox/health"))

    def start_part(
        self,
        name: str,
        *,
        celery_app: str = "addon.celery",
        queues: str = QUEUES,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start one of sandbox, web, worker, beat; the last three arguments are the worker's."""
        host, celery = "127.0.0.1", f"celery --app {celery_app} --quiet"
        commands = {
            "sandbox": f"sandbox serve --host {host} --port {self.sandbox_port} --data {self.folder}/sandbox"
            f" --services {self.services_file}",
            "web": f"gunicorn --config gunicorn.conf.py --workers 2 --bind {host}:{self.web_port}"
            f" --graceful-timeout {self.graceful_seconds} addon.asgi:application",
            "worker": f"{celery} worker --queues {queues} --concurrency 2 --without-mingle --without-gossip"
            f" --hostname {uuid.uuid4().hex[:8]}@localhost",
            "beat": f"{celery} beat --schedule {self.folder}/beat-schedule --pidfile=",
        }
        program = Program(
            name=name,
            argv=[sys.executable, "-m", *commands[name].split()],
            environment={**self.environment, **(environment or {})},
            folder=PROJECT,
            log=self.folder / f"{name}-{time.monotonic_ns()}.log",
            level=WORKERS if name == "worker" else DOORS,
            stop_seconds=5,
        )
        with self._lock:
            self._how[name] = {"celery_app": celery_app, "queues": queues, "environment": environment}
            self._running[name] = RunningProgram(program, watcher=self.watcher)

    def restart_crashed(self) -> None:
        """Start again what has ended by itself, as the process manager of a real deployment does.

        A Celery worker is known to end now and then when Redis goes away in the wrong moment.
        """
        with self._lock:
            for name, program in list(self._running.items()):
                if not program.is_alive():
                    program.clear()
                    self.start_part(name, **self._how[name])

    def kill_part(self, name: str) -> None:
        """End a part and all of its processes as `kill -9` does."""
        with self._lock:
            program = self._running.pop(name)
        os.killpg(program.pid, signal.SIGKILL)
        program.clear()

    def ask_part_to_stop(self, name: str) -> RunningProgram:
        """Send a part what Heroku sends it at a deploy, SIGTERM to each of its processes, and leave the rest to it.

        It is not started again by itself.
        """
        with self._lock:
            program = self._running.pop(name)
        signal_group(program.pid, signal.SIGTERM)
        return program

    def processes_below(self, name: str) -> list[psutil.Process]:
        """The processes that a part's first process has started."""
        return psutil.Process(self._running[name].pid).children()

    def flush_redis(self) -> None:
        """Empty Redis of everything, queues included."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()

    def is_alive(self, name: str) -> bool:
        """Whether the part's first process runs."""
        return name in self._running and self._running[name].is_alive()

    def logs(self, name: str) -> str:
        """Everything a part has written, in all its lives."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{name}-*.log")))

    def stop(self) -> None:
        """End every part."""
        with self._lock:
            programs = list(self._running.values())
            self._running.clear()
        for program in programs:
            program.ask_to_stop()
        for program in programs:
            program.stop()

    def _answers(self, url: str) -> bool:
        try:
            return requests.get(url, timeout=1).status_code == 200
        except requests.RequestException:
            return False

    # --- looking inside ---------------------------------------------------------------------------------------
    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query on the provider's database."""
        with psycopg.connect(self.database_url, row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(sql, values).fetchall()

    def active_operations(self) -> list[dict[str, Any]]:
        """Operations that have not ended, with what keeps them."""
        return self.rows(
            "SELECT o.id, o.kind, o.state, o.step, o.attempt, o.last_error, r.service, r.uuid "
            "FROM provisioning_operation o JOIN provisioning_resource r ON r.id = o.resource_id "
            "WHERE o.state IN ('pending', 'running')"
        )

    def wait_for_operations(self, *, seconds: float = 300.0) -> None:
        """Wait until no operation is active; AssertionError tells which are, and what the worker last wrote."""
        end = time.monotonic() + seconds
        while found := self.active_operations():
            if time.monotonic() > end:
                beats = self.rows("SELECT name, now() - at AS ago FROM provisioning_heartbeat")
                raise AssertionError(
                    f"{len(found)} operations active after {seconds} s: {found[:3]}; heartbeats {beats}; worker "
                    f"alive: {self.is_alive('worker')}, last wrote:\n{self.logs('worker')[-3000:]}"
                )
            time.sleep(0.5)

    def wait_for_rest(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until nothing is in progress: no operation, no grant, no deletion that the sandbox still owes."""

        def busy() -> list[Any]:
            waiting = self.rows(
                "SELECT id, last_error FROM provisioning_platformaccess WHERE state = 'waiting'"
            )
            retiring = self.rows("SELECT id FROM provisioning_credential WHERE state = 'retiring'")
            owed = [a["id"] for a in self.addons() if a["delete_pending"] or a["state"] == "provisioning"]
            return [*self.active_operations(), *waiting, *retiring, *owed]

        end = time.monotonic() + seconds
        while found := busy():
            if time.monotonic() > end:
                raise AssertionError(f"no rest after {seconds} s: {found[:5]} ({len(found)} in all)")
            time.sleep(0.2)

    # --- acting as Heroku's customer, and as Heroku -----------------------------------------------------------
    def customer(self, method: str, path: str, body: Any = None) -> requests.Response:
        """One call of a customer to the Platform API."""
        return requests.request(
            method,
            self.sandbox_url + path,
            json=body,
            headers={
                "Accept": "application/vnd.heroku+json; version=3",
                "Authorization": "Bearer customer-key",
            },
            timeout=300,
        )

    def partner(self, service: str, method: str, path: str = "", body: Any = None) -> requests.Response:
        """One call of Heroku to the Partner API; like Heroku it calls again when the connection breaks."""
        for left in range(10, 0, -1):
            try:
                return self._partner(service, method, path, body)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                if left == 1:
                    raise
                time.sleep(0.3)
        raise AssertionError("unreachable")

    def _partner(self, service: str, method: str, path: str, body: Any) -> requests.Response:
        return requests.request(
            method,
            f"{self.web_url}/heroku/resources{path}",
            data=None if body is None else json.dumps(body),
            headers={
                "Accept": "application/vnd.heroku-addons+json; version=3",
                "Content-Type": "application/json",
            },
            auth=(service, self.secrets[f"{service.upper()}_PASSWORDS"]),
            timeout=300,
        )

    def addons(self) -> list[dict[str, Any]]:
        """Every add-on the sandbox ever had, with its counts of actions."""
        found: list[dict[str, Any]] = requests.get(f"{self.sandbox_url}/sandbox/addons", timeout=300).json()[
            "addons"
        ]
        return found

    def addon(self, identity: str) -> dict[str, Any]:
        """One of them."""
        found: dict[str, Any] = requests.get(
            f"{self.sandbox_url}/sandbox/addons/{identity}", timeout=30
        ).json()
        return found

    def events(self, addon: str) -> list[dict[str, Any]]:
        """What the sandbox recorded about an add-on, oldest first."""
        found: list[dict[str, Any]] = requests.get(
            f"{self.sandbox_url}/sandbox/events", params={"addon": addon, "limit": "5000"}, timeout=30
        ).json()["events"]
        return found

    def fault(self, **rule: Any) -> None:
        """Arm a fault."""
        answer = requests.post(f"{self.sandbox_url}/sandbox/faults", json=rule, timeout=300)
        assert answer.status_code == 201, answer.text

    def clear_faults(self) -> None:
        """Remove every fault."""
        requests.delete(f"{self.sandbox_url}/sandbox/faults", timeout=300)

    def new_app(self) -> str:
        """A fresh app's name."""
        answer = self.customer("POST", "/apps", {"region": "us"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["name"])


@contextmanager
def running_stack(*, environment: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A stack that is up, in a database of its own of the shared Postgres; removed at the end.

    `environment` changes or adds variables of every part.
    """
    with ExitStack() as cleaning:
        database_url = cleaning.enter_context(migrated_database())
        folder = cleaning.enter_context(server_folder())
        watcher = cleaning.enter_context(Watcher())
        server = cleaning.enter_context(Redis(folder / "redis", watcher=watcher))
        stack = Stack(
            folder,
            watcher=watcher,
            server=server,
            database_url=database_url,
            environment=environment,
        )
        over = threading.Event()

        def keep_up() -> None:
            while not over.wait(0.3):
                stack.restart_crashed()

        keeper = threading.Thread(target=keep_up, name="keeper")
        try:
            stack.start()
            keeper.start()
            yield stack
        finally:
            over.set()
            if keeper.is_alive():
                keeper.join()
            stack.stop()
