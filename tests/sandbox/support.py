"""What the sandbox's tests share: the process, a client that speaks like Heroku's, waiting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.sandbox.fake_provider import Conduct, FakeProvider, Received

ROOT = Path(__file__).resolve().parents[2]
ACCEPT = "application/vnd.heroku+json; version=3"
T = TypeVar("T")


def eventually(check: Callable[[], T], *, seconds: float = 8.0) -> T:
    """The first truthy answer of ``check``; fails the test when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {seconds} s")
        time.sleep(0.03)


class SandboxProcess:
    """``python -m sandbox serve`` as a process of its own, on a free port."""

    def __init__(self, data: Path, *extra: str, folder: Path = ROOT) -> None:
        """``folder`` is the one that holds ``sandbox/``."""
        self.data = data
        self.folder = folder
        self.extra = extra
        self.start()

    def start(self) -> None:
        """Start it (again) on the same data folder and wait for its ready line."""
        environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "serve", "--port", "0", "--data", str(self.data), *self.extra],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if "ready at" not in line:
            raise AssertionError(f"not ready: {line!r} {self.process.stderr.read()}")
        self.url = line.split()[-1]
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(15)
        self._reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return status


class Client:
    """The Platform API with a key or token."""

    def __init__(self, url: str, key: str = "a-developers-key") -> None:
        self.url = url
        self.key = key

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """One call with Heroku's headers; further ones by keyword, underscores for dashes."""
        sent = {"Accept": ACCEPT, "Authorization": f"Bearer {self.key}"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        return requests.request(method, self.url + path, json=body, headers=sent, timeout=300)

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The body of an answer that has to be a success."""
        answer = self.call(method, path, body, **headers)
        assert answer.ok, (answer.status_code, answer.text)
        return answer.json()


class Service:
    """A service registered for one test, at the fake provider, with the sandbox's customer beside it."""

    def __init__(self, sandbox_url: str, provider: FakeProvider, slug: str) -> None:
        self.slug = slug
        self.prefix = slug.upper().replace("-", "_")
        self.provider = provider
        self.url = sandbox_url
        self.customer = Client(sandbox_url)
        config = {f"{self.prefix}_URL": "https://service.example/", f"{self.prefix}_KEY": "k1"}
        self.conduct = provider.conducts[slug] = Conduct(config=config)

    def entry(self, *, requires: list[str] | None = None, **changes: Any) -> dict[str, Any]:
        """Its entry of services.json."""
        api = {
            "config_vars_prefix": self.prefix,
            "config_vars": [f"{self.prefix}_{name}" for name in ("URL", "KEY", "EXTRA")],
            "password": f"{self.slug}-password",
            "sso_salt": f"{self.slug}-salt",
            "regions": ["us", "eu"],
            "requires": ["many_per_app", "attachable"] if requires is None else requires,
            "production": {
                "base_url": self.provider.url(self.slug, "/heroku/resources"),
                "sso_url": self.provider.url(self.slug, "/sso/login"),
            },
            "version": "3",
        }
        plans: list[dict[str, Any]] = [
            {
                "name": "free",
                "human_name": "Free",
                "description": "To try",
                "price": {"cents": 0, "unit": "month"},
            },
            {
                "name": "basic",
                "human_name": "Basic",
                "description": "",
                "price": {"cents": 2000, "unit": "month"},
            },
        ]
        plans[0]["default"] = True
        entry = {
            "manifest": {"id": self.slug, "name": f"The {self.slug}", "api": api},
            "oauth_client_secret": f"{self.slug}-secret",
            "plans": plans,
        }
        return {**entry, **changes}

    def register(self, **changes: Any) -> Service:
        """Register it with the sandbox over HTTP."""
        document = {"services": [self.entry(**changes)]}
        answer = requests.post(self.url + "/sandbox/services", json=document, timeout=10)
        assert answer.status_code == 201, answer.text
        return self

    def app(self) -> str:
        """A new app's name."""
        name: str = self.customer.ok("POST", "/apps", {"name": f"app-{uuid.uuid4().hex[:10]}"})["name"]
        return name

    def create(self, app: str, plan: str = "free", **body: Any) -> requests.Response:
        """``addons:create`` on an app."""
        wanted = {"plan": {"name": f"{self.slug}:{plan}"}, **body}
        return self.customer.call("POST", f"/apps/{app}/addons", wanted)

    def created(self, app: str | None = None, plan: str = "free", **body: Any) -> dict[str, Any]:
        """An add-on that has to be created."""
        answer = self.create(app or self.app(), plan, **body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def fault(self, where: str, kind: str, **more: Any) -> dict[str, Any]:
        """Arm a fault for this service."""
        body = {"where": where, "kind": kind, "service": self.slug, **more}
        answer = requests.post(self.url + "/sandbox/faults", json=body, timeout=10)
        assert answer.status_code == 201, answer.text
        armed: dict[str, Any] = answer.json()
        return armed

    def calls(self, method: str | None = None) -> list[Received]:
        """What the provider got for this service."""
        return self.provider.calls(self.slug, method)

    def grant(self, call: int = -1) -> str:
        """The grant code of a provision request."""
        code: str = self.calls("POST")[call].body["oauth_grant"]["code"]
        return code

    def token(self, **form: str) -> requests.Response:
        """A call of ``/oauth/token`` with this service's client secret."""
        fields = {"client_secret": f"{self.slug}-secret", **form}
        return requests.post(self.url + "/oauth/token", data=fields, timeout=300)

    def exchange(self, code: str | None = None) -> requests.Response:
        """The grant exchange."""
        return self.token(grant_type="authorization_code", code=code or self.grant())

    def partner(self) -> Client:
        """The provider's client for the newest resource."""
        answer = self.exchange()
        assert answer.ok, answer.text
        return Client(self.url, answer.json()["access_token"])

    def inside(self, addon: str) -> dict[str, Any]:
        """What the sandbox knows of an add-on."""
        answer = requests.get(f"{self.url}/sandbox/addons/{addon}", timeout=10)
        assert answer.ok, answer.text
        known: dict[str, Any] = answer.json()
        return known

    def config(self, app: str) -> dict[str, str]:
        """An app's config vars."""
        values: dict[str, str] = self.customer.ok("GET", f"/apps/{app}/config-vars")
        return values

    def releases(self, app: str) -> list[str]:
        """The descriptions of an app's releases."""
        return [release["description"] for release in self.customer.ok("GET", f"/apps/{app}/releases")]


def write_services(path: Path, *services: Service) -> Path:
    """A services.json file."""
    path.write_text(json.dumps({"services": [service.entry() for service in services]}))
    return path
