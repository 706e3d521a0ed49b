"""Attachments: the names add-ons carry on apps."""

from __future__ import annotations

import re
import secrets
import sqlite3
import uuid

from sandbox import shapes, webhooks
from sandbox.apps import release
from sandbox.errors import ApiError, invalid, not_found
from sandbox.records import (
    Addon,
    App,
    Attachment,
    Service,
    attachments_of,
    attachments_on,
    get_addon,
    get_app,
    get_service,
)
from sandbox.state import Sandbox

NAME = re.compile(r"[A-Z][0-9A-Z_]{0,61}")
VISIBLE = "SELECT * FROM addons WHERE deleted_at IS NULL AND unanswered = 0"
COLOURS = (
    *(
        "AMBER",
        "AQUA",
        "BLUE",
        "BRONZE",
        "COBALT",
        "COPPER",
        "CRIMSON",
        "CYAN",
        "GOLD",
        "GRAY",
        "GREEN",
        "IVORY",
    ),
    *(
        "JADE",
        "MAROON",
        "MAUVE",
        "NAVY",
        "OLIVE",
        "ONYX",
        "ORANGE",
        "PINK",
        "PURPLE",
        "RED",
        "ROSE",
        "SILVER",
    ),
    *("TEAL", "VIOLET", "WHITE", "YELLOW"),
)


def attach(sandbox: Sandbox, *, addon_id: str, service: Service, app: App, name: str | None) -> Attachment:
    """Attach a resource to an app under ``name``, or under a free one made from the config var prefix.

    The first of a service on an app is named by the prefix alone, later ones get a colour. Raises ApiError
    422 for a malformed or taken name. Makes no release: the caller knows whether config comes with it.
    """
    taken = {attachment.name for attachment in attachments_on(sandbox.store, app.id)}
    name = name.upper().replace("-", "_") if name else _free_name(service.prefix, taken)
    if not NAME.fullmatch(name) or name.startswith("HEROKU_CONFIG"):
        raise invalid(
            "Name must start with a letter and can only contain uppercase letters, numbers, and underscores."
        )
    row = Attachment(
        str(uuid.uuid4()), addon_id, app.id, name, f"t.{secrets.token_hex(16)}", sandbox.clock.now()
    )
    try:
        sandbox.store.run(
            "INSERT INTO attachments (id, addon_id, app_id, name, log_token, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(row.id, row.addon_id, row.app_id, row.name, row.log_token, row.created_at),
        )
    except sqlite3.IntegrityError:
        raise invalid(f"An attachment named {name} already exists on app {app.name}.") from None
    return row


def _free_name(prefix: str, taken: set[str]) -> str:
    candidates = [prefix, *(f"{prefix}_{colour}" for colour in COLOURS)]
    candidates += [f"{prefix}_{colour}{number}" for number in range(2, 100) for colour in COLOURS]
    return next(name for name in candidates if name not in taken)


def attach_elsewhere(sandbox: Sandbox, *, addon: Addon, app: App, name: str | None) -> Attachment:
    """Attach a provisioned resource to one more app (or again to its own) with a release there.

    Raises ApiError 422 when the service is not ``attachable`` or the resource is not ready.
    """
    service = get_service(sandbox.store, addon.service)
    if "attachable" not in service.requires:
        raise invalid(f"{service.name} does not support sharing between apps.")
    if addon.state != "provisioned":
        raise invalid(f"{addon.name} is {addon.state}; it can be attached once it is provisioned.")
    with sandbox.store.transaction():
        made = attach(sandbox, addon_id=addon.id, service=service, app=app, name=name)
        release(sandbox, app.id, f"Attach {made.name} (@ref:{addon.name})")
        sandbox.record("state", f"Attached to {app.name} as {made.name}", addon_id=addon.id)
        _publish(sandbox, made, "create")
    return made


def _publish(sandbox: Sandbox, attachment: Attachment, action: str) -> None:
    data = shapes.attachment(sandbox, attachment)
    webhooks.publish(sandbox, "api:addon-attachment", action, data, addon_ids=[attachment.addon_id])


def detach(sandbox: Sandbox, attachment: Attachment) -> None:
    """Remove an attachment with a release. Raises ApiError 422 for the last one on the owning app."""
    addon = get_addon(sandbox.store, attachment.addon_id)
    own = [
        row
        for row in attachments_of(sandbox.store, attachment.addon_id)
        if addon and row.app_id == addon.app_id
    ]
    if [row.id for row in own] == [attachment.id]:
        raise invalid(
            "Cannot detach the last attachment on the app that owns the add-on. Destroy the add-on instead."
        )
    with sandbox.store.transaction():
        _publish(sandbox, attachment, "destroy")
        sandbox.store.run("DELETE FROM attachments WHERE id = ?", attachment.id)
        release(sandbox, attachment.app_id, f"Detach {attachment.name} (@ref:{addon.name if addon else ''})")
        app = get_app(sandbox.store, attachment.app_id)
        sandbox.record("state", f"Detached {attachment.name} from {app.name}", addon_id=attachment.addon_id)


def find_attachment(sandbox: Sandbox, reference: str, app: App | None = None) -> Attachment:
    """An attachment by id, or by name on an app. Raises ApiError 404."""
    row = sandbox.store.row(
        "SELECT * FROM attachments WHERE id = ? OR (app_id = ? AND name = ?)",
        *(reference, app.id if app else None, reference.upper()),
    )
    if row is None:
        raise not_found("add-on attachment")
    return Attachment(**row)


def resolve_addons(
    sandbox: Sandbox, reference: str, app: App | None, service: str | None = None
) -> list[Addon]:
    """The live resources a customer means: an id, a name, an attachment's name on the app, or a service.

    ``app::NAME`` names the app inside the reference. Raises ApiError 404 when nothing matches.
    """
    if "::" in reference:
        app_name, _, reference = reference.partition("::")
        row = sandbox.store.row("SELECT id FROM apps WHERE name = ? AND deleted_at IS NULL", app_name)
        if row is None:
            raise not_found("app")
        app = get_app(sandbox.store, row["id"])
    rows = sandbox.store.rows(VISIBLE + " AND (id = ? OR name = ?)", reference, reference)
    if not rows and app is not None:
        of_attachment = " AND id IN (SELECT addon_id FROM attachments WHERE app_id = ? AND name = ?)"
        rows = sandbox.store.rows(VISIBLE + of_attachment, app.id, reference.upper())
    if not rows and app is not None:
        of_service = (
            " AND (service = ? OR service || ':' || plan = ?)"
            " AND id IN (SELECT addon_id FROM attachments WHERE app_id = ?) ORDER BY created_at"
        )
        rows = sandbox.store.rows(VISIBLE + of_service, reference, reference, app.id)
    found = [Addon(**row) for row in rows if service is None or row["service"] == service]
    if not found:
        raise not_found("add-on")
    return found


def resolve_addon(sandbox: Sandbox, reference: str, app: App | None) -> Addon:
    """The one resource meant. Raises ApiError 404, and 422 ``multiple_matches`` when it is not one."""
    found = resolve_addons(sandbox, reference, app)
    if len(found) > 1:
        names = ", ".join(addon.name for addon in found)
        raise ApiError(
            422, "multiple_matches", f"Ambiguous identifier; multiple matching add-ons found: {names}."
        )
    return found[0]
