"""Heroku's side of the Partner API: sends the calls, records them, and knows what it has made."""

import base64
import json
import secrets
import threading
import time
import uuid as uuids
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from conformance.exchange import Exchange
from conformance.platform_api import PlatformAPI
from conformance.target import Target

VENDOR = "application/vnd.heroku-addons+json; version=3"
GRANT_SECONDS = 300
_CLEAN_UP_TRIES = 6
_CLEAN_UP_PAUSE_SECONDS = 0.5
Pair = tuple[str, str]


class NoPair:
    """Stands for: send no credentials."""


NO_PAIR = NoPair()


def basic(user: str, password: str) -> str:
    """An Authorization header of the Basic scheme."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class Journal:
    """Everything that was sent in a run, and every secret in it that must not be shown or come back."""

    exchanges: list[Exchange] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """The secret values, with what each is."""
    stuck: bool = False
    """Whether an asynchronous provision was once waited for in vain: the next one is not waited for again."""
    flow: tuple[str, Exchange] | None = None
    """An asynchronous provision that several checks look at: its uuid, and how the request was answered."""


class Partner:
    """Calls the provider as Heroku does. Usable from several threads."""

    def __init__(self, target: Target, *, platform: PlatformAPI | None, journal: Journal) -> None:
        self.target, self.platform, self.journal = target, platform, journal
        self._made: dict[str, None] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    # --- request bodies -------------------------------------------------------------------------------------
    def body(self, *, uuid: str = "", plan: str = "", **changes: Any) -> dict[str, Any]:
        """A v3 provision request with a uuid of its own; `changes` replace or add fields."""
        uuid = uuid or str(uuids.uuid4())
        code = f"code-{secrets.token_hex(16)}"
        self.journal.secrets[code] = "the OAuth grant's code"
        expires = datetime.now(UTC) + timedelta(seconds=GRANT_SECONDS)
        body: dict[str, Any] = {
            "uuid": uuid,
            "name": f"{self.target.slug}-cubic-{secrets.randbelow(90_000) + 10_000}",
            "plan": plan or self.target.plan,
            "region": self.target.region,
            "callback_url": f"{self.target.api_url}/addons/{uuid}",
            "oauth_grant": {
                "code": code,
                "type": "authorization_code",
                "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "options": {},
        }
        if "log_input" in self.target.requires:
            token = f"t.{uuids.uuid4()}"
            self.journal.secrets[token] = "the log input's token"
            body["log_input_url"] = f"https://token:{token}@1.us.logplex.io/logs"
        if "syslog_drain" in self.target.requires:
            body["log_drain_token"] = f"d.{uuids.uuid4()}"
        return {**body, **changes}

    # --- calls ----------------------------------------------------------------------------------------------
    def provision(self, body: dict[str, Any], **how: Any) -> Exchange:
        """POST. The Platform API knows the resource from the moment the answer is here."""
        uuid = str(body.get("uuid"))
        if self.platform:
            grant = body.get("oauth_grant")
            code = grant.get("code") if isinstance(grant, dict) else None
            self.platform.expect(uuid, plan=f"{self.target.slug}:{body.get('plan')}", code=code)
        with self._lock:
            new = uuid not in self._made
            self._made[uuid] = None
        answer = self.call("POST", body=body, **how)
        if self.platform and answer.status is not None:
            self.platform.answered(uuid, answer.status)
        if answer.refused and new:
            with self._lock:
                self._made.pop(uuid, None)
        return answer

    def change_plan(self, uuid: str, plan: str, **how: Any) -> Exchange:
        """PUT."""
        return self.call("PUT", uuid, body={"plan": plan}, **how)

    def deprovision(self, uuid: str, **how: Any) -> Exchange:
        """DELETE. The Platform API forgets the resource once this is confirmed."""
        answer = self.call("DELETE", uuid, **how)
        if answer.ok or answer.status in (404, 410):
            with self._lock:
                self._made.pop(uuid, None)
            # After a 202 the provider still has access, and says itself when it is done.
            if self.platform and answer.status != 202:
                self.platform.forget(uuid)
        return answer

    def call(
        self,
        method: str,
        uuid: str = "",
        *,
        body: Any = None,
        raw: bytes | None = None,
        pair: Pair | str | NoPair | None = None,
        accept: str | None = VENDOR,
        content_type: str = "application/json",
        burst: bool = False,
    ) -> Exchange:
        """Send one request and record it. `pair` None is the service's own, a text a whole Authorization header."""
        headers: dict[str, str | None] = {"Accept": accept, "User-Agent": "heroku-addon-conformance"}
        match pair:
            case None:
                headers["Authorization"] = basic(self.target.slug, self.target.password)
            case str():
                headers["Authorization"] = pair
            case (str(user), str(password)):
                headers["Authorization"] = basic(user, password)
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        if data is not None:
            headers["Content-Type"] = content_type
        url = f"{self.target.base_url}/{uuid}" if uuid else self.target.base_url
        exchange = send(
            self._session(), method, url, headers=headers, data=data, limit=self.target.answer_limit
        )
        exchange = Exchange(**{**exchange.__dict__, "burst": burst})
        self.journal.exchanges.append(exchange)
        return exchange

    def at_once(self, calls: Sequence[Callable[[], Exchange]]) -> list[Exchange]:
        """Make all calls at one instant."""
        gate = threading.Barrier(len(calls))

        def run(call: Callable[[], Exchange]) -> Exchange:
            gate.wait(timeout=30)
            return call()

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run, calls))

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = new_session()
        session: requests.Session = self._local.session
        return session

    # --- clean-up -------------------------------------------------------------------------------------------
    def clean_up(self) -> None:
        """Deprovision what was made and is still there."""
        with self._lock:
            left = list(self._made)
        for uuid in left:
            self.deprovision(uuid)

    def end(self) -> list[str]:
        """Clean up for good, with patience for what is busy; the uuids that could not be deprovisioned."""
        if self.platform:
            self.platform.release()
        for _ in range(_CLEAN_UP_TRIES):
            self.clean_up()
            if not self._made:
                break
            time.sleep(_CLEAN_UP_PAUSE_SECONDS)
        return list(self._made)


def _text(answer: requests.Response) -> str:
    """The body: UTF-8, which JSON always is, unless its Content-Type names another charset."""
    named = "charset" in answer.headers.get("Content-Type", "").lower()
    try:
        return answer.content.decode((answer.encoding if named else None) or "utf-8", errors="replace")
    except LookupError:
        return answer.content.decode(errors="replace")


def new_session() -> requests.Session:
    """A session that takes nothing from the environment: a proxy or a .netrc would send what a check leaves out."""
    session = requests.Session()
    session.trust_env = False
    return session


def send(
    session: requests.Session,
    method: str,
    url: str,
    *,
    limit: float,
    headers: dict[str, str | None] | None = None,
    data: Any = None,
) -> Exchange:
    """One request without following redirects; what goes wrong on the way is an Exchange without a status."""
    began = time.monotonic()
    sent = {name: value for name, value in (headers or {}).items() if value is not None}
    body = data.decode(errors="replace") if isinstance(data, bytes) else ""
    try:
        # A header that is None takes the library's own default away.
        answer = session.request(
            method,
            url,
            headers=headers,
            data=data,
            timeout=limit,
            allow_redirects=False,
        )
    except requests.Timeout:
        error = f"no answer within {limit:g} s"
    except requests.RequestException as failure:
        error = type(failure).__name__
    else:
        return Exchange(
            method=method,
            url=url,
            request_headers=sent,
            request_body=body,
            status=answer.status_code,
            headers=answer.headers,
            body=_text(answer),
            seconds=time.monotonic() - began,
        )
    return Exchange(method, url, sent, body, None, {}, "", time.monotonic() - began, error)
