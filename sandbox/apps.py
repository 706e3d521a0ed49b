"""Apps, their people, config vars and releases."""

from __future__ import annotations

import re
import sqlite3
import uuid
from typing import Any

from sandbox import shapes, webhooks
from sandbox.errors import invalid, not_found
from sandbox.records import App, User, attachments_on, find_app, get_addon, get_app, get_service, get_user
from sandbox.state import DEVELOPER_EMAIL, DEVELOPER_ID, Sandbox

EXAMPLE_APP = "example-app"
APP_NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
CONFIG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONFIG_LIMIT_BYTES = 32 * 1024
# Heroku region -> the Partner API's region value (without "amazon-web-services::").
AWS_REGIONS = {
    "us": "us-east-1",
    "eu": "eu-west-1",
    "virginia": "us-east-1",
    "oregon": "us-west-2",
    "frankfurt": "eu-central-1",
    "dublin": "eu-west-1",
    "tokyo": "ap-northeast-1",
    "singapore": "ap-southeast-1",
    "sydney": "ap-southeast-2",
    "london": "eu-west-2",
    "montreal": "ca-central-1",
    "mumbai": "ap-south-1",
}


def first_start(sandbox: Sandbox) -> None:
    """Create the developer and ``example-app`` in an empty store."""
    if sandbox.store.row("SELECT 1 FROM users") is not None:
        return
    with sandbox.store.transaction():
        sandbox.store.run(
            "INSERT INTO users (id, email, name, created_at) VALUES (?, ?, ?, ?)",
            *(DEVELOPER_ID, DEVELOPER_EMAIL, "Sandbox Developer", sandbox.clock.now()),
        )
        app = create_app(sandbox, name=EXAMPLE_APP)
        add_collaborator(sandbox, app, "teammate@example.com")


def create_app(sandbox: Sandbox, *, name: str | None = None, region: str = "us") -> App:
    """Create an app owned by the developer; without a name one is invented. Raises ApiError 422."""
    name = name or f"sandbox-app-{uuid.uuid4().hex[:6]}"
    if not APP_NAME.fullmatch(name):
        raise invalid(
            "Name must start with a letter, end with a letter or digit and can only contain lowercase"
            " letters, digits, and dashes (3 to 30 characters)."
        )
    if region not in AWS_REGIONS:
        raise invalid(f"Region {region} is unknown. Choose one of {', '.join(AWS_REGIONS)}.")
    now, identity = sandbox.clock.now(), str(uuid.uuid4())
    with sandbox.store.transaction():
        try:
            sandbox.store.run(
                "INSERT INTO apps (id, name, region, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
                *(identity, name, region, now, now),
            )
        except sqlite3.IntegrityError:
            raise invalid(f"Name {name} is already taken") from None
        sandbox.store.run(
            "INSERT INTO collaborators (id, app_id, user_id, role, created_at) VALUES (?, ?, ?, 'owner', ?)",
            *(str(uuid.uuid4()), identity, DEVELOPER_ID, now),
        )
        release(sandbox, identity, "Initial release", restart=False)
    return get_app(sandbox.store, identity)


def rename_app(sandbox: Sandbox, app: App, name: str) -> App:
    """Give an app another name. Raises ApiError 422 when it is malformed or taken."""
    if not APP_NAME.fullmatch(name):
        raise invalid("Name can only contain lowercase letters, digits, and dashes (3 to 30 characters).")
    try:
        sandbox.store.run(
            "UPDATE apps SET name = ?, updated_at = ? WHERE id = ?", name, sandbox.clock.now(), app.id
        )
    except sqlite3.IntegrityError:
        raise invalid(f"Name {name} is already taken") from None
    renamed = get_app(sandbox.store, app.id)
    publish_app(sandbox, renamed, "update")
    return renamed


def publish_app(sandbox: Sandbox, app: App, action: str) -> None:
    """Tell the webhooks of every resource on the app that it was updated or destroyed."""
    webhooks.publish(sandbox, "api:app", action, shapes.app(app), addon_ids=_addon_ids(sandbox, app))


def _addon_ids(sandbox: Sandbox, app: App) -> list[str]:
    return list({attachment.addon_id for attachment in attachments_on(sandbox.store, app.id)})


def require_app(sandbox: Sandbox, reference: str) -> App:
    """A live app by id or name. Raises ApiError 404."""
    app = find_app(sandbox.store, reference)
    if app is None:
        raise not_found("app")
    return app


def release(sandbox: Sandbox, app_id: str, description: str, *, restart: bool = True) -> int:
    """Cut the app's next release, restart its dynos and return the version."""
    with sandbox.store.transaction():
        newest = sandbox.store.row("SELECT max(version) AS version FROM releases WHERE app_id = ?", app_id)
        version = (newest["version"] or 0) + 1 if newest else 1
        now = sandbox.clock.now()
        sandbox.store.run(
            "INSERT INTO releases (id, app_id, version, description, user_id, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(str(uuid.uuid4()), app_id, version, description, DEVELOPER_ID, now),
        )
        sandbox.store.run(
            "UPDATE apps SET restarts = restarts + ?, updated_at = ? WHERE id = ?", int(restart), now, app_id
        )
    return version


def addon_config_on(sandbox: Sandbox, app: App) -> dict[str, tuple[str, str]]:
    """The app's config vars that come from add-ons: name -> (value, add-on name)."""
    found: dict[str, tuple[str, str]] = {}
    for attachment in attachments_on(sandbox.store, app.id):
        addon = get_addon(sandbox.store, attachment.addon_id)
        if addon is None or addon.state != "provisioned":
            continue
        service = get_service(sandbox.store, addon.service)
        for name, value in addon.config_values.items():
            found[service.name_under(attachment.name, name)] = (value, addon.name)
    return found


def config_of(sandbox: Sandbox, app: App) -> dict[str, str]:
    """Every config var of an app, its own and its add-ons', by name."""
    own = sandbox.store.rows("SELECT name, value FROM config_vars WHERE app_id = ?", app.id)
    merged = {row["name"]: row["value"] for row in own}
    merged.update({name: value for name, (value, _) in addon_config_on(sandbox, app).items()})
    return dict(sorted(merged.items()))


def change_config(sandbox: Sandbox, app: App, changes: dict[str, Any]) -> dict[str, str]:
    """Set (string) or unset (null) the app's own config vars; one release for all. Raises ApiError 422."""
    managed = addon_config_on(sandbox, app)
    with sandbox.store.transaction():
        for name, value in changes.items():
            if not CONFIG_NAME.fullmatch(name) or name.startswith("HEROKU_"):
                raise invalid(f"Config var name {name} is not allowed.")
            if name in managed:
                raise invalid(f"Cannot overwrite attachment values {name}.")
            if value is None:
                sandbox.store.run("DELETE FROM config_vars WHERE app_id = ? AND name = ?", app.id, name)
            elif isinstance(value, str):
                sandbox.store.run("INSERT OR REPLACE INTO config_vars VALUES (?, ?, ?)", app.id, name, value)
            else:
                raise invalid(f"Config var {name} must be a string or null.")
        config = config_of(sandbox, app)
        if sum(len(name) + len(value) for name, value in config.items()) > CONFIG_LIMIT_BYTES:
            raise invalid("Config vars are limited to 32 kB per app.")
        if changes:
            verb = "Unset" if all(value is None for value in changes.values()) else "Set"
            release(sandbox, app.id, f"{verb} {', '.join(changes)} config vars")
    return config


def add_collaborator(sandbox: Sandbox, app: App, email: str) -> User:
    """Make a person (created when new) a collaborator of the app; repeating it changes nothing."""
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise invalid("Email is not valid.")
    now = sandbox.clock.now()
    if email in (one["email"] for one in collaborators_of(sandbox, app)):
        return person_on(sandbox, app, email)
    with sandbox.store.transaction():
        sandbox.store.run(
            "INSERT OR IGNORE INTO users (id, email, name, created_at) VALUES (?, ?, ?, ?)",
            *(str(uuid.uuid4()), email, email.split("@")[0], now),
        )
        row = sandbox.store.row("SELECT * FROM users WHERE email = ?", email)
        assert row is not None  # noqa: S101 - inserted above
        sandbox.store.run(
            "INSERT OR IGNORE INTO collaborators (id, app_id, user_id, role, created_at)"
            " VALUES (?, ?, ?, 'member', ?)",
            *(str(uuid.uuid4()), app.id, row["id"], now),
        )
        _publish_collaborator(sandbox, app, row["id"], "create")
    return User(**row)


def _publish_collaborator(sandbox: Sandbox, app: App, user_id: str, action: str) -> None:
    row = next(one for one in collaborators_of(sandbox, app) if one["user_id"] == user_id)
    data = shapes.collaborator(app, row)
    webhooks.publish(sandbox, "api:collaborator", action, data, addon_ids=_addon_ids(sandbox, app))


def remove_collaborator(sandbox: Sandbox, app: App, reference: str) -> User:
    """Take a person (by e-mail or id) off an app. Raises ApiError 404, and 422 for the owner."""
    for row in collaborators_of(sandbox, app):
        if reference in (row["user_id"], row["email"], row["id"]):
            if row["role"] == "owner":
                raise invalid("The owner cannot be removed.")
            with sandbox.store.transaction():
                _publish_collaborator(sandbox, app, row["user_id"], "destroy")
                sandbox.store.run("DELETE FROM collaborators WHERE id = ?", row["id"])
            return get_user(sandbox.store, row["user_id"])
    raise not_found("collaborator")


def collaborators_of(sandbox: Sandbox, app: App) -> list[dict[str, Any]]:
    """The app's people, owner first: collaborator columns joined with ``email`` and ``name``."""
    return sandbox.store.rows(
        "SELECT c.*, u.email, u.name FROM collaborators c JOIN users u ON u.id = c.user_id WHERE c.app_id = ?"
        " ORDER BY c.role = 'owner' DESC, c.created_at, u.email",
        app.id,
    )


def person_on(sandbox: Sandbox, app: App, reference: str | None) -> User:
    """The collaborator (by id or e-mail; None: the developer) who acts. Raises ApiError 404."""
    for row in collaborators_of(sandbox, app):
        if reference in (row["user_id"], row["email"]) or (
            reference is None and row["user_id"] == DEVELOPER_ID
        ):
            return get_user(sandbox.store, row["user_id"])
    raise not_found("collaborator")
