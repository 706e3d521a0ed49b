"""The life of a resource, seen from Heroku: create, plan change, destroy, and what its provider may do."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import uuid
from typing import Any

from sandbox import provider, resources
from sandbox.apps import publish_app
from sandbox.attachments import attach
from sandbox.catalogue import resolve_plan
from sandbox.errors import ApiError, invalid
from sandbox.provider import Answer
from sandbox.records import Addon, App, Plan, Service, get_service, reread
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
        resources.give_up(sandbox, addon, reason=problem or answer.error or str(answer.status), delete=True)
        raise ApiError(503, "provider_error", contacting(addon, problem or UNREACHABLE, verb="create"))
    if answer.status not in (200, 201, 202):
        resources.give_up(sandbox, addon, reason=f"refused with {answer.status}", delete=False)
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
            resources.merge_config(sandbox, addon, answer.body.get("config") or {})
            resources.mark_provisioned(sandbox, addon)
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
        resources.check_config(service, answer.body.get("config") or {}, nulls=False)
    except ApiError as error:
        return f"the partner's answer is not valid: {error.message}"
    if "syslog_drain" in service.requires and answer.status != 202 and not answer.body.get("log_drain_url"):
        return "the partner's answer is not valid: log_drain_url is required."
    return None


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
    resources.publish(sandbox, addon, "update")
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
        resources.check_config(get_service(sandbox.store, addon.service), config, nulls=False)
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
        resources.publish(sandbox, addon, "update")
        if config and config.items() - current.config_values.items():
            resources.merge_config(sandbox, addon, config)
            if current.state == "provisioned":
                resources.release_everywhere(sandbox, addon, "Update")
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
            resources.end(sandbox, addon, reason=reason)
            return
        resources.withdraw(sandbox, addon)
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
        publish_app(sandbox, app, "destroy")
        sandbox.store.run("DELETE FROM attachments WHERE app_id = ?", app.id)
        sandbox.store.run("UPDATE apps SET deleted_at = ? WHERE id = ?", sandbox.clock.now(), app.id)


async def send_due_delete(sandbox: Sandbox, addon: Addon) -> None:
    """Repeat a DELETE that is due; any 4xx but 410 is repeated too: no customer is there to be told."""
    async with sandbox.lock(addon.id):
        current = reread(sandbox.store, addon)
        if current.delete_due_at is None or current.delete_due_at > sandbox.clock.now():
            return
        answer = await provider.deprovision(sandbox, current)
        if reread(sandbox.store, current).delete_due_at is not None:
            take_delete_answer(sandbox, current, answer, reason="DELETE acknowledged")
