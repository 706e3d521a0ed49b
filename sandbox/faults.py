"""Faults on request: what goes wrong, where, for whom and how often."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.clock import iso
from sandbox.errors import ApiError, invalid
from sandbox.records import Addon
from sandbox.state import Sandbox

PROVIDER_PLACES = ("provider.provision", "provider.plan_change", "provider.deprovision")
PLATFORM_CALLS = (
    *("addon", "config", "config_update", "provision", "deprovision"),
    *("app", "collaborators", "attachments", "webhooks"),
)
PLACES = (
    *PROVIDER_PLACES,
    *(f"platform.{call}" for call in PLATFORM_CALLS),
    "platform.*",
    "provider.*",
    "oauth",
)
ANSWERED_KINDS = ("status_401", "status_429", "status_500")
LOST_ANSWER_KINDS = ("drop_answer", "timeout_after_acting")
ABOUT = {
    "deliver_twice": "The same request twice at the same time.",
    "deliver_late": "The same request again after some seconds (5), whatever happened meanwhile.",
    "delay": "The request, or the answer to the provider, some seconds (3) later.",
    "expire_grant": "The OAuth grant is dead on arrival.",
    "drop_answer": "It is done, and the answer lost.",
    "timeout_after_acting": "It is done, and the answer lost after some seconds (0 of a provider, 30 of Heroku).",
    "status_401": "Answered 401; nothing is done.",
    "status_429": "Answered 429 with Retry-After: so many seconds (2); nothing is done.",
    "status_500": "Answered 500; nothing is done.",
}
"""Every kind, with what it does; in brackets the seconds it takes when none are given."""
KINDS = tuple(ABOUT)
DEFAULT_SECONDS = {"deliver_late": 5.0, "delay": 3.0, "status_429": 2.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule; ``place`` is the control API's ``where``, ``times`` how often it still strikes (-1: always)."""

    id: str
    service: str | None
    addon: str | None
    place: str
    kind: str
    times: int
    probability: float
    seconds: float | None
    hits: int
    created_at: float

    def as_json(self) -> dict[str, Any]:
        """The rule as the control API shows it."""
        return {
            "id": self.id,
            "service": self.service,
            "addon": self.addon,
            "where": self.place,
            "kind": self.kind,
            "times": self.times,
            "probability": self.probability,
            "seconds": self.seconds,
            "hits": self.hits,
            "created_at": iso(self.created_at),
        }


def add_fault(sandbox: Sandbox, body: dict[str, Any]) -> Fault:
    """Arm a fault from a control request ``{where, kind, service?, addon?, times?, probability?, seconds?}``.

    Raises ApiError 422 for an unknown place or kind, a kind that means nothing there, or a bad number.
    """
    place, kind = body.get("where"), body.get("kind")
    if place not in PLACES:
        raise invalid(f"where must be one of {', '.join(PLACES)}")
    if kind not in KINDS:
        raise invalid(f"kind must be one of {', '.join(KINDS)}")
    if kind in ("deliver_twice", "deliver_late") and not place.startswith("provider."):
        raise invalid(f"{kind} is about the sandbox's own calls: where must start with provider.")
    if kind == "expire_grant" and place not in ("oauth", "provider.provision", "provider.*"):
        raise invalid("expire_grant works at oauth or provider.provision")
    times = _number(body, "times", 1)
    probability = _number(body, "probability", 1)
    seconds = None if body.get("seconds") is None else _number(body, "seconds", 0)
    if times != -1 and times < 1:
        raise invalid("times must be a whole number from 1, or -1 for always")
    if not 0 < probability <= 1 or (seconds is not None and not 0 <= seconds <= 86400):
        raise invalid("probability must be above 0 and at most 1, seconds from 0 to 86400")
    for name in ("service", "addon"):
        if body.get(name) is not None and not isinstance(body[name], str):
            raise invalid(f"{name} must be a string")
    fault = Fault(
        *(str(uuid.uuid4()), body.get("service") or None, body.get("addon") or None, place, kind, int(times)),
        *(probability, seconds, 0, sandbox.clock.now()),
    )
    sandbox.store.run(
        "INSERT INTO faults (id, service, addon, place, kind, times, probability, seconds, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(fault.id, fault.service, fault.addon, fault.place, fault.kind, fault.times, fault.probability),
        *(fault.seconds, fault.created_at),
    )
    return fault


def _number(body: dict[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise invalid(f"{name} must be a number")
    return float(value)


def list_faults(sandbox: Sandbox) -> list[Fault]:
    """Every rule, spent ones (``times`` 0) too, oldest first."""
    return [Fault(**row) for row in sandbox.store.rows("SELECT * FROM faults ORDER BY created_at, id")]


def clear_faults(sandbox: Sandbox, fault_id: str | None = None) -> int:
    """Remove one rule, or all; returns how many went."""
    return sandbox.store.run("DELETE FROM faults WHERE ? IS NULL OR id = ?", fault_id, fault_id)


def strikes(sandbox: Sandbox, place: str, addon: Addon | None) -> list[Fault]:
    """The faults that hit this call; each one counts the hit as it is returned."""
    hit: list[Fault] = []
    family = place.split(".")[0] + ".*"
    sql = "SELECT * FROM faults WHERE times != 0 AND place IN (?, ?) ORDER BY created_at, id"
    for row in sandbox.store.rows(sql, place, family):
        fault = Fault(**row)
        if fault.service and (addon is None or addon.service != fault.service):
            continue
        if fault.addon and (addon is None or fault.addon not in (addon.id, addon.name)):
            continue
        if random.random() >= fault.probability:  # noqa: S311 - chance for a simulation, not a secret
            continue
        sandbox.store.run(
            "UPDATE faults SET hits = hits + 1,"
            " times = CASE WHEN times > 0 THEN times - 1 ELSE times END WHERE id = ?",
            fault.id,
        )
        identity = addon.id if addon else None
        sandbox.record(
            "fault", f"Fault {fault.kind} at {place}", addon_id=identity, detail={"fault": fault.id}
        )
        hit.append(fault)
    return hit


def seconds_of(fault: Fault, default: float = 0.0) -> float:
    """The rule's duration in real seconds, or its kind's default."""
    return fault.seconds if fault.seconds is not None else DEFAULT_SECONDS.get(fault.kind, default)


def answered_error(fault: Fault) -> ApiError:
    """The error a ``status_…`` fault answers with."""
    if fault.kind == "status_401":
        return ApiError(401, "unauthorized", "Invalid credentials provided. (sandbox fault)")
    if fault.kind == "status_429":
        wait = f"{seconds_of(fault):g}"
        message = "Your account reached the API rate limit. (sandbox fault)"
        return ApiError(429, "rate_limit", message, {"Retry-After": wait})
    return ApiError(500, "internal_server_error", "Internal server error. (sandbox fault)")
