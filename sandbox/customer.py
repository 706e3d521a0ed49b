"""The Platform API as a customer and the Heroku CLI see it."""

from __future__ import annotations

import re
from typing import Any

from sandbox import addons, apps, attachments, catalogue, shapes, sso
from sandbox.errors import ApiError, invalid, not_found
from sandbox.records import (
    Addon,
    App,
    all_apps,
    all_services,
    attachments_of,
    attachments_on,
    find_app,
    find_service,
    get_user,
    plans_of,
)
from sandbox.state import DEVELOPER_ID, Sandbox
from sandbox.web_api import Call, Reply


def app_of(call: Call) -> App:
    """The app of the path. Raises ApiError 404."""
    return apps.require_app(call.sandbox, call.path("app"))


def addon_of(call: Call) -> Addon:
    """The add-on of the path, by id or name (within the path's app when it has one). Raises ApiError 404.

    An add-on whose creation failed after a 202 is still shown, as ``deprovisioned``: the CLI that waits for
    it asks for its state.
    """
    reference = call.path("addon")
    scoped = app_of(call) if "app" in call.request.match_info else None
    try:
        return attachments.resolve_addon(call.sandbox, reference, scoped)
    except ApiError as error:
        if error.status != 404:
            raise
        sql = (
            "SELECT * FROM addons WHERE (id = ? OR name = ?) AND creation_failed = 1 ORDER BY deleted_at DESC"
        )
        row = call.sandbox.store.row(sql, reference, reference)
        if row is None or call.request.method != "GET":
            raise
        return Addon(**row)


def string_in(body: dict[str, Any], *path: str) -> str | None:
    """A string at a path of members, None when it is absent or null. Raises ApiError 422 for another type."""
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is not None and not isinstance(value, str):
        raise invalid(f"{'.'.join(path)} must be a string.")
    return value


async def account(call: Call) -> Any:
    """``GET /account`` (also ``/users/~``)."""
    return shapes.account(get_user(call.sandbox.store, DEVELOPER_ID))


async def rate_limits(call: Call) -> Any:
    """``GET /account/rate-limits``."""
    return {"remaining": 4500}


async def nothing(call: Call) -> Any:
    """A list the sandbox has nothing for, e.g. teams."""
    return []


async def list_apps(call: Call) -> Any:
    """``GET /apps``."""
    return [shapes.app(row) for row in all_apps(call.sandbox.store)]


async def create_app(call: Call) -> Any:
    """``POST /apps``."""
    name = string_in(call.body, "name")
    region = call.body.get("region")
    region = (
        string_in(call.body, "region", "name") if isinstance(region, dict) else string_in(call.body, "region")
    )
    return Reply(shapes.app(apps.create_app(call.sandbox, name=name, region=region or "us")), 201)


async def show_app(call: Call) -> Any:
    """``GET /apps/<app>``."""
    return shapes.app(app_of(call))


async def update_app(call: Call) -> Any:
    """``PATCH /apps/<app>``: the name."""
    row, name = app_of(call), string_in(call.body, "name")
    return shapes.app(apps.rename_app(call.sandbox, row, name) if name else row)


async def delete_app(call: Call) -> Any:
    """``DELETE /apps/<app>``."""
    row = app_of(call)
    await addons.destroy_app(call.sandbox, row)
    return shapes.app(row)


async def config_vars(call: Call) -> Any:
    """``GET /apps/<app>/config-vars``."""
    return apps.config_of(call.sandbox, app_of(call))


async def update_config_vars(call: Call) -> Any:
    """``PATCH /apps/<app>/config-vars``."""
    return apps.change_config(call.sandbox, app_of(call), call.body)


async def releases(call: Call) -> Any:
    """``GET /apps/<app>/releases``, with the ``order`` and ``max`` of a ``Range`` header."""
    row = app_of(call)
    found = call.sandbox.store.rows("SELECT * FROM releases WHERE app_id = ? ORDER BY version", row.id)
    shown = [
        shapes.release(call.sandbox, row, one, current=one["version"] == found[-1]["version"])
        for one in found
    ]
    wanted = call.request.headers.get("Range", "")
    if "order=desc" in wanted.replace(" ", ""):
        shown.reverse()
    limit = re.search(r"max=(\d+)", wanted)
    if limit and int(limit[1]) < len(shown):
        return Reply(shown[: int(limit[1])], 206)
    return shown


async def show_release(call: Call) -> Any:
    """``GET /apps/<app>/releases/<id or version>``."""
    wanted = call.path("release")
    every = call.sandbox.store.rows(
        "SELECT * FROM releases WHERE app_id = ? ORDER BY version", app_of(call).id
    )
    for one in every:
        if wanted in (one["id"], str(one["version"]), f"v{one['version']}"):
            return shapes.release(call.sandbox, app_of(call), one, current=one is every[-1])
    raise not_found("release")


async def collaborators(call: Call) -> Any:
    """``GET /apps/<app>/collaborators``."""
    row = app_of(call)
    return [shapes.collaborator(row, one) for one in apps.collaborators_of(call.sandbox, row)]


async def add_collaborator(call: Call) -> Any:
    """``POST /apps/<app>/collaborators`` with ``{user}``: an e-mail address."""
    row, email = app_of(call), string_in(call.body, "user")
    if not email:
        raise invalid("user must be an e-mail address.")
    person = apps.add_collaborator(call.sandbox, row, email)
    every = apps.collaborators_of(call.sandbox, row)
    return Reply(shapes.collaborator(row, next(one for one in every if one["user_id"] == person.id)), 201)


async def remove_collaborator(call: Call) -> Any:
    """``DELETE /apps/<app>/collaborators/<e-mail or id>``."""
    row = app_of(call)
    before = {one["user_id"]: one for one in apps.collaborators_of(call.sandbox, row)}
    gone = apps.remove_collaborator(call.sandbox, row, call.path("collaborator"))
    return shapes.collaborator(row, before[gone.id])


async def list_services(call: Call) -> Any:
    """``GET /addon-services``."""
    return [shapes.service(row) for row in all_services(call.sandbox.store)]


async def show_service(call: Call) -> Any:
    """``GET /addon-services/<service>``."""
    row = find_service(call.sandbox.store, call.path("service"))
    if row is None:
        raise not_found("add-on service")
    return shapes.service(row)


async def list_plans(call: Call) -> Any:
    """``GET /addon-services/<service>/plans``."""
    row = find_service(call.sandbox.store, call.path("service"))
    if row is None:
        raise not_found("add-on service")
    return [shapes.plan(call.sandbox, plan) for plan in plans_of(call.sandbox.store, row.slug)]


async def show_plan(call: Call) -> Any:
    """``GET /addon-services/<service>/plans/<plan>`` and ``GET /plans/<service:plan or id>``."""
    reference = call.path("plan")
    if "service" in call.request.match_info and ":" not in reference:
        reference = f"{call.path('service')}:{reference}"
    return shapes.plan(call.sandbox, catalogue.resolve_plan(call.sandbox, reference)[1])


def _shown(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [shapes.addon(call.sandbox, Addon(**row), expand=call.expand) for row in rows]


async def list_addons(call: Call) -> Any:
    """``GET /addons``."""
    return _shown(call, call.sandbox.store.rows(attachments.VISIBLE + " ORDER BY created_at"))


async def list_app_addons(call: Call) -> Any:
    """``GET /apps/<app>/addons``: those the app owns."""
    sql = attachments.VISIBLE + " AND app_id = ? ORDER BY created_at"
    return _shown(call, call.sandbox.store.rows(sql, app_of(call).id))


async def create_addon(call: Call) -> Any:
    """``POST /apps/<app>/addons`` with ``{plan, attachment?, config?, name?}``."""
    row, plan = app_of(call), call.body.get("plan")
    reference = (string_in(plan, "name") or string_in(plan, "id")) if isinstance(plan, dict) else plan
    if not isinstance(reference, str) or not reference:
        raise invalid("plan must be given.")
    options = call.body.get("config") or {}
    if not isinstance(options, dict):
        raise invalid("config must be an object.")
    made = await addons.create_addon(
        call.sandbox,
        app=row,
        plan_reference=reference,
        attachment_name=string_in(call.body, "attachment", "name"),
        name=string_in(call.body, "name"),
        options=options,
    )
    return Reply(shapes.addon(call.sandbox, made, expand=call.expand), 201)


async def show_addon(call: Call) -> Any:
    """``GET /addons/<addon>`` and ``GET /apps/<app>/addons/<addon>``."""
    return shapes.addon(call.sandbox, addon_of(call), expand=call.expand)


async def update_addon(call: Call) -> Any:
    """``PATCH /apps/<app>/addons/<addon>`` with ``{plan?, name?}``."""
    row, plan = addon_of(call), call.body.get("plan")
    reference = (string_in(plan, "name") or string_in(plan, "id")) if isinstance(plan, dict) else plan
    name = string_in(call.body, "name")
    if reference is not None and not isinstance(reference, str):
        raise invalid("plan must be a name.")
    if name:
        row = addons.rename_addon(call.sandbox, row, name)
    if reference:
        row = await addons.change_plan(call.sandbox, addon=row, plan_reference=reference)
    return shapes.addon(call.sandbox, row, expand=call.expand)


async def delete_addon(call: Call) -> Any:
    """``DELETE /apps/<app>/addons/<addon>``."""
    row = addon_of(call)
    before = shapes.addon(call.sandbox, row, expand=call.expand)
    gone = await addons.destroy_addon(call.sandbox, row)
    return {**before, "state": gone.state}


async def addon_config(call: Call) -> Any:
    """``GET /addons/<addon>/config``."""
    return shapes.config_list(addon_of(call).config_values)


async def sso_parameters(call: Call) -> Any:
    """``GET /apps/<app>/addons/<addon>/sso``: ``{method, action, params}``."""
    row, on = addon_of(call), app_of(call)
    user = apps.person_on(call.sandbox, on, call.request.query.get("user"))
    return sso.parameters(call.sandbox, addon=row, user=user, context_app=on)


async def list_attachments(call: Call) -> Any:
    """``GET /addon-attachments``, also below ``/apps/<app>`` and ``/addons/<addon>``."""
    store = call.sandbox.store
    if "addon" in call.request.match_info:
        rows = attachments_of(store, addon_of(call).id)
    elif "app" in call.request.match_info:
        rows = attachments_on(store, app_of(call).id)
    else:
        rows = [row for on in all_apps(store) for row in attachments_on(store, on.id)]
    ready = "SELECT id FROM addons WHERE unanswered = 0"
    visible = {row["id"] for row in store.rows(ready)}
    return [
        shapes.attachment(call.sandbox, row, expand=call.expand) for row in rows if row.addon_id in visible
    ]


async def create_attachment(call: Call) -> Any:
    """``POST /addon-attachments`` with ``{addon, app, name?}``."""
    app_reference, addon_reference = _reference(call.body, "app"), _reference(call.body, "addon")
    on = apps.require_app(call.sandbox, app_reference)
    row = attachments.resolve_addon(call.sandbox, addon_reference, None)
    made = attachments.attach_elsewhere(call.sandbox, addon=row, app=on, name=string_in(call.body, "name"))
    return Reply(shapes.attachment(call.sandbox, made), 201)


def _reference(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    value = (value.get("name") or value.get("id")) if isinstance(value, dict) else value
    if not isinstance(value, str) or not value:
        raise invalid(f"{key} must be given.")
    return value


async def show_attachment(call: Call) -> Any:
    """``GET /addon-attachments/<id>`` and ``GET /apps/<app>/addon-attachments/<name>``."""
    on = app_of(call) if "app" in call.request.match_info else None
    row = attachments.find_attachment(call.sandbox, call.path("attachment"), on)
    return shapes.attachment(call.sandbox, row, expand=call.expand)


async def delete_attachment(call: Call) -> Any:
    """``DELETE /addon-attachments/<id>``."""
    row = attachments.find_attachment(call.sandbox, call.path("attachment"))
    shown = shapes.attachment(call.sandbox, row)
    attachments.detach(call.sandbox, row)
    return shown


def _optional_app(sandbox: Sandbox, body: dict[str, Any]) -> App | None:
    name = string_in(body, "app")
    if not name:
        return None
    found = find_app(sandbox.store, name)
    if found is None:
        raise not_found("app")
    return found


async def resolve_addons(call: Call) -> Any:
    """``POST /actions/addons/resolve`` with ``{addon, app?, addon_service?}``: the add-ons that are meant."""
    reference, on = string_in(call.body, "addon"), _optional_app(call.sandbox, call.body)
    if not reference:
        raise invalid("addon must be given.")
    found = attachments.resolve_addons(call.sandbox, reference, on, string_in(call.body, "addon_service"))
    return [shapes.addon(call.sandbox, row, expand=call.expand) for row in found]


async def resolve_attachments(call: Call) -> Any:
    """``POST /actions/addon-attachments/resolve`` with ``{addon_attachment, app?, addon_service?}``."""
    reference, on = string_in(call.body, "addon_attachment"), _optional_app(call.sandbox, call.body)
    if not reference:
        raise invalid("addon_attachment must be given.")
    if "::" in reference:
        app_name, _, reference = reference.partition("::")
        on = apps.require_app(call.sandbox, app_name)
    rows = call.sandbox.store.rows(
        "SELECT t.id FROM attachments t JOIN addons a ON a.id = t.addon_id WHERE a.unanswered = 0 AND"
        " (t.id = ? OR (t.app_id = ? AND (t.name = ? OR a.name = ?))) AND (? IS NULL OR a.service = ?)",
        *(reference, on.id if on else None, reference.upper(), reference),
        *(2 * (string_in(call.body, "addon_service"),)),
    )
    if not rows:
        raise not_found("add-on attachment")
    found = [attachments.find_attachment(call.sandbox, row["id"]) for row in rows]
    return [shapes.attachment(call.sandbox, row, expand=call.expand) for row in found]
