"""Who is affected: a saved query over resources. Services add filters of their own."""

import re
import uuid as uuids
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet

from advisories.features import features
from provisioning.models import Credential, PlanPeriod, Resource
from provisioning.states import LIVE_STATES

Narrow = Callable[["QuerySet[Resource]", list[str]], "QuerySet[Resource]"]
Choices = Callable[[], list[tuple[str, str]]]
UPLOAD_MOST = 100_000


class BadScope(ValueError):
    """The query cannot be read; the text is for the operator."""


@dataclass(frozen=True)
class ServiceFilter:
    """A filter that only a service can apply: which cluster, which feature."""

    name: str
    label: str
    choices: Choices
    narrow: Narrow


_filters: dict[str, ServiceFilter] = {}


def register(found: ServiceFilter) -> None:
    """Let a service narrow scopes by what it alone knows; call it in `AppConfig.ready`."""
    _filters[found.name] = found


def service_filters() -> list[ServiceFilter]:
    """The filters of the services, by name."""
    return [_filters[name] for name in sorted(_filters)]


def read_scope(given: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical form of a scope as it is saved; BadScope says what is wrong.

    services, plans (`service:plan`, now or in the period of use), regions, features (one of them is used, see
    `advisories.features`): lists of names. created_from, created_until: when the resource was made. used_from,
    used_until: it existed at some time in between. credentials: public ids. credentials_from, credentials_until: a
    credential was issued in between. uuids: an uploaded list. include_removed: also resources that have been removed.
    And a list of values for each registered filter.
    """
    scope: dict[str, Any] = {}
    for name in ("services", "plans", "regions", "features", "credentials", *_filters):
        values = sorted({str(value).strip() for value in given.get(name) or []} - {""})
        if values:
            scope[name] = values
    if unknown := set(scope.get("features", ())) - features().keys():
        raise BadScope(f"There is no feature {min(unknown)[:60]}.")
    for name in _MOMENTS:
        if moment := _moment(given.get(name)):
            scope[name] = moment.isoformat()
    listed = given.get("uuids") or []
    if isinstance(listed, str):
        listed = re.split(r"[\s,;]+", listed)
    if identities := [_uuid(value) for value in listed if str(value).strip()]:
        if len(identities) > UPLOAD_MOST:
            raise BadScope(f"A list holds at most {UPLOAD_MOST} resources.")
        scope["uuids"] = sorted(set(identities))
    if given.get("include_removed"):
        scope["include_removed"] = True
    return scope


_MOMENTS = (
    "created_from",
    "created_until",
    "used_from",
    "used_until",
    "credentials_from",
    "credentials_until",
)


def resources_in(scope: Mapping[str, Any]) -> "QuerySet[Resource]":
    """The resources a scope means now. An empty scope means none: nobody is alarmed by a form left blank."""
    found = Resource.objects.all() if set(scope) - {"include_removed"} else Resource.objects.none()
    if not scope.get("include_removed"):
        found = found.filter(state__in=LIVE_STATES)
    if services := scope.get("services"):
        found = found.filter(service__in=services)
    if regions := scope.get("regions"):
        found = found.filter(region__in=regions)
    if listed := scope.get("uuids"):
        found = found.filter(uuid__in=listed)
    if plans := scope.get("plans"):
        found = _on_plans(found, plans, scope)
    moments = {name: _moment(scope.get(name)) for name in _MOMENTS}
    found = found.filter(**_between("created_at", moments["created_from"], moments["created_until"]))
    if until := moments["used_until"]:
        found = found.filter(created_at__lt=until)
    if begin := moments["used_from"]:
        found = found.filter(Q(deprovisioned_at=None) | Q(deprovisioned_at__gt=begin))
    issued = _between("created_at", moments["credentials_from"], moments["credentials_until"])
    if issued or scope.get("credentials"):
        credentials = Credential.objects.filter(**issued)
        if scope.get("credentials"):
            credentials = credentials.filter(public_id__in=scope["credentials"])
        found = found.filter(pk__in=credentials.values("resource_id"))
    if scope.get("features"):
        found = _using(found, scope["features"], moments["used_from"], moments["used_until"])
    for name, own in _filters.items():
        if values := scope.get(name):
            found = own.narrow(found, values)
    return found.order_by("pk")


def describe(scope: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The scope as label and text, for people."""
    labels = {
        "services": "Service",
        "plans": "Plan",
        "regions": "Region",
        "created_from": "Created from",
        "created_until": "Created before",
        "used_from": "In use from",
        "used_until": "In use before",
        "credentials": "Credential",
        "credentials_from": "Credential issued from",
        "credentials_until": "Credential issued before",
        **{name: own.label for name, own in _filters.items()},
    }
    known = features()
    told = [
        (label, ", ".join(value) if isinstance(value, list) else f"{_moment(value):%Y-%m-%d %H:%M} UTC")
        for name, label in labels.items()
        if (value := scope.get(name))
    ]
    if named := scope.get("features"):
        told.append(("Feature", ", ".join(known[name].label if name in known else name for name in named)))
    if listed := scope.get("uuids"):
        told.append(("Uploaded list", f"{len(listed)} {'resource' if len(listed) == 1 else 'resources'}"))
    if scope.get("include_removed"):
        told.append(("Removed resources", "included"))
    return told


def _on_plans(
    found: "QuerySet[Resource]", plans: list[str], scope: Mapping[str, Any]
) -> "QuerySet[Resource]":
    """On one of these plans now or, when the scope has a period of use, at some time in it."""
    wanted = Q(pk__in=[])
    for name in plans:
        service, _, plan = name.partition(":")
        wanted |= Q(plan__service=service, plan__slug=plan)
    begin, until = _moment(scope.get("used_from")), _moment(scope.get("used_until"))
    if begin is None and until is None:
        return found.filter(wanted)
    periods = PlanPeriod.objects.filter(wanted, voided_at=None)
    if until:
        periods = periods.filter(starts_at__lt=until)
    if begin:
        periods = periods.filter(Q(ends_at=None) | Q(ends_at__gt=begin))
    return found.filter(pk__in=periods.values("resource_id"))


def _using(
    found: "QuerySet[Resource]", names: list[str], begin: datetime | None, until: datetime | None
) -> "QuerySet[Resource]":
    """That used one of these features, in the scope's period of use where the service keeps times."""
    known, wanted = features(), Q(pk__in=[])
    for name in names:
        if name not in known:
            # Left out it would widen the scope, or forget somebody.
            raise BadScope(f"There is no feature {name[:60]} any more.")
        wanted |= Q(pk__in=known[name].used_by(begin, until))
    return found.filter(wanted)


def _between(field: str, begin: datetime | None, until: datetime | None) -> dict[str, datetime]:
    return {
        **({f"{field}__gte": begin} if begin else {}),
        **({f"{field}__lt": until} if until else {}),
    }


def _moment(value: Any) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise BadScope(f"{value} is no date.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _uuid(value: Any) -> str:
    try:
        return str(uuids.UUID(str(value).strip()))
    except ValueError:
        raise BadScope(f"{str(value)[:60]} is no resource's uuid.") from None
