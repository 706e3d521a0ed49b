"""A scripted Heroku on real sockets: the token endpoint and the part of the Platform API that we call.

Without a script it behaves; `answer_next` puts one other answer in front. It knows nothing of our code.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


@dataclass
class Call:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as form fields."""
        return dict(parse_qsl(self.body.decode()))

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Scripted:
    """One answer that is given instead of the usual one, `times` times."""

    method: str
    path: str
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    delay: float = 0.0
    meanwhile: Callable[[], None] | None = None
    """Called before the answer, in the server's thread."""
    usual: bool = False
    """Do and answer what is usual, after the delay and `meanwhile`."""


class FakeHeroku:
    """The server; `url` is both the API's and the token endpoint's origin."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reset()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                call = Call(self.command, self.path, dict(self.headers), self.rfile.read(length))
                status, headers, body = fake.answer(call)
                raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - the names that http.server calls

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that gave up is part of some tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forget everything: the next test begins with an empty Heroku."""
        with self.lock:
            self.calls: list[Call] = []
            self.addons: dict[str, dict[str, Any]] = {}
            self.config: dict[str, dict[str, str]] = {}
            self.tokens: set[str] = set()
            self.refresh_tokens: set[str] = set()
            self.codes_used: set[str] = set()
            self.client_secrets: set[str] | None = None
            self.scripts: list[Scripted] = []

    def know(
        self, uuid: object, *, plan: str, state: str = "provisioned", config: dict[str, str] | None = None
    ) -> None:
        """Have the add-on `uuid` on Heroku's side; `plan` is `service:plan`."""
        self.addons[str(uuid)] = {
            "id": str(uuid),
            "name": "acme-cubic-10231",
            "state": state,
            "plan": {"name": plan},
            "app": {"id": "11111111-2222-4333-8444-555555555555", "name": "customer-app"},
        }
        self.config[str(uuid)] = dict(config or {})

    def answer_next(self, method: str, path: str, status: int, body: Any = None, **more: Any) -> None:
        """Answer the next request that fits otherwise; `path` is a regular expression for the whole path."""
        with self.lock:
            self.scripts.append(Scripted(method, path, status, body, **more))

    def seen(self, method: str, path: str) -> list[Call]:
        """The requests so far that fit."""
        return [call for call in self.calls if call.method == method and re.fullmatch(path, call.path)]

    def answer(self, call: Call) -> tuple[int, dict[str, str], Any]:
        """What to say to a request."""
        with self.lock:
            self.calls.append(call)
            script = next(
                (s for s in self.scripts if s.method == call.method and re.fullmatch(s.path, call.path)), None
            )
            if script:
                script.times -= 1
                if script.times == 0:
                    self.scripts.remove(script)
        if script:
            time.sleep(script.delay)
            if script.meanwhile:
                script.meanwhile()
            if not script.usual:
                return script.status, script.headers, script.body
        with self.lock:
            return self._usual(call)

    def _usual(self, call: Call) -> tuple[int, dict[str, str], Any]:
        if call.path == "/oauth/token":
            return self._token(call.form)
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            return 401, {}, {"id": "unauthorized", "message": "There were no credentials in your request."}
        found = re.fullmatch(r"/addons/([0-9a-f-]{36})(/.*)?", call.path)
        addon = self.addons.get(found[1]) if found else None
        if not found or addon is None:
            return 404, {}, {"id": "not_found", "message": "Couldn't find that add-on."}
        match (call.method, found[2]):
            case ("GET", None):
                return 200, {}, addon
            case ("PATCH", "/config"):
                self.config[found[1]] = {pair["name"]: pair["value"] for pair in call.json["config"]}
            case ("POST", "/actions/provision"):
                addon["state"] = "provisioned"
                return 200, {}, addon
            case ("POST", "/actions/deprovision"):
                addon["state"] = "deprovisioned"
                return 200, {}, addon
            case ("GET", "/config"):
                pass
            case _:
                return 404, {}, {"id": "not_found", "message": "The requested API endpoint was not found."}
        return 200, {}, [{"name": name, "value": value} for name, value in self.config[found[1]].items()]

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        if self.client_secrets is not None and form.get("client_secret") not in self.client_secrets:
            return 401, {}, {"id": "unauthorized", "message": "Invalid client secret."}
        if form.get("grant_type") == "authorization_code":
            if form["code"] in self.codes_used:
                return 400, {}, {"id": "invalid_grant", "message": "That code was used."}
            self.codes_used.add(form["code"])
            refresh = f"refresh-{uuid.uuid4()}"
            self.refresh_tokens.add(refresh)
        elif form.get("refresh_token") in self.refresh_tokens:
            refresh = form["refresh_token"]
        else:
            return 400, {}, {"id": "invalid_grant", "message": "That refresh token is unknown."}
        token = f"HRKU-{uuid.uuid4()}"
        self.tokens.add(token)
        answer = {
            "access_token": token,
            "refresh_token": refresh,
            "expires_in": 28_799,
            "token_type": "Bearer",
        }
        return 200, {}, answer
