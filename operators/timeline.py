"""One line of time for a resource: operations, audit, operators' actions, calls to Heroku, and what other apps add."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from operators.models import Event
from provisioning.masking import mask_text, mask_value
from provisioning.models import AuditEvent, HerokuCall, Operation, Resource
from provisioning.states import OperationState

PAGE_SIZE = 50


@dataclass(frozen=True)
class Entry:
    """One thing that happened; `detail` is text that may be long, already without secrets."""

    at: datetime
    kind: str
    title: str
    actor: str = ""
    detail: str = ""
    tone: str = "neutral"
    url: str = ""


Source = Callable[[Resource, datetime | None, int], Iterable[Entry]]
"""A resource, a time, a number: that many newest entries before the time (None: now), newest first."""
_sources: dict[str, Source] = {}


def register(kind: str, source: Source) -> None:
    """Let an app add its entries (mails, say), named by `kind` in the choice above the line."""
    _sources[kind] = source


def kinds() -> list[str]:
    """What can be chosen."""
    return list(_sources)


def timeline(resource: Resource, *, before: datetime | None = None, kind: str = "") -> list[Entry]:
    """The newest entries before a time, of all kinds or one: at most `PAGE_SIZE`, newest first."""
    chosen = [_sources[kind]] if kind in _sources else list(_sources.values())
    found = [entry for source in chosen for entry in source(resource, before, PAGE_SIZE)]
    return sorted(found, key=lambda entry: entry.at, reverse=True)[:PAGE_SIZE]


def _facts(values: object) -> str:
    masked = mask_value(values)
    return json.dumps(masked, sort_keys=True, default=str) if masked else ""


def _audit(resource: Resource, before: datetime | None, number: int) -> Iterable[Entry]:
    rows = AuditEvent.objects.filter(resource=resource).order_by("-pk")
    for row in (rows.filter(at__lt=before) if before else rows)[:number]:
        yield Entry(row.at, "Audit", row.event, row.actor, _facts(row.detail))


def _operations(resource: Resource, before: datetime | None, number: int) -> Iterable[Entry]:
    rows = Operation.objects.filter(resource=resource).order_by("-pk")
    for row in (rows.filter(created_at__lt=before) if before else rows)[:number]:
        tone = {OperationState.SUCCEEDED: "good", OperationState.FAILED: "bad"}.get(
            OperationState(row.state), "neutral"
        )
        detail = (
            f"step “{row.step}”, {row.attempt} failed tries. {mask_text(row.last_error)}"
            if row.last_error
            else ""
        )
        yield Entry(
            row.created_at,
            "Operation",
            f"{row.get_kind_display()} #{row.pk}: {row.get_state_display().lower()}",
            row.requested_by,
            detail,
            tone,
            f"/admin/operations/{row.pk}/",
        )


def _calls(resource: Resource, before: datetime | None, number: int) -> Iterable[Entry]:
    rows = HerokuCall.objects.filter(resource=resource).order_by("-pk")
    for row in (rows.filter(at__lt=before) if before else rows)[:number]:
        outcome = str(row.status) if row.status else "no answer"
        yield Entry(
            row.at,
            "Heroku call",
            f"{row.method} {row.path}: {outcome} {row.error}".strip(),
            "",
            f"{row.milliseconds} ms, correlation {row.correlation_id}",
            "neutral" if 200 <= row.status < 400 else "bad",
        )


def _operators(resource: Resource, before: datetime | None, number: int) -> Iterable[Entry]:
    rows = Event.objects.filter(resource=resource).order_by("-pk")
    for row in (rows.filter(at__lt=before) if before else rows)[:number]:
        yield Entry(
            row.at, "Operator", row.action, row.name, " ".join(filter(None, [row.reason, _facts(row.after)]))
        )


register("Audit", _audit)
register("Operation", _operations)
register("Heroku call", _calls)
register("Operator", _operators)
