"""What happened to a resource, in the customer's words. Events that have none here are ours alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning import audit
from provisioning.models import AuditEvent, Plan, Resource

PAGE_SIZE = 20


@dataclass(frozen=True)
class Told:
    """How one kind of event is told: `words` gets the event's detail and the plan names by slug.

    `logged` says that it stands in the app's own log too: what changes how the app is served, or will.
    """

    icon: str
    words: Callable[[Mapping[str, Any], Mapping[str, str]], str]
    tone: str = "neutral"
    logged: bool = False


@dataclass(frozen=True)
class EventView:
    """One event as it is shown."""

    id: int
    at: datetime
    icon: str
    tone: str
    text: str
    actor: str


@dataclass(frozen=True)
class EventPage:
    """Some events, newest first; `older` is the id to continue below, None at the end."""

    events: tuple[EventView, ...]
    older: int | None


def _says(text: str) -> Callable[[Mapping[str, Any], Mapping[str, str]], str]:
    return lambda detail, plans: text


def _plan(slug: object, plans: Mapping[str, str]) -> str:
    return plans.get(str(slug), str(slug))


def _credentials(detail: Mapping[str, Any], plans: Mapping[str, str]) -> str:
    names = [str(name) for name in detail.get("credentials", [])]
    return f"Credential {names[0]} revoked" if len(names) == 1 else f"Credentials {', '.join(names)} revoked"


def _created(detail: Mapping[str, Any], plans: Mapping[str, str]) -> str:
    return f"Add-on created on plan {_plan(detail.get('plan'), plans)}"


def _ready(detail: Mapping[str, Any], plans: Mapping[str, str]) -> str:
    # A service that provisions in Heroku's request is made and ready in one event.
    return "Add-on ready to use" if "former" in detail else _created(detail, plans)


def _limit(detail: Mapping[str, Any]) -> str:
    return f"Limit {str(detail.get('limit', '')).replace('_', ' ')}"


def _override(detail: Mapping[str, Any], plans: Mapping[str, str]) -> str:
    until = str(detail.get("until", ""))[:10]
    return f"{_limit(detail)} set to {detail.get('value', 0):,} until {until}"


_TOLD: dict[str, Told] = {
    "resource.provisioning": Told("plus", _created),
    "resource.provisioned": Told("circle-check", _ready, "good"),
    "resource.failed": Told("alert-triangle", _says("The add-on could not be provisioned"), "bad"),
    "plan_change.accepted": Told(
        "switch-horizontal",
        lambda d, p: f"Plan changed from {_plan(d.get('former'), p)} to {_plan(d.get('plan'), p)}",
        logged=True,
    ),
    "rotation.requested": Told(
        "refresh",
        lambda d, p: (
            "Credential rotation started, former credentials to end at once"
            if d.get("revoke_now")
            else "Credential rotation started"
        ),
        logged=True,
    ),
    "rotation.succeeded": Told("circle-check", _says("Credential rotation finished"), "good", logged=True),
    "rotation.failed": Told("alert-triangle", _says("Credential rotation failed"), "bad", logged=True),
    "credential.issued": Told("key", lambda d, p: f"Credential {d.get('credential', '')} issued"),
    "credential.revoked": Told("key-off", _credentials, logged=True),
    "config_push.succeeded": Told("settings", _says("Config vars updated")),
    "config_vars.revealed": Told("eye", lambda d, p: f"{', '.join(map(str, d.get('names', [])))} revealed"),
    "resource.suspended": Told("lock", lambda d, p: f"Suspended: {d.get('reason', '')}", "bad", logged=True),
    "resource.resumed": Told("circle-check", _says("Suspension ended"), "good", logged=True),
    "limit.overridden": Told("gauge", _override, logged=True),
    "limit.override_ended": Told("gauge", lambda d, p: f"{_limit(d)} is the plan's again", logged=True),
    "access.lost": Told("plug-off", _says("Heroku withdrew our access to this add-on"), "bad"),
}


def tell(words: Mapping[str, Told]) -> None:
    """Let dashboards tell these kinds of events too: for a service, when its app is ready. Safe to repeat."""
    _TOLD.update(words)


def is_logged(event: str) -> bool:
    """Whether an event of that name stands in the app's own log."""
    return event in _TOLD and _TOLD[event].logged


def words_of(rows: Sequence[AuditEvent], resource: Resource) -> list[str]:
    """What customers are told of some events of `resource`, each of a name that has words."""
    plans = _plan_names(resource)
    return [_TOLD[row.event].words(row.detail, plans) for row in rows]


def customer_events(resource: Resource, *, before: int | None = None) -> EventPage:
    """The newest events of `resource` that have words, or those older than the event `before`."""
    rows = AuditEvent.objects.filter(resource=resource, event__in=_TOLD)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE_SIZE + 1])
    plans = _plan_names(resource)
    shown = found[:PAGE_SIZE]
    return EventPage(
        events=tuple(_view(row, plans) for row in shown),
        older=shown[-1].pk if len(found) > PAGE_SIZE else None,
    )


def _plan_names(resource: Resource) -> dict[str, str]:
    return dict(Plan.objects.filter(service=resource.service).values_list("slug", "name"))


def _view(row: AuditEvent, plans: Mapping[str, str]) -> EventView:
    told = _TOLD[row.event]
    return EventView(
        id=row.pk,
        at=row.at,
        icon=told.icon,
        tone=told.tone,
        text=told.words(row.detail, plans),
        actor=_actor(row.actor),
    )


def _actor(actor: str) -> str:
    """Heroku, a person's e-mail, or us: operators are not named to customers."""
    if actor == audit.HEROKU:
        return "Heroku"
    return actor if "@" in actor else "Addonworks"
