"""How fast Heroku's calls are answered on this machine: `make bench`.

Starts a Postgres (durable, as in production), a Redis and gunicorn as the Procfile does, all of its own, and removes
them at the end. Each kind of call is measured at concurrency 1 and 50 right after a bare view of the same stack that
inserts one row: on a machine that does other things too, the ratio of the two says more than the absolute numbers.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from local.environment import new_secrets
from local.ports import free_port
from local.postgres import Postgres
from local.program import Program, RunningProgram
from local.redis import Redis
from local.watcher import Watcher

PROJECT = Path(__file__).resolve().parent.parent
WORKERS = 2
GOAL_MILLISECONDS = 250.0
CALLS = {1: 60, 50: 500}
BARE_CALLS = {1: 40, 50: 250}
START_SECONDS = 30.0
MEDIA_TYPE = "application/vnd.heroku-addons+json; version=3"

Request = tuple[str, str, dict[str, str], str]
"""Method, path, headers and body."""


@dataclass(frozen=True)
class Result:
    """One measurement; times in milliseconds."""

    per_second: float
    p50: float
    p99: float


def percentile(sorted_values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank)."""
    rank = max(1, -(-len(sorted_values) * share // 1))
    return sorted_values[int(rank) - 1]


class Server:
    """The provider, started as the Procfile starts it, and the load it is put under."""

    def __init__(self, origin: str, environment: dict[str, str]) -> None:
        self.origin = origin
        self._environment = environment

    @property
    def database_url(self) -> str:
        """The provider's database."""
        return self._environment["DATABASE_URL"]

    def measure(self, requests: list[Request], *, concurrency: int, expected: int) -> Result:
        """Send the requests; SystemExit when one is answered otherwise than `expected`."""
        job = {"origin": self.origin, "concurrency": concurrency, "requests": requests}
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            cwd=PROJECT,
            check=True,
            timeout=120,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        wrong = sorted({status for status in found["statuses"] if status != expected})
        if wrong:
            raise SystemExit(f"{requests[0][0]} {requests[0][1]} was answered {wrong} instead of {expected}")
        latencies = sorted(seconds * 1000 for seconds in found["latencies"])
        return Result(
            len(requests) / found["seconds"], percentile(latencies, 0.5), percentile(latencies, 0.99)
        )

    # --- prepared requests ----------------------------------------------------------------------------------
    def bare(self, number: int) -> list[Request]:
        """Calls of the view that inserts one row."""
        return [("POST", "/bench/row", {"Content-Type": "application/json"}, "{}")] * number

    @property
    def _headers(self) -> dict[str, str]:
        pair = base64.b64encode(f"inference:{self._environment['INFERENCE_PASSWORDS']}".encode()).decode()
        return {"Authorization": f"Basic {pair}", "Accept": MEDIA_TYPE, "Content-Type": "application/json"}

    def provisions(self, uuids: list[str]) -> list[Request]:
        """Provision requests as Heroku sends them, for the service that answers with config vars."""
        return [
            (
                "POST",
                "/heroku/resources",
                self._headers,
                json.dumps(
                    {
                        "uuid": each,
                        "name": f"inference-cubic-{number}",
                        "plan": "nova-lite",
                        "region": "amazon-web-services::us-east-1",
                        "callback_url": f"https://api.heroku.com/addons/{each}",
                        "oauth_grant": {
                            "code": str(uuid.uuid4()),
                            "type": "authorization_code",
                            "expires_at": "2099-01-01T00:05:00-0000",
                        },
                        "options": {},
                        "log_input_url": f"https://token:t.{each}@1.us.logplex.io/logs",
                    }
                ),
            )
            for number, each in enumerate(uuids)
        ]

    def plan_changes(self, uuids: list[str]) -> list[Request]:
        """A change to another plan."""
        body = json.dumps({"plan": "nova-pro"})
        return [("PUT", f"/heroku/resources/{each}", self._headers, body) for each in uuids]

    def deprovisions(self, uuids: list[str]) -> list[Request]:
        """Removals."""
        return [("DELETE", f"/heroku/resources/{each}", self._headers, "") for each in uuids]

    def logins(self, uuids: list[str]) -> list[Request]:
        """Single sign-on of a person, with both tokens of the Dev Center's article."""
        salt, timestamp = self._environment["INFERENCE_SSO_SALTS"], str(int(time.time()))
        made = []
        for each in uuids:
            person = {"user_id": str(uuid.uuid4()), "email": "somebody@example.com"}
            plain = f"{each}:{salt}:{timestamp}"
            form = {
                "resource_id": each,
                "timestamp": timestamp,
                "resource_token": hashlib.sha1(plain.encode()).hexdigest(),  # noqa: S324 - Heroku's formula
                "user_scoped_resource_token": hashlib.sha256(
                    f"{plain}:{person['user_id']}:{person['email']}".encode()
                ).hexdigest(),
                "app": "customer-app",
                **person,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            made.append(("POST", "/sso/login", headers, urlencode(form)))
        return made


@contextmanager
def running_server() -> Iterator[Server]:
    """Start everything, and stop and remove it at the end."""
    with ExitStack() as cleaning:
        folder = Path(tempfile.mkdtemp(prefix="addonworks-bench-"))
        folder.chmod(0o711)
        cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
        watcher = cleaning.enter_context(Watcher())
        postgres = Postgres(folder / "postgres", watcher=watcher, say=lambda _: None)
        cleaning.callback(shutil.rmtree, postgres.folder, ignore_errors=True)
        cleaning.enter_context(postgres)
        redis = cleaning.enter_context(Redis(folder / "redis", watcher=watcher, say=lambda _: None))
        port = free_port()
        origin = f"http://127.0.0.1:{port}"
        environment = {
            **new_secrets(),
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "ADDONWORKS_ENV": "development",
            "ADDONWORKS_ENV_FILE": "",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "BASE_URL": origin,
            "HEROKU_API_URL": "https://api.heroku.invalid",
            "HEROKU_ID_URL": "https://id.heroku.invalid",
            "LOG_LEVEL": "INFO",
            "PORT": str(port),
            "WEB_CONCURRENCY": str(WORKERS),
        }
        for arguments in (["migrate", "--no-input", "--verbosity", "0"], ["sync_plans"]):
            subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=PROJECT,
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
                check=True,
            )
        gunicorn = Program(
            name="web",
            argv=[sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "addon.asgi:application"],
            environment=environment,
            folder=PROJECT,
            log=folder / "web.log",
        )
        web = RunningProgram(gunicorn, watcher=watcher)
        cleaning.callback(web.stop)
        _await_answer(f"{origin}/healthz", web)
        yield Server(origin, environment)


def _await_answer(url: str, web: RunningProgram) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and web.is_alive():
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"gunicorn did not start:\n{web.last_words(30)}")


def measure_all(server: Server) -> Iterator[tuple[str, int, Result, Result]]:
    """Kind of call, concurrency, its result, and that of the bare view right before it."""
    warm = [str(uuid.uuid4()) for _ in range(100)]
    server.measure(server.bare(200), concurrency=20, expected=200)
    server.measure(server.provisions(warm), concurrency=20, expected=200)
    server.measure(server.logins(warm), concurrency=20, expected=302)
    for concurrency, number in CALLS.items():
        uuids = [str(uuid.uuid4()) for _ in range(number)]
        provisions = server.provisions(uuids)
        kinds = (
            ("provision", provisions, 200),
            ("repeat", provisions, 200),
            ("plan change", server.plan_changes(uuids), 200),
            ("SSO login", server.logins(uuids), 302),
            ("deprovision", server.deprovisions(uuids), 204),
        )
        for kind, requests, expected in kinds:
            bare = server.measure(server.bare(BARE_CALLS[concurrency]), concurrency=concurrency, expected=200)
            yield (
                kind,
                concurrency,
                server.measure(requests, concurrency=concurrency, expected=expected),
                bare,
            )


def main() -> None:
    """Measure and print one table."""
    started, load_before = time.monotonic(), os.getloadavg()[0]
    print(f"{WORKERS} web processes, {os.cpu_count()} cores, load {load_before:.1f} before the start")
    print("The bare view inserts one row; a ratio above 1 means slower than it.\n")
    print(f"{'call':<12}{'at once':>8}{'calls/s':>9}{'p50 ms':>8}{'p99 ms':>8}", end="")
    print(f"{'bare/s':>9}{'bare p99':>9}{'time ratio':>11}{'p99 ratio':>10}")
    missed = []
    with running_server() as server:
        for kind, concurrency, found, bare in measure_all(server):
            print(
                f"{kind:<12}{concurrency:>8}{found.per_second:>9.0f}{found.p50:>8.1f}{found.p99:>8.1f}"
                f"{bare.per_second:>9.0f}{bare.p99:>9.1f}{bare.per_second / found.per_second:>11.2f}"
                f"{found.p99 / bare.p99:>10.2f}",
                flush=True,
            )
            if concurrency == max(CALLS) and found.p99 >= GOAL_MILLISECONDS:
                missed.append(kind)
    verdict = f"missed by {', '.join(missed)}" if missed else "met by every call"
    print(f"\nGoal: p99 under {GOAL_MILLISECONDS:.0f} ms at {max(CALLS)} concurrent: {verdict}")
    print(f"load {os.getloadavg()[0]:.1f} at the end, {time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
