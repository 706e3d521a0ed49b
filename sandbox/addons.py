"""The life of a resource, seen from Heroku: create, plan change, destroy, and what its provider may do."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import uuid
from typing import Any

from sandbox import oauth, provider
from sandbox.apps import release
from sandbox.attachments import attach
from sandbox.catalogue import resolve_plan
from sandbox.errors import ApiError, invalid
from sandbox.provider import Answer
from sandbox.records import Addon, App, Plan, Service, attachments_of, get_app, get_service, reread
from sandbox.state import Sandbox

PROVISION_LIMIT_SECONDS = 12 * 3600.0
ADDON_NAME = re.compile(r"[a-zA-Z][A-Za-z0-9_-]+")
WORDS = ("cubic", "round", "angular", "curly", "solid", "shallow", "vertical", "parallel", "concave", "deep")
UNREACHABLE = "The add-on partner could not be reached or failed to answer. Please try again later."


async def create_addon(
    sandbox: Sandbox,
    *,
    app: App,
    plan_reference: str,
    attachment_name: str | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
) -> Addon:
    """Add a service to an app: ask the provider, and return the add-on ``provisioned`` or ``provisioning``.

    Raises ApiError when Heroku or the provider refuses (422, with the provider's message), or the provider
    does not answer (503); then no add-on exists, and what the provider may have made is asked to be deleted.
    """
    service, plan = resolve_plan(sandbox, plan_reference)
    addon = _reserve(
        sandbox,
        app=app,
        service=service,
        plan=plan,
        attachment_name=attachment_name,
        name=name,
        options=options,
    )
    async with sandbox.lock(addon.id):
        answer = await provider.provision(sandbox, addon)
        return _take_provision_answer(sandbox, addon, answer)


def _reserve(
    sandbox: Sandbox,
    *,
    app: App,
    service: Service,
    plan: Plan,
    attachment_name: str | None,
    name: str | None,
    options: dict[str, Any] | None,
) -> Addon:
    _check_allowed(sandbox, app, service)
    identity = str(uuid.uuid4())
    name = name or f"{service.slug}-{secrets.choice(WORDS)}-{secrets.randbelow(90000) + 10000}"
    if not ADDON_NAME.fullmatch(name):
        raise invalid(
            "Name must start with a letter and can only contain letters, numbers, dashes and underscores."
        )
    # Option values are handed on as text, a bare switch as "true" (Dev Center "Accepting Custom Options").
    texts = {key: _option_text(value) for key, value in (options or {}).items()}
    now = sandbox.clock.now()
    with sandbox.store.transaction():
        try:
            sandbox.store.run(
                "INSERT INTO addons (id, name, service, plan, app_id, state, options, deadline_at,"
                " created_at, updated_at) VALUES (?, ?, ?, ?, ?, 'provisioning', ?, ?, ?, ?)",
                *(identity, name, service.slug, plan.name, app.id, json.dumps(texts)),
                *(now + PROVISION_LIMIT_SECONDS, now, now),
            )
        except sqlite3.IntegrityError:
            raise invalid(f"Add-on name {name} is already taken.") from None
        attach(sandbox, addon_id=identity, service=service, app=app, name=attachment_name)
        row = sandbox.store.row("SELECT * FROM addons WHERE id = ?", identity)
        sandbox.record("state", f"Requested {plan.full_name} for {app.name}", addon_id=identity)
    assert row is not None  # noqa: S101 - inserted above
    return Addon(**row)


def _option_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _check_allowed(sandbox: Sandbox, app: App, service: Service) -> None:
    regions = service.api["regions"]
    if app.region not in regions and "*" not in regions:
        raise invalid(f"{service.name} is not available in the region {app.region}.")
    if "many_per_app" in service.requires:
        return
    sql = "SELECT name FROM addons WHERE app_id = ? AND service = ? AND deleted_at IS NULL"
    present = sandbox.store.row(sql, app.id, service.slug)
    if present is not None:
        raise invalid(f"{service.name} is already installed on {app.name} ({present['name']}).")


def _take_provision_answer(sandbox: Sandbox, addon: Addon, answer: Answer) -> Addon:
    service = get_service(sandbox.store, addon.service)
    problem = None if answer.failed else _problem_of(service, answer)
    if answer.failed or problem:
        # What became of the request is not known, so the provider is told to remove whatever it made.
        _give_up(sandbox, addon, reason=problem or answer.error or str(answer.status), delete=True)
        raise ApiError(503, "provider_error", contacting(addon, problem or UNREACHABLE, verb="create"))
    if answer.status not in (200, 201, 202):
        _give_up(sandbox, addon, reason=f"refused with {answer.status}", delete=False)
        raise invalid(contacting(addon, answer.message or UNREACHABLE, verb="create"))
    with sandbox.store.transaction():
        sandbox.store.run(
            "UPDATE addons SET unanswered = 0, provider_id = ?, message = ?, drain_url = ?, updated_at = ?"
            " WHERE id = ?",
            *(
                answer.body["id"],
                answer.message or None,
                answer.body.get("log_drain_url"),
                sandbox.clock.now(),
            ),
            addon.id,
        )
        if answer.status == 202:
            sandbox.record(
                "state", "provisioning: accepted, waiting for actions/provision", addon_id=addon.id
            )
        else:
            merge_config(sandbox, addon, answer.body.get("config") or {})
            mark_provisioned(sandbox, addon)
    return reread(sandbox.store, addon)


def contacting(addon: Addon, message: str, *, verb: str) -> str:
    """An error of the provider as Heroku words it for the customer: a fixed prefix, then the message."""
    plan = f"{addon.service}:{addon.plan}"
    return f"An error was encountered when contacting the add-on partner to {verb} {plan}: {message}"


def _problem_of(service: Service, answer: Answer) -> str | None:
    """Why a 2xx answer to a provision request breaks the Partner API, or None."""
    if answer.status not in (200, 201, 202):
        return None
    if answer.error:
        return f"the partner's answer is not valid: {answer.error}."
    if not isinstance(answer.body.get("id"), str) or not answer.body["id"]:
        return "the partner's answer is not valid: id must be a non-empty string."
    try:
        check_config(service, answer.body.get("config") or {}, nulls=False)
    except ApiError as error:
        return f"the partner's answer is not valid: {error.message}"
    if "syslog_drain" in service.requires and answer.status != 202 and not answer.body.get("log_drain_url"):
        return "the partner's answer is not valid: log_drain_url is required."
    return None


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


def _give_up(sandbox: Sandbox, addon: Addon, *, reason: str, delete: bool) -> None:
    with sandbox.store.transaction():
        _end(sandbox, addon, reason=f"not created: {reason}")
        if delete:
            due = sandbox.clock.now()
            sandbox.store.run("UPDATE addons SET delete_due_at = ? WHERE id = ?", due, addon.id)


def _end(sandbox: Sandbox, addon: Addon, *, reason: str) -> None:
    """The resource is gone: no attachment, no config, no access for the provider."""
    now = sandbox.clock.now()
    with sandbox.store.transaction():
        withdraw(sandbox, addon)
        sandbox.store.run(
            "UPDATE addons SET state = 'deprovisioned', unanswered = 0, deleted_at = coalesce(deleted_at, ?),"
            " config = '{}', deadline_at = NULL, delete_due_at = NULL, updated_at = ? WHERE id = ?",
            *(now, now, addon.id),
        )
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


def rename_addon(sandbox: Sandbox, addon: Addon, name: str) -> Addon:
    """Give a resource another name. Raises ApiError 422 when it is malformed or taken."""
    if not ADDON_NAME.fullmatch(name):
        raise invalid(
            "Name must start with a letter and can only contain letters, numbers, dashes and underscores."
        )
    now = sandbox.clock.now()
    try:
        sandbox.store.run("UPDATE addons SET name = ?, updated_at = ? WHERE id = ?", name, now, addon.id)
    except sqlite3.IntegrityError:
        raise invalid(f"Add-on name {name} is already taken.") from None
    return reread(sandbox.store, addon)


async def change_plan(sandbox: Sandbox, *, addon: Addon, plan_reference: str) -> Addon:
    """Move a resource to another plan of its service, after the provider agreed (200 or 202).

    Raises ApiError 422 for a plan of another service or the provider's refusal, 503 when it does not answer;
    then the plan stays as it was here (the provider may have changed it).
    """
    reference = plan_reference if ":" in plan_reference else f"{addon.service}:{plan_reference}"
    row = sandbox.store.row("SELECT 1 FROM plans WHERE id = ?", plan_reference)
    service, plan = resolve_plan(sandbox, plan_reference if row else reference)
    if service.slug != addon.service:
        raise invalid(f"{addon.name} is a {addon.service} add-on; its plan must be one of {addon.service}'s.")
    async with sandbox.lock(addon.id):
        addon = reread(sandbox.store, addon)
        if addon.state not in ("provisioning", "provisioned"):
            raise invalid(f"{addon.name} is {addon.state}.")
        answer = await provider.change_plan(sandbox, addon, plan.name)
        return _take_plan_answer(sandbox, addon, plan, answer)


def _take_plan_answer(sandbox: Sandbox, addon: Addon, plan: Plan, answer: Answer) -> Addon:
    verb = f"move {addon.name} to {plan.full_name} from"
    if answer.failed:
        raise ApiError(503, "provider_error", contacting(addon, UNREACHABLE, verb=verb))
    if answer.status is None or not 200 <= answer.status < 300:
        raise invalid(contacting(addon, answer.message or UNREACHABLE, verb=verb))
    config = answer.body.get("config") or {}
    try:
        check_config(get_service(sandbox.store, addon.service), config, nulls=False)
    except ApiError as error:
        sandbox.record("provider", f"config of the answer ignored: {error.message}", addon_id=addon.id)
        config = {}
    with sandbox.store.transaction():
        current = reread(sandbox.store, addon)
        if current.deleted_at is not None:
            raise invalid(f"{addon.name} was deprovisioned meanwhile.")
        sandbox.store.run(
            "UPDATE addons SET plan = ?, message = ?, updated_at = ? WHERE id = ?",
            *(plan.name, answer.message or None, sandbox.clock.now(), addon.id),
        )
        sandbox.record("state", f"plan {plan.full_name}", addon_id=addon.id)
        if config and config.items() - current.config_values.items():
            merge_config(sandbox, addon, config)
            if current.state == "provisioned":
                release_everywhere(sandbox, addon, "Update")
    return reread(sandbox.store, addon)


async def destroy_addon(sandbox: Sandbox, addon: Addon) -> Addon:
    """Deprovision a resource for a customer; returns it ``deprovisioned``, or ``deprovisioning`` while the
    provider works on it (202) or has not answered yet (5xx, timeout: repeated in the background).

    Raises ApiError 422 with the provider's message when it refuses (a 4xx but 410); nothing changes then.
    """
    async with sandbox.lock(addon.id):
        addon = reread(sandbox.store, addon)
        if addon.deleted_at is not None or addon.state == "deprovisioning":
            return addon
        answer = await provider.deprovision(sandbox, addon)
        if reread(sandbox.store, addon).deleted_at is not None:
            return reread(sandbox.store, addon)
        if not answer.failed and answer.status not in (200, 201, 202, 204, 410):
            raise invalid(contacting(addon, answer.message or UNREACHABLE, verb="destroy"))
        take_delete_answer(sandbox, addon, answer, reason="destroyed by the customer")
        return reread(sandbox.store, addon)


def take_delete_answer(sandbox: Sandbox, addon: Addon, answer: Answer, *, reason: str) -> None:
    """What an answer to DELETE means for the resource: gone, going (202), or to be asked again."""
    now = sandbox.clock.now()
    with sandbox.store.transaction():
        if answer.status == 410 or (
            answer.status is not None and 200 <= answer.status < 300 and answer.status != 202
        ):
            _end(sandbox, addon, reason=reason)
            return
        withdraw(sandbox, addon)
        attempts = reread(sandbox.store, addon).delete_attempts + 1
        due = None if answer.status == 202 else now + min(2.0**attempts, 3600.0)
        deadline = now + PROVISION_LIMIT_SECONDS if answer.status == 202 else None
        sandbox.store.run(
            "UPDATE addons SET state = CASE WHEN deleted_at IS NULL THEN 'deprovisioning' ELSE state END,"
            " unanswered = 0, delete_due_at = ?, delete_attempts = ?, deadline_at = ?, updated_at = ?"
            " WHERE id = ?",
            *(due, attempts, deadline, now, addon.id),
        )
        waiting = "the provider works on it" if due is None else "DELETE will be repeated"
        sandbox.record("state", f"deprovisioning: {waiting}", addon_id=addon.id)


async def destroy_app(sandbox: Sandbox, app: App) -> None:
    """Delete an app: its add-ons are destroyed, foreign attachments removed. Raises what a refusal raises."""
    rows = sandbox.store.rows(
        "SELECT * FROM addons WHERE app_id = ? AND deleted_at IS NULL AND state != 'deprovisioning'", app.id
    )
    for row in rows:
        await destroy_addon(sandbox, Addon(**row))
    with sandbox.store.transaction():
        sandbox.store.run("DELETE FROM attachments WHERE app_id = ?", app.id)
        sandbox.store.run("UPDATE apps SET deleted_at = ? WHERE id = ?", sandbox.clock.now(), app.id)


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
        _end(sandbox, addon, reason="by the provider's actions/deprovision")
    return reread(sandbox.store, addon)


def end_overdue(sandbox: Sandbox, addon: Addon) -> None:
    """The 12 h limit: an unfinished provision is given up and DELETE is sent; an unfinished asynchronous
    deprovision is ended."""
    with sandbox.store.transaction():
        delete = addon.state == "provisioning"
        _mark_failed(sandbox, addon)
        _end(sandbox, addon, reason="not finished within 12 hours")
        if delete:
            due = sandbox.clock.now()
            sandbox.store.run("UPDATE addons SET delete_due_at = ? WHERE id = ?", due, addon.id)


def give_up_interrupted(sandbox: Sandbox) -> int:
    """At start: provision requests that were unanswered when the process ended were acknowledged to nobody;
    they are given up and the provider is asked to delete. Returns how many."""
    rows = sandbox.store.rows("SELECT * FROM addons WHERE unanswered = 1 AND deleted_at IS NULL")
    for row in rows:
        _give_up(sandbox, Addon(**row), reason="the sandbox stopped meanwhile", delete=True)
    return len(rows)


async def send_due_delete(sandbox: Sandbox, addon: Addon) -> None:
    """Repeat a DELETE that is due; any 4xx but 410 is repeated too: no customer is there to be told."""
    async with sandbox.lock(addon.id):
        current = reread(sandbox.store, addon)
        if current.delete_due_at is None or current.delete_due_at > sandbox.clock.now():
            return
        answer = await provider.deprovision(sandbox, current)
        if reread(sandbox.store, current).delete_due_at is not None:
            take_delete_answer(sandbox, current, answer, reason="DELETE acknowledged")
