"""What may happen to a resource: config, states, the provider's actions, limits. Nothing here waits."""

from __future__ import annotations

import json
from typing import Any

from sandbox import oauth, shapes, webhooks
from sandbox.apps import release
from sandbox.errors import invalid
from sandbox.records import Addon, Service, attachments_of, get_app, get_service, reread
from sandbox.state import Sandbox


def check_config(service: Service, config: Any, *, nulls: bool) -> None:
    """Raises ApiError 422 unless ``config`` maps declared config vars to strings (``nulls``: or null)."""
    if not isinstance(config, dict):
        raise invalid("config must be an object.")
    declared = service.api.get("config_vars", [])
    for name, value in config.items():
        if name not in declared:
            raise invalid(f"{name} is not one of the manifest's config_vars.")
        if not isinstance(value, str) and not (nulls and value is None):
            raise invalid(f"the value of {name} must be a string.")


def merge_config(sandbox: Sandbox, addon: Addon, config: dict[str, str | None]) -> dict[str, str]:
    """Set (string) or unset (null) values by the manifest's full names; names left out stay as they are."""
    values: dict[str, str | None] = {**reread(sandbox.store, addon).config_values, **config}
    kept = {name: value for name, value in values.items() if value is not None}
    sandbox.store.run(
        "UPDATE addons SET config = ?, updated_at = ? WHERE id = ?",
        json.dumps(kept),
        sandbox.clock.now(),
        addon.id,
    )
    return kept


def release_everywhere(sandbox: Sandbox, addon: Addon, verb: str) -> None:
    """Cut one release, with a restart, on every app the resource is attached to."""
    by_app: dict[str, list[str]] = {}
    for attachment in attachments_of(sandbox.store, addon.id):
        by_app.setdefault(attachment.app_id, []).append(attachment.name)
    for app_id, names in by_app.items():
        version = release(sandbox, app_id, f"{verb} {', '.join(names)} (@ref:{addon.name})")
        app = get_app(sandbox.store, app_id)
        sandbox.record(
            "release", f"{app.name} v{version}: {verb} {', '.join(names)}, restarted", addon_id=addon.id
        )


def mark_provisioned(sandbox: Sandbox, addon: Addon) -> None:
    """The resource is ready: its config vars appear on its apps, with one release."""
    with sandbox.store.transaction():
        sandbox.store.run(
            "UPDATE addons SET state = 'provisioned', deadline_at = NULL, updated_at = ? WHERE id = ?",
            *(sandbox.clock.now(), addon.id),
        )
        sandbox.record("state", "provisioned", addon_id=addon.id)
        release_everywhere(sandbox, addon, "Attach")
        publish(sandbox, addon, "update")


def publish(sandbox: Sandbox, addon: Addon, action: str) -> None:
    """Tell the resource's webhooks that it was updated or destroyed."""
    data = shapes.addon(sandbox, reread(sandbox.store, addon))
    webhooks.publish(sandbox, "api:addon", action, data, addon_ids=[addon.id])


def give_up(sandbox: Sandbox, addon: Addon, *, reason: str, delete: bool) -> None:
    """A resource that was not created is gone; with ``delete`` the provider is asked to remove it."""
    with sandbox.store.transaction():
        end(sandbox, addon, reason=f"not created: {reason}")
        if delete:
            due = sandbox.clock.now()
            sandbox.store.run("UPDATE addons SET delete_due_at = ? WHERE id = ?", due, addon.id)


def end(sandbox: Sandbox, addon: Addon, *, reason: str) -> None:
    """The resource is gone: no attachment, no config, no access for the provider."""
    now = sandbox.clock.now()
    with sandbox.store.transaction():
        withdraw(sandbox, addon)
        sandbox.store.run(
            "UPDATE addons SET state = 'deprovisioned', unanswered = 0, deleted_at = coalesce(deleted_at, ?),"
            " config = '{}', deadline_at = NULL, delete_due_at = NULL, updated_at = ? WHERE id = ?",
            *(now, now, addon.id),
        )
        publish(sandbox, addon, "destroy")
        webhooks.unsubscribe(sandbox, addon.id)
        oauth.revoke(sandbox, addon.id)
        sandbox.record("state", f"deprovisioned ({reason})", addon_id=addon.id)


def _mark_failed(sandbox: Sandbox, addon: Addon) -> None:
    if addon.state == "provisioning":
        sandbox.store.run("UPDATE addons SET creation_failed = 1 WHERE id = ?", addon.id)


def withdraw(sandbox: Sandbox, addon: Addon) -> None:
    """Take the resource off its apps, with a release where config vars go away."""
    if reread(sandbox.store, addon).state == "provisioned":
        release_everywhere(sandbox, addon, "Detach")
    sandbox.store.run("DELETE FROM attachments WHERE addon_id = ?", addon.id)


def patch_config(sandbox: Sandbox, addon: Addon, config: dict[str, Any]) -> dict[str, str]:
    """The provider's ``PATCH /addons/<uuid>/config``.

    A provisioned resource's apps are released and restarted; while provisioning nothing happens to them.
    Raises ApiError 422 for undeclared names or bad values.
    """
    check_config(get_service(sandbox.store, addon.service), config, nulls=True)
    with sandbox.store.transaction():
        values = merge_config(sandbox, addon, config)
        if addon.state == "provisioned":
            release_everywhere(sandbox, addon, "Update")
    return values


def provision_action(sandbox: Sandbox, addon: Addon) -> Addon:
    """The provider's ``actions/provision``. A repeat is answered as the first was; it counts as a repeat.

    Raises ApiError 422 while the resource is being deprovisioned.
    """
    with sandbox.store.transaction():
        if addon.state == "provisioning":
            sandbox.store.run(
                "UPDATE addons SET provision_actions = provision_actions + 1 WHERE id = ?", addon.id
            )
            mark_provisioned(sandbox, addon)
        elif addon.state == "provisioned":
            sandbox.store.run(
                "UPDATE addons SET repeated_actions = repeated_actions + 1 WHERE id = ?", addon.id
            )
    if addon.state not in ("provisioning", "provisioned"):
        sandbox.store.run("UPDATE addons SET refused_actions = refused_actions + 1 WHERE id = ?", addon.id)
        raise invalid(f"{addon.name} is {addon.state}.")
    return reread(sandbox.store, addon)


def deprovision_action(sandbox: Sandbox, addon: Addon) -> Addon:
    """The provider's ``actions/deprovision``: a provision failed, or an asynchronous deprovision is done.

    Raises ApiError 422 for a provisioned resource that nobody asked to remove.
    """
    if addon.state == "provisioned":
        sandbox.store.run("UPDATE addons SET refused_actions = refused_actions + 1 WHERE id = ?", addon.id)
        raise invalid(f"{addon.name} is provisioned; only its customer can remove it.")
    with sandbox.store.transaction():
        sandbox.store.run(
            "UPDATE addons SET deprovision_actions = deprovision_actions + 1 WHERE id = ?", addon.id
        )
        _mark_failed(sandbox, addon)
        end(sandbox, addon, reason="by the provider's actions/deprovision")
    return reread(sandbox.store, addon)


def end_overdue(sandbox: Sandbox, addon: Addon) -> None:
    """The 12 h limit: an unfinished provision is given up and DELETE is sent; an unfinished asynchronous
    deprovision is ended."""
    with sandbox.store.transaction():
        delete = addon.state == "provisioning"
        _mark_failed(sandbox, addon)
        end(sandbox, addon, reason="not finished within 12 hours")
        if delete:
            due = sandbox.clock.now()
            sandbox.store.run("UPDATE addons SET delete_due_at = ? WHERE id = ?", due, addon.id)


def give_up_interrupted(sandbox: Sandbox) -> int:
    """At start: provision requests that were unanswered when the process ended were acknowledged to nobody;
    they are given up and the provider is asked to delete. Returns how many."""
    rows = sandbox.store.rows("SELECT * FROM addons WHERE unanswered = 1 AND deleted_at IS NULL")
    for row in rows:
        give_up(sandbox, Addon(**row), reason="the sandbox stopped meanwhile", delete=True)
    return len(rows)
