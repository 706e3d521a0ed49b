"""Calls to the provider: the Partner API v3 as Heroku sends it, with faults on request."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sandbox import faults, oauth
from sandbox.apps import AWS_REGIONS
from sandbox.faults import Fault
from sandbox.records import Addon, App, Service, attachments_of, get_app, get_service
from sandbox.state import Sandbox

VENDOR_TYPE = "application/vnd.heroku-addons+json; version=3"
ATTEMPTS = 3
ATTEMPT_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``status`` is None when nothing did, and ``error`` then says why."""

    status: int | None
    body: dict[str, Any]
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Nothing, a 5xx or a 429: the call may have been carried out and is worth repeating."""
        return self.status is None or self.status >= 500 or self.status == 429

    @property
    def message(self) -> str:
        """The provider's message for the customer, or an empty string."""
        message = self.body.get("message")
        return message if isinstance(message, str) else ""


def provision_body(sandbox: Sandbox, addon: Addon, grant: dict[str, str]) -> dict[str, Any]:
    """The provision request of Partner API v3."""
    service = get_service(sandbox.store, addon.service)
    app = get_app(sandbox.store, addon.app_id)
    body: dict[str, Any] = {
        "uuid": addon.id,
        "name": addon.name,
        "plan": addon.plan,
        "region": region_of(app),
        "callback_url": f"{sandbox.public_url}/addons/{addon.id}",
        "oauth_grant": grant,
        "options": json.loads(addon.options),
    }
    if "log_input" in service.requires:
        first = attachments_of(sandbox.store, addon.id)[0]
        body["log_input_url"] = sandbox.log_input_url(first.log_token)
    if "syslog_drain" in service.requires:
        body["log_drain_token"] = f"d.{addon.id}"
    return body


def region_of(app: App) -> str:
    """The Partner API's value for an app's region."""
    return f"amazon-web-services::{AWS_REGIONS[app.region]}"


async def provision(sandbox: Sandbox, addon: Addon) -> Answer:
    """POST the resource to the provider; the same uuid again, at most three times, while it fails."""
    grant: dict[str, str] = {}
    answer = Answer(None, {}, "not sent")
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(ATTEMPT_PAUSE_SECONDS * attempt)
        hits = faults.strikes(sandbox, "provider.provision", addon)
        if any(hit.kind == "expire_grant" for hit in hits):
            grant = oauth.issue_grant(sandbox, addon.id, expired=True)
        elif not grant or not oauth.grant_is_usable(sandbox, grant["code"]):
            grant = oauth.issue_grant(sandbox, addon.id)
        body = provision_body(sandbox, addon, grant)
        answer = await _deliver(sandbox, addon, "POST", body, hits)
        if not answer.failed:
            break
    return answer


async def change_plan(sandbox: Sandbox, addon: Addon, plan: str) -> Answer:
    """PUT the new plan to the provider, at most three times while it fails."""
    answer = Answer(None, {}, "not sent")
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(ATTEMPT_PAUSE_SECONDS * attempt)
        hits = faults.strikes(sandbox, "provider.plan_change", addon)
        answer = await _deliver(sandbox, addon, "PUT", {"plan": plan}, hits)
        if not answer.failed:
            break
    return answer


async def deprovision(sandbox: Sandbox, addon: Addon) -> Answer:
    """DELETE the resource at the provider, once."""
    hits = faults.strikes(sandbox, "provider.deprovision", addon)
    return await _deliver(sandbox, addon, "DELETE", None, hits)


async def _deliver(
    sandbox: Sandbox, addon: Addon, method: str, body: dict[str, Any] | None, hits: list[Fault]
) -> Answer:
    for hit in hits:
        if hit.kind == "delay":
            await asyncio.sleep(faults.seconds_of(hit))
    for hit in hits:
        if hit.kind in faults.ANSWERED_KINDS:
            error = faults.answered_error(hit)
            return Answer(error.status, {"message": error.message})
    kinds = {hit.kind: hit for hit in hits}
    if "deliver_late" in kinds:
        wait = faults.seconds_of(kinds["deliver_late"])
        sandbox.spawn(_deliver_later(sandbox, addon, method, body, wait=wait))
    if "deliver_twice" in kinds:
        answer, _ = await asyncio.gather(
            _send(sandbox, addon, method, body), _send(sandbox, addon, method, body, note="delivered twice")
        )
    else:
        answer = await _send(sandbox, addon, method, body)
    for hit in hits:
        if hit.kind in faults.LOST_ANSWER_KINDS:
            await asyncio.sleep(faults.seconds_of(hit))
            return Answer(None, {}, "answer lost (sandbox fault)")
    return answer


async def _deliver_later(
    sandbox: Sandbox, addon: Addon, method: str, body: dict[str, Any] | None, *, wait: float
) -> None:
    await asyncio.sleep(wait)
    await _send(sandbox, addon, method, body, note="delivered late")


async def _send(
    sandbox: Sandbox, addon: Addon, method: str, body: dict[str, Any] | None, *, note: str = ""
) -> Answer:
    service = get_service(sandbox.store, addon.service)
    url = address(service) if method == "POST" else f"{address(service)}/{addon.id}"
    password = service.api["password"]
    headers = {"Accept": VENDOR_TYPE, "Authorization": aiohttp.encode_basic_auth(service.slug, password)}
    data: bytes | None = None
    if body is not None:
        headers["Content-Type"], data = "application/json", json.dumps(body).encode()
    started = time.monotonic()
    answer = await _exchange(sandbox, method, url, headers, data)
    seconds = round(time.monotonic() - started, 3)
    outcome = answer.error or str(answer.status)
    sandbox.record(
        "provider",
        f"{method} {urlsplit(url).path} → {outcome}",
        addon_id=addon.id,
        detail={
            "method": method,
            "status": answer.status,
            "error": answer.error,
            "seconds": seconds,
            "note": note,
            "message": answer.message,
            "plan": (body or {}).get("plan"),
        },
    )
    return answer


async def _exchange(
    sandbox: Sandbox, method: str, url: str, headers: dict[str, str], data: bytes | None
) -> Answer:
    limit = aiohttp.ClientTimeout(total=sandbox.provider_limit)
    try:
        async with sandbox.http.request(
            method, url, headers=headers, data=data, timeout=limit, allow_redirects=False
        ) as response:
            raw = await response.read()
            status = response.status
    except TimeoutError:
        return Answer(None, {}, f"no answer within {sandbox.provider_limit:g} s")
    except (aiohttp.ClientError, OSError) as error:
        return Answer(None, {}, f"could not reach the provider ({type(error).__name__})")
    try:
        parsed = json.loads(raw) if raw.strip() else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        problem = "the body is not a JSON object"
        return Answer(status, {}, None if status >= 400 else problem)
    return Answer(status, parsed)


def address(service: Service) -> str:
    """The service's provisioning endpoint, without a trailing slash."""
    return str(service.api["production"]["base_url"]).rstrip("/")
