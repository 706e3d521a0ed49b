"""What of the ground floor needs a person now: a few indexed queries, counted no further than is worth telling."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from operators.overview import Concern
from provisioning.models import Heartbeat, Operation, PlatformAccess, Resource
from provisioning.states import ACTIVE_OPERATION_STATES, LIVE_STATES, AccessState, ResourceState
from provisioning.sweep import ALARM_AFTER, HEARTBEAT

_ENOUGH = 1000
_OPERATIONS, _RESOURCES = "/admin/provisioning/operation/", "/admin/provisioning/resource/"


def _number(rows: QuerySet[Any]) -> int:
    return len(rows.order_by().values_list("pk", flat=True)[:_ENOUGH])


def concerns() -> Iterator[Concern]:
    """Operations, access to Heroku, failed provisions, and the sweeper."""
    now = timezone.now()
    active = Operation.objects.filter(state__in=ACTIVE_OPERATION_STATES)
    overdue = active.filter(created_at__lt=now - ALARM_AFTER)
    yield Concern(
        "Operations older than 15 minutes",
        _number(overdue),
        f"{_OPERATIONS}?state__exact=pending",
        "bad",
        "Each tells its step and its last error.",
    )
    lost = PlatformAccess.objects.filter(state=AccessState.LOST, resource__state__in=LIVE_STATES)
    yield Concern(
        "Resources that Heroku does not let us into",
        _number(lost),
        _RESOURCES,
        "warning",
        "Their config vars cannot be changed until Heroku sends a new grant.",
    )
    failed = Resource.objects.filter(state=ResourceState.FAILED)
    yield Concern(
        "Failed provisions not cleaned up yet", _number(failed), f"{_RESOURCES}?state__exact=failed", "bad"
    )
    beat = Heartbeat.objects.filter(name=HEARTBEAT).first()
    silent = beat is None or now - beat.at > timedelta(minutes=1)
    yield Concern("Silence of the sweeper", int(silent), _OPERATIONS, "bad", "Is a worker up, and beat?")
    yield Concern("Operations under way", _number(active), f"{_OPERATIONS}?state__exact=running", "info")
