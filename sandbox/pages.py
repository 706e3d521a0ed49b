"""The page at ``/``: a small marketplace over the same functions the API uses. Works without scripts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from aiohttp import web

from sandbox import addons, apps, faults, sso, view
from sandbox.catalogue import register_services
from sandbox.clock import iso
from sandbox.errors import ApiError, invalid, not_found
from sandbox.records import Addon, App, find_app, get_addon, get_app
from sandbox.state import Sandbox
from sandbox.web_api import SANDBOX

HERE = Path(__file__).parent
BUNDLE = HERE / "static" / "dist"
# How long a form waits for the provider before the page comes back and shows the rest as progress.
PATIENCE_SECONDS = 2.5
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
Form = Callable[[Sandbox, web.Request, dict[str, str]], Awaitable[App | None]]


def page_routes() -> list[web.RouteDef]:
    """The page's paths."""
    return [
        web.get("/", index),
        web.get("/page/addons", addon_list),
        web.get("/apps/{app}/resources", app_resources),
        web.get("/open/apps/{app}/addons/{addon}", open_dashboard),
        web.get("/static/dist/{file}", static_file),
        web.post("/page/apps", form(create_app)),
        web.post("/page/addons", form(add)),
        web.post("/page/addons/{addon}/plan", form(change_plan)),
        web.post("/page/addons/{addon}/destroy", form(destroy)),
        web.post("/page/notices/{notice}/dismiss", form(dismiss)),
        web.post("/page/collaborators", form(invite)),
        web.post("/page/services", form(register)),
        web.post("/page/clock", form(set_clock)),
        web.post("/page/faults", form(add_fault)),
        web.post("/page/faults/clear", form(clear_faults)),
    ]


def _html(template: str, *, status: int = 200, form_action: str = "'self'", **values: Any) -> web.Response:
    nonce = secrets.token_urlsafe(12)
    bundled = {name: (BUNDLE / f"sandbox.{name}").is_file() for name in ("css", "js")}
    text = TEMPLATES.get_template(template).render(nonce=nonce, bundled=bundled, **values)
    policy = (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}';"
        f" font-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action {form_action}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _problem(error: ApiError) -> web.Response:
    return _html("problem.html", status=error.status, message=error.message)


def _chosen_app(sandbox: Sandbox, request: web.Request) -> App | None:
    name = request.query.get("app") or request.cookies.get("sandbox_app") or apps.EXAMPLE_APP
    found = find_app(sandbox.store, name)
    if found is not None:
        return found
    row = sandbox.store.row("SELECT * FROM apps WHERE deleted_at IS NULL ORDER BY name")
    return App(**row) if row else None


async def index(request: web.Request) -> web.StreamResponse:
    """The whole page."""
    sandbox = request.app[SANDBOX]
    app = _chosen_app(sandbox, request)
    response = _html("index.html", **view.page(sandbox, app))
    if app is not None:
        response.set_cookie("sandbox_app", app.name, httponly=True, samesite="Lax")
    return response


async def app_resources(request: web.Request) -> web.StreamResponse:
    """Where the real dashboard has an app's add-ons, and providers link back to: this page with the app chosen."""
    raise web.HTTPFound(f"/?app={quote(request.match_info['app'], safe='')}")


async def addon_list(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes by itself: notices and the add-ons of ``?app=``."""
    sandbox = request.app[SANDBOX]
    app = _chosen_app(sandbox, request)
    if app is None:
        raise not_found("app")
    return _html("addons.html", **view.installed(sandbox, app))


async def static_file(request: web.Request) -> web.StreamResponse:
    """A file of the bundle; the page works without it."""
    path = BUNDLE / request.match_info["file"]
    if path.parent != BUNDLE or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})


async def open_dashboard(request: web.Request) -> web.StreamResponse:
    """The page that posts the SSO form to the provider, as ``?user=<id or e-mail>`` or as the developer."""
    sandbox = request.app[SANDBOX]
    try:
        app = apps.require_app(sandbox, request.match_info["app"])
        addon = _addon(sandbox, request)
        user = apps.person_on(sandbox, app, request.query.get("user"))
    except ApiError as error:
        return _problem(error)
    given = sso.parameters(sandbox, addon=addon, user=user, context_app=app)
    # A form-action policy would also have to allow wherever the provider redirects to.
    return _html("open.html", form_action="*", addon=addon, user=user, **given)


def _addon(sandbox: Sandbox, request: web.Request) -> Addon:
    found = get_addon(sandbox.store, request.match_info["addon"])
    if found is None or found.deleted_at is not None:
        raise not_found("add-on")
    return found


def form(action: Form) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A form's handler: do it, leave what went wrong as a notice, and go back to the page."""

    async def handle(request: web.Request) -> web.StreamResponse:
        sandbox = request.app[SANDBOX]
        posted = await request.post()
        values = {key: value.strip() for key, value in posted.items() if isinstance(value, str)}
        app = find_app(sandbox.store, values.get("app", ""))
        if app is not None:
            sandbox.store.run("DELETE FROM notices WHERE app_id = ? AND level = 'success'", app.id)
        try:
            app = await action(sandbox, request, values) or app
        except ApiError as error:
            if app is None:
                return _problem(error)
            sandbox.notify(app.id, "danger", error.message)
        raise web.HTTPSeeOther(f"/?app={quote(app.name)}" if app else "/")

    return handle


async def create_app(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> App:
    """Create an app and show it."""
    made = apps.create_app(sandbox, name=values.get("name") or None, region=values.get("region") or "us")
    sandbox.notify(made.id, "success", f"Created {made.name}.")
    return made


async def _patiently(sandbox: Sandbox, app: App, work: Awaitable[str]) -> None:
    """Do ``work`` and leave its sentence (if any) as a notice; the page does not wait long for it."""

    async def finish() -> None:
        try:
            sentence = await work
            if sentence:
                sandbox.notify(app.id, "success", sentence)
        except ApiError as error:
            sandbox.notify(app.id, "danger", error.message)

    task = sandbox.spawn(finish())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), PATIENCE_SECONDS)


async def add(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> App:
    """Add a service to an app."""
    app = apps.require_app(sandbox, values.get("app", ""))

    async def work() -> str:
        name = values.get("attachment") or None
        made = await addons.create_addon(
            sandbox, app=app, plan_reference=values.get("plan", ""), attachment_name=name
        )
        if made.state == "provisioning":
            # The add-on's own card tells how it goes on, and would outdate a notice.
            return ""
        return f"{made.name}: {made.message}" if made.message else f"Created {made.name}."

    await _patiently(sandbox, app, work())
    return app


async def change_plan(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> App:
    """Move an add-on to another plan."""
    addon = _addon(sandbox, request)
    app = get_app(sandbox.store, addon.app_id)

    async def work() -> str:
        moved = await addons.change_plan(sandbox, addon=addon, plan_reference=values.get("plan", ""))
        return moved.message or f"{moved.name} is on {moved.service}:{moved.plan} now."

    await _patiently(sandbox, app, work())
    return app


async def destroy(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> App:
    """Destroy an add-on whose name was typed to confirm."""
    addon = _addon(sandbox, request)
    app = get_app(sandbox.store, addon.app_id)
    if values.get("confirm") != addon.name:
        sandbox.notify(app.id, "danger", f"Confirmation did not match {addon.name}. Nothing was destroyed.")
        return app

    async def work() -> str:
        gone = await addons.destroy_addon(sandbox, addon)
        background = (
            " in the background; the provider has not confirmed yet" if gone.state == "deprovisioning" else ""
        )
        return f"{gone.name} is destroyed{background}."

    await _patiently(sandbox, app, work())
    return app


async def dismiss(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> None:
    """Put a notice away."""
    number = request.match_info["notice"]
    sandbox.store.run("DELETE FROM notices WHERE id = ?", int(number) if number.isdigit() else 0)


async def invite(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> App:
    """Add a collaborator."""
    app = apps.require_app(sandbox, values.get("app", ""))
    person = apps.add_collaborator(sandbox, app, values.get("email", ""))
    sandbox.notify(app.id, "success", f"{person.email} works on {app.name} now.")
    return app


async def register(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> App | None:
    """Register a pasted services.json, or a manifest with what the other fields say."""
    try:
        document = json.loads(values.get("document", ""))
    except ValueError:
        raise invalid("That is not JSON.") from None
    given: dict[str, Any] = {name: values[name] for name in ("base_url", "sso_url") if values.get(name)}
    if plans := values.get("plans", "").replace(",", " ").split():
        given["plans"] = plans
    if given and isinstance(document, dict) and "api" in document:
        document = {"manifest": document, **given}
    elif given:
        raise invalid("The fields below go with an add-on manifest; a services.json has them inside.")
    app = find_app(sandbox.store, values.get("app", ""))
    names = ", ".join(row.name for row in register_services(sandbox, document))
    if app is not None:
        sandbox.notify(app.id, "success", f"Registered {names}.")
    return app


async def set_clock(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> App | None:
    """Move or speed up the clock, or put it back to real time."""
    try:
        if values.get("reset"):
            sandbox.clock.change(offset=0, speed=1)
        else:
            hours, speed = float(values.get("hours") or 0), float(values.get("speed") or 1)
            sandbox.clock.change(advance=max(-(10**5), min(hours, 10**5)) * 3600, speed=speed)
    except ValueError as error:
        raise invalid(f"The clock cannot be set so: {error}.") from None
    app = find_app(sandbox.store, values.get("app", ""))
    if app is not None:
        sandbox.notify(app.id, "success", f"It is {iso(sandbox.clock.now())} in the sandbox.")
    return app


async def add_fault(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> None:
    """Arm a fault."""
    body: dict[str, Any] = {
        "where": values.get("where"),
        "kind": values.get("kind"),
        "service": values.get("service"),
        "addon": values.get("addon"),
    }
    try:
        body["times"] = int(values.get("times") or 1)
        body["probability"] = float(values.get("chance") or 100) / 100
        if values.get("seconds"):
            body["seconds"] = float(values["seconds"])
    except ValueError:
        raise invalid("times, chance and seconds must be numbers.") from None
    faults.add_fault(sandbox, body)


async def clear_faults(sandbox: Sandbox, request: web.Request, values: dict[str, str]) -> None:
    """Disarm one fault, or every one."""
    faults.clear_faults(sandbox, values.get("fault"))
