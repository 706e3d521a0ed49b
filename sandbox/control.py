"""The sandbox's own API under ``/sandbox/``: services, clock, faults, events, and add-ons from inside."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox import faults
from sandbox.catalogue import register_services
from sandbox.clock import iso
from sandbox.errors import ApiError, invalid, not_found
from sandbox.records import all_services, attachments_of, get_app
from sandbox.state import Sandbox
from sandbox.web_api import SANDBOX, Reply, read_object, to_response


def control_routes() -> list[web.RouteDef]:
    """The control API's paths."""
    return [
        web.get("/sandbox/health", health),
        web.get("/sandbox/services", services),
        web.post("/sandbox/services", register),
        web.get("/sandbox/clock", clock),
        web.post("/sandbox/clock", set_clock),
        web.get("/sandbox/faults", list_faults),
        web.post("/sandbox/faults", add_fault),
        web.delete("/sandbox/faults", clear_faults),
        web.delete("/sandbox/faults/{fault}", clear_faults),
        web.get("/sandbox/events", events),
        web.get("/sandbox/addons", addons),
        web.get("/sandbox/addons/{addon}", addon),
    ]


async def health(request: web.Request) -> web.StreamResponse:
    """Ready: the store answers."""
    sandbox = request.app[SANDBOX]
    return to_response({"status": "ok", "services": len(all_services(sandbox.store))})


async def services(request: web.Request) -> web.StreamResponse:
    """The registered services, without their secrets."""
    sandbox = request.app[SANDBOX]
    shown = [
        {"slug": row.slug, "name": row.name, "base_url": row.api["production"]["base_url"]}
        for row in all_services(sandbox.store)
    ]
    return to_response({"services": shown})


async def register(request: web.Request) -> web.StreamResponse:
    """Register a services.json document, one of its entries, or a manifest."""
    done = register_services(request.app[SANDBOX], await read_object(request))
    return to_response(Reply({"registered": [row.slug for row in done]}, 201))


async def clock(request: web.Request) -> web.StreamResponse:
    """The clock."""
    return to_response(request.app[SANDBOX].clock.as_json())


async def set_clock(request: web.Request) -> web.StreamResponse:
    """Change the clock: ``{advance?, offset?, speed?}``, all numbers."""
    sandbox, body = request.app[SANDBOX], await read_object(request)
    numbers: dict[str, float] = {}
    for name, value in body.items():
        if name not in ("advance", "offset", "speed"):
            raise invalid("The clock takes advance, offset and speed.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 10**9:
            raise invalid(f"{name} must be a number of at most 10^9.")
        numbers[name] = float(value)
    try:
        sandbox.clock.change(**numbers)
    except ValueError as error:
        raise invalid(str(error)) from None
    sandbox.record("clock", f"Clock changed: {numbers}")
    return to_response(sandbox.clock.as_json())


async def list_faults(request: web.Request) -> web.StreamResponse:
    """Every fault, spent ones too."""
    return to_response({"faults": [fault.as_json() for fault in faults.list_faults(request.app[SANDBOX])]})


async def add_fault(request: web.Request) -> web.StreamResponse:
    """Arm a fault."""
    fault = faults.add_fault(request.app[SANDBOX], await read_object(request))
    return to_response(Reply(fault.as_json(), 201))


async def clear_faults(request: web.Request) -> web.StreamResponse:
    """Remove one fault, or all."""
    one = request.match_info.get("fault")
    gone = faults.clear_faults(request.app[SANDBOX], one)
    if one and not gone:
        raise not_found("fault")
    return to_response({"cleared": gone})


async def events(request: web.Request) -> web.StreamResponse:
    """The event log: ``?addon=<id or name>&after=<event id>&limit=<number>``, oldest first."""
    sandbox, query = request.app[SANDBOX], request.query
    try:
        after = int(query["after"]) if "after" in query else None
        limit = max(1, min(int(query.get("limit", 500)), 5000))
    except ValueError:
        raise invalid("after and limit must be whole numbers.") from None
    identity = _find(sandbox, query["addon"])["id"] if "addon" in query else None
    return to_response({"events": sandbox.events(addon_id=identity, after=after, limit=limit)})


async def addons(request: web.Request) -> web.StreamResponse:
    """Every add-on there ever was, newest first: ``?state=…&service=…``."""
    sandbox, query = request.app[SANDBOX], request.query
    rows = sandbox.store.rows(
        "SELECT * FROM addons WHERE (? IS NULL OR state = ?) AND (? IS NULL OR service = ?)"
        " ORDER BY created_at DESC",
        *(2 * (query.get("state"),) + 2 * (query.get("service"),)),
    )
    return to_response({"addons": [_shown(sandbox, row) for row in rows]})


async def addon(request: web.Request) -> web.StreamResponse:
    """Everything known of one add-on, by id or name, in any state."""
    sandbox = request.app[SANDBOX]
    return to_response(_shown(sandbox, _find(sandbox, request.match_info["addon"])))


def _find(sandbox: Sandbox, reference: str) -> dict[str, Any]:
    sql = "SELECT * FROM addons WHERE id = ? OR name = ? ORDER BY deleted_at IS NULL DESC, created_at DESC"
    row = sandbox.store.row(sql, reference, reference)
    if row is None:
        raise ApiError(404, "not_found", "The sandbox never had such an add-on.")
    return row


def _shown(sandbox: Sandbox, row: dict[str, Any]) -> dict[str, Any]:
    calls = sandbox.store.rows(
        "SELECT json_extract(detail, '$.method') AS method, count(*) AS number FROM events"
        " WHERE addon_id = ? AND kind = 'provider' GROUP BY 1",
        row["id"],
    )
    names = [attachment.name for attachment in attachments_of(sandbox.store, row["id"])]
    return {
        "id": row["id"],
        "name": row["name"],
        "service": row["service"],
        "plan": row["plan"],
        "state": row["state"],
        "app": get_app(sandbox.store, row["app_id"]).name,
        "attachments": names,
        "unanswered": bool(row["unanswered"]),
        "provider_id": row["provider_id"],
        "message": row["message"],
        "actions": {
            "provision": row["provision_actions"],
            "deprovision": row["deprovision_actions"],
            "repeated": row["repeated_actions"],
            "refused": row["refused_actions"],
        },
        "calls_to_provider": {call["method"]: call["number"] for call in calls if call["method"]},
        "delete_pending": row["delete_due_at"] is not None,
        "deadline_at": iso(row["deadline_at"]) if row["deadline_at"] else None,
        "created_at": iso(row["created_at"]),
        "deleted_at": iso(row["deleted_at"]) if row["deleted_at"] else None,
    }
