"""How every Platform API call comes in: who calls, in which version, with which faults; how it goes out."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox import faults, oauth
from sandbox.errors import ApiError, not_found, unauthorized
from sandbox.records import Addon
from sandbox.state import Sandbox

log = logging.getLogger(__name__)
SANDBOX = web.AppKey("sandbox", Sandbox)
MEDIA_TYPE = "application/vnd.heroku+json"
LOST_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status other than 200 or with headers of its own."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call: ``partner`` is the resource whose token was shown, None for a customer."""

    sandbox: Sandbox
    request: web.Request
    body: dict[str, Any]
    partner: Addon | None

    def path(self, name: str) -> str:
        """A variable part of the path."""
        return self.request.match_info[name]

    @property
    def expand(self) -> frozenset[str]:
        """The members the caller wants in full (``Accept-Expansion``, ``Accept-Inclusion``)."""
        headers = self.request.headers
        raw = ",".join([*headers.getall("Accept-Expansion", []), *headers.getall("Accept-Inclusion", [])])
        return frozenset(part.strip() for part in raw.split(",") if part.strip())


Handler = Callable[[Call], Awaitable[Any]]


def endpoint(call: str, *, customer: Handler | None = None, partner: Handler | None = None) -> Any:
    """An aiohttp handler for a Platform API call, named ``platform.<call>`` for faults and the event log.

    ``customer`` and ``partner`` answer the two kinds of callers; without one, that kind is answered 403.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        sandbox = request.app[SANDBOX]
        token = bearer(request)
        _check_version(request)
        addon = oauth.partner_of(sandbox, token)
        if addon is not None:
            return await _partner_call(sandbox, request, call, addon, partner)
        if customer is None:
            raise ApiError(403, "forbidden", "Only the add-on's provider may do this.")
        return to_response(await customer(Call(sandbox, request, await read_object(request), None)))

    return handle


async def _partner_call(
    sandbox: Sandbox, request: web.Request, call: str, addon: Addon, handler: Handler | None
) -> web.StreamResponse:
    hits = faults.strikes(sandbox, f"platform.{call}", addon)
    status = 500
    try:
        await faults_before(hits)
        if addon.unanswered:
            raise not_found("add-on")
        if handler is None:
            raise ApiError(403, "forbidden", "The add-on's provider may not do this.")
        answer = to_response(await handler(Call(sandbox, request, await read_object(request), addon)))
        status = answer.status
    except ApiError as error:
        status = error.status
        raise
    finally:
        sandbox.record(
            "partner",
            f"{request.method} {request.path} → {status}",
            addon_id=addon.id,
            detail={"call": call, "status": status, "faults": [hit.kind for hit in hits]},
        )
    await faults_after(hits, request)
    return answer


async def faults_before(hits: list[faults.Fault]) -> None:
    """Delay the call, or raise the error a fault answers with, before anything was done."""
    for hit in hits:
        if hit.kind == "delay":
            await asyncio.sleep(faults.seconds_of(hit))
    for hit in hits:
        if hit.kind in faults.ANSWERED_KINDS:
            raise faults.answered_error(hit)


async def faults_after(hits: list[faults.Fault], request: web.Request) -> None:
    """Lose the answer to a call that was carried out: cut the connection, at once or after a long silence."""
    for hit in hits:
        if hit.kind in faults.LOST_ANSWER_KINDS:
            late = hit.kind == "timeout_after_acting"
            await asyncio.sleep(faults.seconds_of(hit, LOST_ANSWER_SECONDS if late else 0.0))
            if request.transport is not None:
                request.transport.abort()


def bearer(request: web.Request) -> str:
    """The token or API key of the request: Bearer, or the password of Basic (as Git and older CLIs send it).

    Raises ApiError 401 when there is none.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    value = value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, value = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            raise unauthorized() from None
        value = value or user
    elif scheme.lower() != "bearer":
        raise unauthorized("There were no credentials in your `Authorization` header.")
    if not value:
        raise unauthorized()
    return value


def _check_version(request: web.Request) -> None:
    for part in request.headers.get("Accept", "").split(","):
        media, *parameters = (piece.strip().replace(" ", "") for piece in part.split(";"))
        if media == MEDIA_TYPE and any(value.startswith("version=3") for value in parameters):
            return
    message = f"Specify the version with the header Accept: {MEDIA_TYPE}; version=3"
    raise ApiError(406, "not_acceptable", message)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object of the body; an absent body is an empty one. Raises ApiError 400."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise ApiError(400, "bad_request", "The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "bad_request", "The request body must be a JSON object.")
    return body


def to_response(answer: Any) -> web.StreamResponse:
    """A handler's answer as HTTP."""
    if isinstance(answer, web.StreamResponse):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    headers = {"RateLimit-Remaining": "4500", "Request-Id": str(uuid.uuid4()), **reply.headers}
    return web.json_response(reply.body, status=reply.status, headers=headers)


@web.middleware
async def json_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error as ``{id, message, url}``, also for unknown paths and methods."""
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(error)
    except web.HTTPRedirection:
        raise
    except web.HTTPNotFound:
        return error_response(not_found("endpoint of the sandbox"))
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return error_response(ApiError(error.status, "bad_request", error.reason, allow))
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return error_response(ApiError(500, "internal_server_error", "The sandbox failed; its log says why."))


@web.middleware
async def same_site(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Another web site open in the developer's browser may not change anything here.

    Browsers tell where a request comes from (``Sec-Fetch-Site``); programs do not send it.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    if request.method not in ("GET", "HEAD") and site not in ("same-origin", "none"):
        raise ApiError(403, "forbidden", "Requests from other web sites are refused.")
    return await handler(request)


def error_response(error: ApiError) -> web.Response:
    """An ApiError as HTTP."""
    body = {"id": error.id, "message": error.message, "url": None}
    if error.resource:
        body["resource"] = error.resource
    return web.json_response(body, status=error.status, headers=error.headers)
