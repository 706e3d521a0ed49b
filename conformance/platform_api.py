"""A little Platform API: what a provider calls after it has answered, and only then.

Sources: Heroku's published Platform API schema (paths, bodies), its OAuth article, and the article on asynchronous
provisioning. Calls about a resource are refused with 404 until the answer to its provision request is here, and again
after its deprovision. The token endpoint answers at any time: whether Heroku's waits for the answer is not known, and
providers in production are known to exchange the grant while they answer.
"""

import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

TOKEN_SECONDS = 28_799
_ADDON = re.compile(r"/addons/([^/]+)(/.*)?")
_ACCEPT = re.compile(r"application/vnd\.heroku\+json\s*;\s*version=3\b")


@dataclass(frozen=True)
class Call:
    """One call of the provider, with what it was answered. `at` is on the monotonic clock."""

    method: str
    path: str
    query: str
    accept: str
    content_type: str
    body: Any
    status: int
    at: float

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status}"


@dataclass
class Addon:
    """A resource as the Platform API has it. `state` is unknown, provisioning, provisioned or deprovisioned."""

    uuid: str
    plan: str
    state: str = "unknown"
    config: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    refresh_tokens: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    known_from: float = 0.0
    """Nothing is known before this moment of the monotonic clock, whatever the state."""

    def made(self, method: str, end: str) -> list[Call]:
        """The accepted calls of one kind."""
        return [
            call
            for call in self.calls
            if call.method == method and call.path.endswith(end) and call.status < 300
        ]


class PlatformAPI:
    """Serves `/oauth/token` and `/addons/…` on a thread of its own; use it as a context manager."""

    def __init__(self, host: str, port: int, *, client_secret: str = "") -> None:
        """Listen at once; OSError for an address that is taken. Port 0 takes a free one."""
        self.client_secret = client_secret
        self.addons: dict[str, Addon] = {}
        self._codes: dict[str, str] = {}
        self._changed = threading.Condition()
        self._server = _server((host, port), self)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._processing_seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # --- the suite's side -----------------------------------------------------------------------------------
    def expect(self, uuid: str, *, plan: str, code: Any) -> None:
        """A provision request is about to be sent."""
        with self._changed:
            self.addons.setdefault(uuid, Addon(uuid, plan))
            if isinstance(code, str):
                self._codes[code] = uuid

    def hold(self, uuid: str, *, seconds: float = float("inf")) -> None:
        """Have the next answer about `uuid` worked on only `seconds` after it came."""
        with self._changed:
            self._processing_seconds[uuid] = seconds

    def release(self) -> None:
        """Hold nothing back any more."""
        with self._changed:
            for addon in self.addons.values():
                addon.known_from = 0.0

    def answered(self, uuid: str, status: int) -> None:
        """The provision request was answered: a success makes the resource known."""
        with self._changed:
            addon = self.addons[uuid]
            if addon.state == "unknown" and 200 <= status < 300:
                addon.state = "provisioning" if status == 202 else "provisioned"
                addon.known_from = time.monotonic() + self._processing_seconds.get(uuid, 0.0)
            self._changed.notify_all()

    def forget(self, uuid: str) -> None:
        """The resource was deprovisioned: its tokens are worth nothing any more."""
        with self._changed:
            if uuid in self.addons:
                self.addons[uuid].state = "deprovisioned"
            self._changed.notify_all()

    def wait_for(self, uuid: str, what: Callable[[Addon], Any], *, seconds: float) -> bool:
        """Whether `what` became true of the resource in time."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(what(self.addons[uuid])), timeout=seconds)

    # --- the provider's side --------------------------------------------------------------------------------
    def answer(self, method: str, target: str, headers: Any, raw: bytes) -> tuple[int, Any]:
        """Answer one call and record it with the resource it is about."""
        parts = urlsplit(target)
        with self._changed:
            if parts.path == "/oauth/token" and method == "POST":
                addon, status, body = self._token(parts.query, raw)
                given: Any = sorted(_form(raw))
            else:
                given = _json(raw)
                addon, status, body = self._addon_call(method, parts.path, headers, given)
            if addon:
                call = Call(
                    method,
                    parts.path,
                    parts.query,
                    headers.get("Accept", ""),
                    headers.get("Content-Type", ""),
                    given,
                    status,
                    time.monotonic(),
                )
                addon.calls.append(call)
                self._changed.notify_all()
            return status, body

    def _token(self, query: str, raw: bytes) -> tuple[Addon | None, int, Any]:
        # Heroku's own example passes the fields as query parameters.
        form = {**_form(query.encode()), **_form(raw)}
        addon = self.addons.get(self._codes.get(form.get("code", ""), ""))
        if form.get("grant_type") == "refresh_token":
            known = (
                each for each in self.addons.values() if form.get("refresh_token") in each.refresh_tokens
            )
            addon = next(known, None)
        secret = form.get("client_secret", "")
        if not secret or (self.client_secret and secret != self.client_secret):
            return addon, 401, {"id": "unauthorized", "message": "Invalid client secret."}
        if addon is None or addon.state == "deprovisioned":
            return addon, 400, {"id": "invalid_grant", "message": "Unknown or used grant."}
        if form.get("grant_type") == "authorization_code":
            del self._codes[form["code"]]
        elif form.get("grant_type") != "refresh_token":
            return addon, 400, {"id": "unsupported_grant_type", "message": "Unsupported grant type."}
        token, refresh = f"HRKU-{secrets.token_hex(16)}", secrets.token_hex(16)
        addon.tokens.add(token)
        addon.refresh_tokens.add(refresh)
        answer = {"access_token": token, "refresh_token": refresh, "expires_in": TOKEN_SECONDS}
        return addon, 200, {**answer, "token_type": "Bearer", "user_id": addon.uuid, "session_nonce": None}

    def _addon_call(self, method: str, path: str, headers: Any, body: Any) -> tuple[Addon | None, int, Any]:
        match = _ADDON.fullmatch(path)
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        owner = next((each for each in self.addons.values() if token in each.tokens), None)
        addon = self.addons.get(match[1]) if match else owner
        if not _ACCEPT.search(headers.get("Accept", "")):
            return (
                addon,
                406,
                {"id": "not_acceptable", "message": "Accept application/vnd.heroku+json; version=3."},
            )
        if owner is None:
            return addon, 401, {"id": "unauthorized", "message": "Invalid credentials provided."}
        unknown = addon is None or addon is not owner or addon.state in ("unknown", "deprovisioned")
        if unknown or time.monotonic() < owner.known_from:
            return addon, 404, {"id": "not_found", "message": "Couldn't find that add-on."}
        status, answer = self._known(owner, method, (match[2] or "") if match else path, body)
        return owner, status, answer

    def _known(self, addon: Addon, method: str, rest: str, body: Any) -> tuple[int, Any]:
        match method, rest:
            case "GET", "":
                return 200, _addon_object(addon)
            case "GET", "/config":
                return 200, _pairs(addon.config)
            case "PATCH", "/config":
                return self._patch(addon, body)
            case "POST", "/actions/provision":
                addon.state = "provisioned"
                return 200, _addon_object(addon)
            case "POST", "/actions/deprovision":
                addon.state = "deprovisioned"
                return 200, _addon_object(addon)
            case "POST", "/webhooks" if isinstance(body, dict):
                return 201, {**body, "id": addon.uuid, "addon": {"id": addon.uuid, "name": addon.plan}}
            case "GET", "/addon-attachments" | "/webhooks" | "/log-drains":
                return 200, []
            case "GET", path if path.startswith("/apps/") and path.endswith("/collaborators"):
                return 200, [{"role": "owner", "user": {"id": addon.uuid, "email": "owner@example.com"}}]
            case "GET", path if path.startswith("/apps/") and path.count("/") == 2:
                return 200, {"id": addon.uuid, "name": "example-app", "owner": {"email": "owner@example.com"}}
        return 404, {"id": "not_found", "message": "This little Platform API does not know that call."}

    def _patch(self, addon: Addon, body: Any) -> tuple[int, Any]:
        pairs = body.get("config") if isinstance(body, dict) else None
        if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
            return 422, {"id": "invalid_params", "message": "config has to be a list of names and values."}
        for pair in pairs:
            if pair["value"] is None:
                addon.config.pop(pair["name"], None)
            else:
                addon.config[pair["name"]] = pair["value"]
        return 200, _pairs(addon.config)


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, dict)
        and isinstance(pair.get("name"), str)
        and "value" in pair
        and isinstance(pair["value"], str | None)
    )


def _addon_object(addon: Addon) -> dict[str, Any]:
    slug = addon.plan.partition(":")[0]
    app = {"id": addon.uuid, "name": "example-app"}
    return {
        "id": addon.uuid,
        "name": f"{slug}-cubic-10231",
        "state": addon.state,
        "addon_service": {"id": slug, "name": slug},
        "plan": {"id": addon.plan, "name": addon.plan},
        "app": app,
        "billing_entity": {**app, "type": "app"},
        "billed_price": None,
        "provider_id": addon.uuid,
        "config_vars": sorted(addon.config),
        "actions": [],
        "web_url": None,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }


def _pairs(config: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(config.items())]


def _form(raw: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(raw.decode(errors="replace")).items()}


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return None


def _server(address: tuple[str, int], api: PlatformAPI) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # Head and body leave together; apart, the second waits for an acknowledgement.
        timeout = 30

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = api.answer(self.command, self.path, self.headers, raw)
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - the names http.server asks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Calls are recorded with their resource."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    return Server(address, Handler)
