"""Add-on webhooks: what a provider subscribes to for one resource, and the signed deliveries it gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sandbox.clock import iso
from sandbox.errors import invalid, not_found
from sandbox.records import Addon
from sandbox.state import DEVELOPER_EMAIL, DEVELOPER_ID, Sandbox

MEDIA_TYPE = "application/vnd.heroku+json"
INCLUDES = ("api:addon", "api:addon-attachment", "api:app", "api:collaborator")
LEVELS = ("notify", "sync")
KEEP_TRYING_SECONDS = 72 * 3600.0
LONGEST_WAIT_SECONDS = 3600.0
ANSWER_SECONDS = 10.0


def subscribe(sandbox: Sandbox, addon: Addon, body: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Create a subscription from ``{url, level, include, authorization?, secret?}``.

    Returns its row, and the secret if it was made here: that is shown once. Raises ApiError 422.
    """
    values = _checked({"authorization": None, "secret": None, **body})
    generated = None if values["secret"] else secrets.token_hex(32)
    now, identity = sandbox.clock.now(), str(uuid.uuid4())
    sandbox.store.run(
        "INSERT INTO webhooks (id, addon_id, url, level, include, authorization, secret, created_at,"
        " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(identity, addon.id, values["url"], values["level"], json.dumps(values["include"])),
        *(values["authorization"], values["secret"] or generated, now, now),
    )
    return find(sandbox, addon, identity), generated


def change(sandbox: Sandbox, addon: Addon, identity: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change members of a subscription. Raises ApiError 404 and 422."""
    row = find(sandbox, addon, identity)
    known = {
        key: value
        for key, value in body.items()
        if key in ("url", "level", "include", "authorization", "secret")
    }
    values = _checked({**row, "include": json.loads(row["include"]), **known})
    sandbox.store.run(
        "UPDATE webhooks SET url = ?, level = ?, include = ?, authorization = ?, secret = ?, updated_at = ?"
        " WHERE id = ?",
        *(values["url"], values["level"], json.dumps(values["include"]), values["authorization"]),
        *(values["secret"] or row["secret"], sandbox.clock.now(), row["id"]),
    )
    return find(sandbox, addon, identity)


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    url, level, include = values.get("url"), values.get("level"), values.get("include")
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise invalid("url must be an http or https URL.")
    if level not in LEVELS:
        raise invalid(f"level must be one of {', '.join(LEVELS)}.")
    if not isinstance(include, list) or not include or not set(map(str, include)) <= set(INCLUDES):
        raise invalid(f"include must be a list of {', '.join(INCLUDES)}.")
    for name in ("authorization", "secret"):
        if values[name] is not None and not isinstance(values[name], str):
            raise invalid(f"{name} must be a string or null.")
    return values


def find(sandbox: Sandbox, addon: Addon, identity: str) -> dict[str, Any]:
    """A subscription of the resource. Raises ApiError 404."""
    row = sandbox.store.row("SELECT * FROM webhooks WHERE id = ? AND addon_id = ?", identity, addon.id)
    if row is None:
        raise not_found("webhook")
    return row


def of_addon(sandbox: Sandbox, addon: Addon) -> list[dict[str, Any]]:
    """Every subscription of the resource, oldest first."""
    return sandbox.store.rows("SELECT * FROM webhooks WHERE addon_id = ? ORDER BY created_at, id", addon.id)


def unsubscribe(sandbox: Sandbox, addon_id: str, identity: str | None = None) -> None:
    """End one subscription of a resource, or all. What is already under way is still delivered."""
    sql = "DELETE FROM webhooks WHERE addon_id = ? AND (? IS NULL OR id = ?)"
    sandbox.store.run(sql, addon_id, identity, identity)


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A subscription as the Platform API shows it: never its secret or authorization."""
    return {
        "id": row["id"],
        "url": row["url"],
        "level": row["level"],
        "include": json.loads(row["include"]),
        "addon": {"id": row["addon_id"]},
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def publish(
    sandbox: Sandbox, include: str, action: str, data: dict[str, Any], *, addon_ids: list[str]
) -> None:
    """Tell the subscribers among these resources that something of kind ``include`` (``api:app`` …) changed.

    ``action`` is create, update or destroy, ``data`` the thing in its Platform API shape. Part of the
    caller's transaction: an event is sent if and only if the change holds.
    """
    now = sandbox.clock.now()
    for addon_id in addon_ids:
        for row in sandbox.store.rows("SELECT * FROM webhooks WHERE addon_id = ?", addon_id):
            if include not in json.loads(row["include"]):
                continue
            event = {
                "id": str(uuid.uuid4()),
                "action": action,
                "resource": include.removeprefix("api:"),
                "data": data,
                "actor": {"id": DEVELOPER_ID, "email": DEVELOPER_EMAIL},
                "previous_data": {},
                "sequence": None,
                "version": f"{MEDIA_TYPE}; version=3",
                "created_at": iso(now),
                "updated_at": iso(now),
                "published_at": iso(now),
                "webhook_metadata": {
                    "attempt": {"id": str(uuid.uuid4())},
                    "delivery": {"id": str(uuid.uuid4())},
                    "event": {"id": str(uuid.uuid4()), "include": include},
                    "webhook": {"id": row["id"]},
                },
            }
            order = {"url": row["url"], "authorization": row["authorization"], "secret": row["secret"]}
            give_up = now + (KEEP_TRYING_SECONDS if row["level"] == "sync" else 0)
            sandbox.store.run(
                "INSERT INTO deliveries (webhook_id, event, due_at, give_up_at) VALUES (?, ?, ?, ?)",
                *(row["id"], json.dumps({"addon": addon_id, "order": order, "event": event}), now, give_up),
            )


def signature(raw: bytes, secret: str) -> str:
    """The ``Heroku-Webhook-Hmac-SHA256`` header: base64 of the HMAC over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


async def deliver(sandbox: Sandbox, row: dict[str, Any]) -> None:
    """Make one attempt at a delivery; any 2xx ends it, else it is due again later, until it is given up."""
    job = json.loads(row["event"])
    job["event"]["webhook_metadata"]["attempt"]["id"] = str(uuid.uuid4())
    raw, order = json.dumps(job["event"]).encode(), job["order"]
    headers = {
        "Content-Type": "application/json",
        "Heroku-Webhook-Hmac-SHA256": signature(raw, order["secret"]),
    }
    if order["authorization"]:
        headers["Authorization"] = order["authorization"]
    outcome = "no answer"
    delivered = False
    try:
        limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with sandbox.http.post(order["url"], data=raw, headers=headers, timeout=limit) as response:
            outcome, delivered = str(response.status), 200 <= response.status < 300
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        outcome = type(error).__name__
    resource, action = job["event"]["resource"], job["event"]["action"]
    sandbox.record("webhook", f"{resource} {action} → {outcome}", addon_id=job["addon"])
    now, attempts = sandbox.clock.now(), row["attempts"] + 1
    if delivered or now >= row["give_up_at"]:
        sandbox.store.run("DELETE FROM deliveries WHERE id = ?", row["id"])
        return
    due = now + min(2.0**attempts, LONGEST_WAIT_SECONDS)
    sandbox.store.run("UPDATE deliveries SET attempts = ?, due_at = ? WHERE id = ?", attempts, due, row["id"])


def due(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The deliveries to be attempted now: for each subscription its oldest, because they are ordered."""
    return sandbox.store.rows(
        "SELECT * FROM deliveries WHERE due_at <= ?"
        " AND id IN (SELECT min(id) FROM deliveries GROUP BY webhook_id)",
        sandbox.clock.now(),
    )
