"""Comparing what we hold with what Heroku holds, resource by resource, and mending what is safe to mend."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import structlog
from django.db import transaction
from django.utils import timezone

from provisioning import access, operations, platform_api, resources
from provisioning.models import Heartbeat, Resource
from provisioning.names import keep_names
from provisioning.services import Fault, Provisions, Refusal, Unrecoverable, Wait, service_of
from provisioning.states import LIVE_STATES, OperationKind, ResourceState

log = structlog.get_logger(__name__)

WAIT_TRIES = 10
HEARTBEAT = "reconcile"


@dataclass
class Difference:
    """One thing that is not the same on both sides. Values of config vars appear as digests only."""

    resource: str
    service: str
    what: str
    ours: str
    herokus: str
    fixed: bool = False
    note: str = ""


@dataclass
class Report:
    """What a reconciliation found."""

    checked: int = 0
    unreachable: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def as_json(self) -> str:
        """The report for machines."""
        return json.dumps(asdict(self), indent=2)


def value_digest(value: str) -> str:
    """Ten hexadecimal digits that tell two values apart without showing them."""
    return hashlib.sha256(value.encode()).hexdigest()[:10]


def reconcile_all(*, fix: bool, service: str | None = None) -> Report:
    """Compare every live resource; with `fix`, mend what is safe.

    Safe is: pushing our config vars, following Heroku's plan (the billing truth) where the service accepts it, and
    finishing a provision that Heroku still waits for. A resource that Heroku does not know is only reported: removing a
    customer's data on the word of one 404 is not safe.
    """
    report = Report()
    query = Resource.objects.filter(state__in=LIVE_STATES).select_related("plan").order_by("pk")
    if service:
        query = query.filter(service=service)
    for resource in query.iterator(chunk_size=200):
        report.checked += 1
        try:
            found = reconcile_one(resource, fix=fix)
        except (Fault, Wait, Unrecoverable) as error:
            report.unreachable.append(f"{resource.service} {resource.uuid}: {error}")
            continue
        report.differences += found
    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": timezone.now()})
    log.info(
        "reconcile.done",
        checked=report.checked,
        differences=len(report.differences),
        unreachable=len(report.unreachable),
    )
    return report


def reconcile_one(resource: Resource, *, fix: bool) -> list[Difference]:
    """Compare one live resource and mend what is safe if asked. Raises Fault, Wait and Unrecoverable."""
    found = list(_with_patience(resource))
    for difference in found:
        if fix:
            _fix(resource, difference)
        log.warning("reconcile.difference", **asdict(difference))
    return found


def _with_patience(resource: Resource) -> Iterator[Difference]:
    """The differences of one resource; another worker's token refresh is waited for, a few seconds at most."""
    for left in range(WAIT_TRIES, 0, -1):
        try:
            return iter(list(compare(resource)))
        except Wait as wait:
            if left == 1:
                raise
            time.sleep(min(wait.seconds, 1.0))
    return iter(())


def compare(resource: Resource) -> Iterator[Difference]:
    """What differs between our resource and Heroku's add-on. Raises as the Platform API's calls do."""

    def difference(what: str, ours: str, herokus: str) -> Difference:
        return Difference(str(resource.uuid), resource.service, what, ours, herokus)

    try:
        addon = platform_api.read_addon(resource)
        config = platform_api.read_config(resource)
    except platform_api.ResourceGone:
        if access.state_of(resource) != "ended":  # it was not ended by us just now
            yield difference("existence", resource.state, "unknown to Heroku")
        return
    keep_names(resource, addon=addon)
    if addon.get("state") != resource.state:
        yield difference("state", resource.state, str(addon.get("state")))
    herokus_plan = str((addon.get("plan") or {}).get("name", "")).rpartition(":")[2]
    if resource.plan and herokus_plan != resource.plan.slug:
        yield difference("plan", resource.plan.slug, herokus_plan)
    if resource.state != ResourceState.PROVISIONED:
        return
    wanted = service_of(resource).config_vars(resource)
    for name in sorted(wanted.keys() | config.keys()):
        if wanted.get(name) != config.get(name):
            yield difference(
                f"config var {name}",
                value_digest(wanted[name]) if name in wanted else "absent",
                value_digest(config[name]) if name in config else "absent",
            )


def _fix(resource: Resource, difference: Difference) -> None:
    service = service_of(resource)
    try:
        if difference.what == "plan":
            resources.change_plan(service, resource.uuid, difference.herokus, actor="reconcile")
            difference.fixed = True
        elif difference.what.startswith("config var"):
            with transaction.atomic():
                locked = Resource.objects.select_for_update().get(pk=resource.pk)
                if locked.state == ResourceState.PROVISIONED:
                    operations.start_operation(locked, OperationKind.CONFIG_PUSH, requested_by="reconcile")
                    difference.fixed = True
        elif (
            difference.what == "state"
            and service.provisions is Provisions.AFTERWARDS
            and (difference.ours, difference.herokus) == ("provisioned", "provisioning")
        ):
            platform_api.mark_provisioned(resource)
            difference.fixed = True
    except Refusal as refusal:
        difference.note = refusal.message
    except (
        Fault,
        Unrecoverable,
        Wait,
        resources.Gone,
        resources.Unknown,
        platform_api.ResourceGone,
    ) as error:
        difference.note = str(error) or type(error).__name__
