"""``POST /oauth/token`` (id.heroku.com) and the log input (logplex): the other doors a provider uses."""

from __future__ import annotations

import base64
import gzip
import zlib

from aiohttp import web

from sandbox import faults, oauth
from sandbox.errors import ApiError, unauthorized
from sandbox.web_api import SANDBOX, faults_after, faults_before, read_object, to_response

LOG_LIMIT_BYTES = 1024 * 1024
LOGPLEX_TYPES = ("application/logplex-1", "application/x-logplex-1")


async def token(request: web.Request) -> web.StreamResponse:
    """Exchange a grant or refresh an access token; parameters as form, JSON or query."""
    sandbox = request.app[SANDBOX]
    if request.content_type == "application/json":
        given = {key: str(value) for key, value in (await read_object(request)).items()}
    else:
        given = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    form = {**request.query, **given}
    addon = oauth.addon_of_request(sandbox, form)
    hits = faults.strikes(sandbox, "oauth", addon)
    status = 500
    try:
        await faults_before(hits)
        answer = oauth.exchange(
            sandbox, form, treat_as_expired=any(hit.kind == "expire_grant" for hit in hits)
        )
        status = 200
    except ApiError as error:
        status = error.status
        raise
    finally:
        sandbox.record(
            "partner",
            f"POST /oauth/token ({str(form.get('grant_type'))[:40]}) → {status}",
            addon_id=addon.id if addon else None,
            detail={"call": "oauth", "status": status, "faults": [hit.kind for hit in hits]},
        )
    await faults_after(hits, request)
    return to_response(answer)


async def logs(request: web.Request) -> web.StreamResponse:
    """Take log lines posted to a ``log_input_url``: 204; 401 for an unknown token, 400 if malformed."""
    sandbox = request.app[SANDBOX]
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, log_token = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        raise unauthorized() from None
    row = sandbox.store.row("SELECT addon_id FROM attachments WHERE log_token = ?", log_token)
    if scheme.lower() != "basic" or user != "token" or row is None:
        raise unauthorized()
    if request.content_type not in LOGPLEX_TYPES:
        raise ApiError(400, "bad_request", f"Content-Type must be {LOGPLEX_TYPES[0]}.")
    raw = await request.read()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error):
            raise ApiError(400, "bad_request", "The body is not gzip.") from None
    if len(raw) > LOG_LIMIT_BYTES:
        raise ApiError(413, "too_large", "At most 1 MB of log lines at once.")
    frames = read_frames(raw)
    announced = request.headers.get("Logplex-Msg-Count")
    if announced is not None and announced != str(len(frames)):
        raise ApiError(400, "bad_request", f"{len(frames)} messages, but Logplex-Msg-Count says {announced}.")
    for frame in frames:
        text = frame.replace(log_token, "addon")
        sandbox.record("log", text[:1000], addon_id=row["addon_id"])
    return web.Response(status=204)


def read_frames(raw: bytes) -> list[str]:
    """The octet-counted frames of an ``application/logplex-1`` body (RFC 6587). Raises ApiError 400."""
    frames: list[str] = []
    while raw:
        length, separator, rest = raw.partition(b" ")
        if not separator or not length.isdigit() or len(length) > 6 or int(length) > len(rest):
            raise ApiError(400, "bad_request", "The body must be octet-counted frames: <length> <message>…")
        frames.append(rest[: int(length)].decode("utf-8", "replace"))
        raw = rest[int(length) :].lstrip(b"\n")
    return frames
