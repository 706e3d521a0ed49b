"""What the page shows, gathered for the templates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sandbox import faults
from sandbox.apps import AWS_REGIONS, collaborators_of
from sandbox.records import (
    Addon,
    App,
    Plan,
    all_apps,
    all_services,
    attachments_on,
    get_addon,
    get_app,
    get_plan,
    get_service,
    plans_of,
)
from sandbox.state import Sandbox

EVENTS_SHOWN = 40
RELEASES_SHOWN = 8
STATE_WORDS = {
    "provisioning": ("Provisioning", "progress"),
    "provisioned": ("Ready", "ready"),
    "deprovisioning": ("Being removed", "progress"),
    "deprovisioned": ("Removed", "gone"),
}


def page(sandbox: Sandbox, app: App | None) -> dict[str, Any]:
    """Everything the whole page needs; ``app`` is None only when no app is left."""
    armed = [fault for fault in faults.list_faults(sandbox) if fault.times != 0]
    values: dict[str, Any] = {
        "app": app,
        "apps": all_apps(sandbox.store),
        "regions": list(AWS_REGIONS),
        "address": sandbox.public_url,
        "services": [_service(sandbox, row.slug) for row in all_services(sandbox.store)],
        "faults": armed,
        "places": {
            "The sandbox calls the provider": [one for one in faults.PLACES if one.startswith("provider.")],
            "The provider calls the sandbox": [
                one for one in faults.PLACES if not one.startswith("provider.")
            ],
        },
        "kinds": faults.ABOUT,
        "clock": sandbox.clock.as_json(),
        "releases": _releases(sandbox, app) if app else [],
    }
    values["clock_is_real"] = values["clock"]["speed"] == 1 and abs(values["clock"]["offset"]) < 1
    return {**values, **(installed(sandbox, app) if app else {"addons": [], "notices": [], "busy": False})}


def installed(sandbox: Sandbox, app: App) -> dict[str, Any]:
    """The add-ons on an app and the notices for it; ``busy`` while something is on its way."""
    seen: dict[str, dict[str, Any]] = {}
    for attachment in attachments_on(sandbox.store, app.id):
        row = get_addon(sandbox.store, attachment.addon_id)
        if row is not None and row.id not in seen:
            seen[row.id] = _addon(sandbox, row, app)
    going = "SELECT * FROM addons WHERE app_id = ? AND state = 'deprovisioning'"
    for raw in sandbox.store.rows(going, app.id):
        seen.setdefault(raw["id"], _addon(sandbox, Addon(**raw), app))
    shown = sorted(seen.values(), key=lambda one: one["created_at"])
    newest = sandbox.store.row("SELECT max(version) AS version FROM releases WHERE app_id = ?", app.id)
    notices = sandbox.store.rows("SELECT * FROM notices WHERE app_id = ? ORDER BY id DESC LIMIT 3", app.id)
    return {
        "app": app,
        "addons": shown,
        "notices": list(reversed(notices)),
        "busy": any(one["tone"] == "progress" for one in shown),
        "people": collaborators_of(sandbox, app),
        "version": newest["version"] if newest else 0,
    }


def price(plan: Plan) -> str:
    """A plan's price as people write it."""
    value = json.loads(plan.price)
    if value.get("metered"):
        return "metered"
    if not value["cents"]:
        return "free"
    dollars, cents = divmod(value["cents"], 100)
    return f"${dollars:,}.{cents:02d} a {value['unit']}" if cents else f"${dollars:,} a {value['unit']}"


def _service(sandbox: Sandbox, slug: str) -> dict[str, Any]:
    row = get_service(sandbox.store, slug)
    plans = [
        {"plan": plan, "price": price(plan), "selected": bool(plan.is_default)}
        for plan in plans_of(sandbox.store, slug)
    ]
    return {
        "slug": slug,
        "name": row.name,
        "plans": plans,
        "config_vars": row.api.get("config_vars", []),
        "base_url": row.api["production"]["base_url"],
        "prefix": row.prefix,
    }


def _addon(sandbox: Sandbox, row: Addon, app: App) -> dict[str, Any]:
    service, plan = get_service(sandbox.store, row.service), get_plan(sandbox.store, row.service, row.plan)
    names = [
        attachment.name
        for attachment in attachments_on(sandbox.store, app.id)
        if attachment.addon_id == row.id
    ]
    config = row.config_values if row.state == "provisioned" else {}
    word, tone = ("Asking the provider", "progress") if row.unanswered else STATE_WORDS[row.state]
    variables = [
        {"name": service.name_under(attachment, name), "value": value}
        for attachment in names
        for name, value in config.items()
    ]
    events = sandbox.events(addon_id=row.id, limit=EVENTS_SHOWN)
    for event in events:
        event["time"] = event["at"][11:19]
    others = [
        {"plan": other, "price": price(other)}
        for other in plans_of(sandbox.store, row.service)
        if other.name != row.plan
    ]
    return {
        "row": row,
        "service": service,
        "plan": plan,
        "price": price(plan),
        "names": names,
        "word": word,
        "tone": tone,
        "config": variables,
        "events": list(reversed(events)),
        "other_plans": others,
        "created_at": row.created_at,
        "owner": get_app(sandbox.store, row.app_id),
    }


def _releases(sandbox: Sandbox, app: App) -> list[dict[str, Any]]:
    sql = "SELECT * FROM releases WHERE app_id = ? ORDER BY version DESC LIMIT ?"
    rows = sandbox.store.rows(sql, app.id, RELEASES_SHOWN)
    return [
        {**row, "time": datetime.fromtimestamp(row["created_at"], UTC).strftime("%d %b %H:%M:%S")}
        for row in rows
    ]
