"""Grants, access tokens and refresh tokens: how a provider gets to the Platform API."""

from __future__ import annotations

import hmac
import secrets
import time
import uuid
from typing import Any

from sandbox.catalogue import ANY_SECRET
from sandbox.clock import vendor_time
from sandbox.errors import ApiError, unauthorized
from sandbox.records import Addon, get_addon, get_service
from sandbox.state import DEVELOPER_ID, Sandbox

GRANT_SECONDS = 300.0
ACCESS_SECONDS = 8 * 3600.0
# Unlike a customer's API key, which may be any text, a partner's token is always one that was given out.
TOKEN_PREFIX = "HRKU-partner-"  # noqa: S105 - a prefix


def issue_grant(sandbox: Sandbox, addon_id: str, *, expired: bool = False) -> dict[str, str]:
    """A new single-use ``oauth_grant`` for a resource, living 5 minutes (``expired``: dead on arrival)."""
    code, now = str(uuid.uuid4()), sandbox.clock.now()
    ends = now - 1 if expired else now + GRANT_SECONDS
    sandbox.store.run(
        "INSERT INTO grants (code, addon_id, expires_at) VALUES (?, ?, ?)", code, addon_id, ends
    )
    # The reader compares with an ordinary clock, so the moment is given on that one.
    real = time.time() + sandbox.clock.real_seconds(GRANT_SECONDS)
    return {"code": code, "type": "authorization_code", "expires_at": vendor_time(real)}


def grant_is_usable(sandbox: Sandbox, code: str) -> bool:
    """Whether a code could be exchanged now."""
    row = sandbox.store.row("SELECT * FROM grants WHERE code = ? AND used_at IS NULL", code)
    return row is not None and row["expires_at"] > sandbox.clock.now()


def addon_of_request(sandbox: Sandbox, form: dict[str, str]) -> Addon | None:
    """The resource a token request is about, for the event log and faults; proves nothing."""
    row = sandbox.store.row("SELECT addon_id FROM grants WHERE code = ?", form.get("code", ""))
    row = row or sandbox.store.row(
        "SELECT addon_id FROM tokens WHERE token = ?", form.get("refresh_token", "")
    )
    return get_addon(sandbox.store, row["addon_id"]) if row else None


def exchange(sandbox: Sandbox, form: dict[str, str], *, treat_as_expired: bool = False) -> dict[str, Any]:
    """Answer ``POST /oauth/token`` (``authorization_code`` and ``refresh_token``).

    Raises ApiError 400 ``invalid_grant`` for a code that is unknown, used or older than 5 minutes, 401 for a
    wrong client secret or a refresh token whose resource is gone, 422 for another grant type. A wrong secret
    does not use up the code.
    """
    kind = form.get("grant_type")
    if kind not in ("authorization_code", "refresh_token"):
        raise ApiError(422, "invalid_params", "grant_type must be authorization_code or refresh_token.")
    addon = addon_of_request(sandbox, form)
    if addon is None:
        raise _refused("The grant is unknown.") if kind == "authorization_code" else unauthorized()
    secret = get_service(sandbox.store, addon.service).oauth_client_secret
    if secret != ANY_SECRET and not hmac.compare_digest(
        secret.encode(), form.get("client_secret", "").encode()
    ):
        raise unauthorized("Client secret is not valid.")
    now = sandbox.clock.now()
    with sandbox.store.transaction():
        if kind == "authorization_code":
            return _exchange_code(sandbox, addon, form.get("code", ""), now=now, expired=treat_as_expired)
        refresh = form.get("refresh_token", "")
        row = sandbox.store.row("SELECT * FROM tokens WHERE token = ? AND kind = 'refresh'", refresh)
        if row is None or row["revoked_at"] is not None or addon.deleted_at is not None or treat_as_expired:
            raise unauthorized("The refresh token is not valid.")
        return _answer(sandbox, addon.id, refresh=refresh, now=now)


def _exchange_code(sandbox: Sandbox, addon: Addon, code: str, *, now: float, expired: bool) -> dict[str, Any]:
    if addon.unanswered:
        raise ApiError(404, "not_found", "The provision request has not been answered yet.")
    row = sandbox.store.row("SELECT * FROM grants WHERE code = ?", code)
    if row is None or addon.deleted_at is not None:
        raise _refused("The grant is unknown.")
    if row["used_at"] is not None:
        raise _refused("The grant has been used already.")
    if expired or row["expires_at"] <= now:
        raise _refused("The grant expired; it lives 5 minutes.")
    sandbox.store.run("UPDATE grants SET used_at = ? WHERE code = ?", now, code)
    refresh = str(uuid.uuid4())
    sandbox.store.run(
        "INSERT INTO tokens (token, addon_id, kind) VALUES (?, ?, 'refresh')", refresh, addon.id
    )
    return _answer(sandbox, addon.id, refresh=refresh, now=now)


def _refused(message: str) -> ApiError:
    return ApiError(400, "invalid_grant", message)


def _answer(sandbox: Sandbox, addon_id: str, *, refresh: str, now: float) -> dict[str, Any]:
    access = TOKEN_PREFIX + secrets.token_hex(20)
    sandbox.store.run(
        "INSERT INTO tokens (token, addon_id, kind, expires_at) VALUES (?, ?, 'access', ?)",
        *(access, addon_id, now + ACCESS_SECONDS),
    )
    lifetime = max(int(sandbox.clock.real_seconds(ACCESS_SECONDS)) - 1, 0)
    return {
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": lifetime,
        "token_type": "Bearer",
        "user_id": DEVELOPER_ID,
        "session_nonce": None,
    }


def partner_of(sandbox: Sandbox, token: str) -> Addon | None:
    """The resource whose access token this is; None when it is not a partner's token but a customer's key.

    Raises ApiError 401 for a partner's token that is unknown, expired or revoked.
    """
    if not token.startswith(TOKEN_PREFIX):
        return None
    row = sandbox.store.row("SELECT * FROM tokens WHERE token = ? AND kind = 'access'", token)
    if row is None or row["revoked_at"] is not None or row["expires_at"] <= sandbox.clock.now():
        raise unauthorized()
    addon = get_addon(sandbox.store, row["addon_id"])
    if addon is None or addon.deleted_at is not None:
        raise unauthorized()
    return addon


def revoke(sandbox: Sandbox, addon_id: str) -> None:
    """Take a provider's access to a resource away: grants, access and refresh tokens."""
    now = sandbox.clock.now()
    sandbox.store.run(
        "UPDATE tokens SET revoked_at = ? WHERE addon_id = ? AND revoked_at IS NULL", now, addon_id
    )
    sandbox.store.run("UPDATE grants SET expires_at = 0 WHERE addon_id = ?", addon_id)
