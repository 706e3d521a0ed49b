"""What Heroku asks of a resource: provision, plan change, deprovision. One transaction each, nothing outside Postgres.

Every function answers a repeat as it answered the first time, and a Refusal leaves nothing behind.
"""

import uuid as uuids
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils import timezone

from provisioning import access, audit, credentials, lifecycle, operations, rows
from provisioning.catalogue import find_plan, find_region, load_plan
from provisioning.models import Operation, Plan, PlanPeriod, Resource
from provisioning.services import AddonService, Provisions, Refusal
from provisioning.states import (
    ACTIVE_OPERATION_STATES,
    GONE_STATES,
    OperationKind,
    ResourceState,
)
from provisioning.steps import ISSUE_CREDENTIAL
from provisioning.wakeups import wake_operation

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ProvisionRequest:
    """Heroku's provision request after reading; only `uuid` and `plan` are always there."""

    uuid: uuids.UUID
    plan: str
    name: str
    region: str | None
    options: dict[str, str]
    grant_code: str | None
    grant_expires_at: datetime | None
    log_input_url: str | None
    stored: dict[str, Any]
    """The request without its secrets, kept so that new fields of Heroku's can be looked at."""


class Gone(Exception):
    """The resource was deprovisioned, or deleted before we ever saw it. Ends Heroku's repeats (410)."""


class Unknown(Exception):
    """No such resource of this service (404)."""


@dataclass(frozen=True)
class Outcome:
    """What to tell Heroku: `ready` False means accepted, and done later."""

    ready: bool
    message: str
    config: dict[str, str] | None = None


def provision(service: AddonService, wanted: ProvisionRequest) -> Outcome:
    """Make the resource, or answer for the one that Heroku's uuid already has.

    The first request stands: a repeat with other parameters changes nothing, except that a newer grant is kept while
    none has been exchanged. Raises Refusal or Gone.
    """
    numbers = _numbers_of(wanted.uuid)
    if numbers.known is None:
        plan = find_plan(service, wanted.plan)
        region = find_region(plan, wanted.region)
        options = service.accept_options(wanted.options)
        try:
            return _create(service, wanted, numbers, plan=plan, region=region, options=options)
        except IntegrityError:
            # Another delivery of the same request was quicker; any other cause shows again below.
            numbers = _numbers_of(wanted.uuid)
            if numbers.known is None:
                raise
    return _repeat(service, numbers.known, wanted)


class _Numbers(NamedTuple):
    """The key of the resource that Heroku's uuid already has, or keys for a new one and its operation."""

    known: int | None
    resource: int | None
    operation: int | None


def _numbers_of(uuid: uuids.UUID) -> _Numbers:
    [found] = rows.execute(
        """
        SELECT id, CASE WHEN id IS NULL THEN nextval('provisioning_resource_id_seq') END,
               CASE WHEN id IS NULL THEN nextval('provisioning_operation_id_seq') END
          FROM (SELECT) AS nobody LEFT JOIN provisioning_resource ON uuid = %s
        """,
        [uuid],
    )
    return _Numbers(*found)


def _create(
    service: AddonService,
    wanted: ProvisionRequest,
    numbers: _Numbers,
    *,
    plan: Plan,
    region: str,
    options: dict[str, Any],
) -> Outcome:
    """Write all there is to a new resource by one statement, which alone is a transaction.

    A service whose own steps follow in the request has them in one transaction with it.
    """
    resource = Resource(
        id=numbers.resource,
        uuid=wanted.uuid,
        service=service.slug,
        plan=plan,
        name=wanted.name,
        region=region,
        options=options,
        request=wanted.stored,
    )
    resource.set_sealed(log_input_url=wanted.log_input_url)
    in_request = service.provisions is Provisions.IN_REQUEST
    if in_request:
        # Committed together with everything its steps make, so nobody ever sees it half-made.
        resource.state, resource.provisioned_at = ResourceState.PROVISIONED, timezone.now()
    grant = access.new_access(resource, code=wanted.grant_code, expires_at=wanted.grant_expires_at)
    operation = operations.new_operation(
        resource,
        OperationKind.PROVISION,
        requested_by=audit.HEROKU,
        target_plan=plan,
        ended=in_request,
        number=numbers.operation,
    )
    told = audit.event(
        f"resource.{resource.state}", resource=resource, actor=audit.HEROKU, plan=plan.slug, region=region
    )
    made = [resource, _new_period(resource, plan, starts_at=timezone.now()), grant, operation, told]
    steps = lifecycle.steps_of(operation) if in_request else ()
    if steps and steps[0] is ISSUE_CREDENTIAL:
        made += credentials.first_credential(operation)
        steps = steps[1:]
    with transaction.atomic() if steps else nullcontext():
        rows.insert_all(*made)
        for step in steps:
            step.run(operation)
    access.wake_exchange(grant)
    if not in_request:
        wake_operation(operation.pk)
        return Outcome(ready=False, message=service.provisioning_message)
    return Outcome(ready=True, message=service.provisioned_message, config=service.config_vars(resource))


def _new_period(resource: Resource, plan: Plan, *, starts_at: datetime) -> PlanPeriod:
    """A period with the prices of now, which it keeps."""
    return PlanPeriod(
        resource=resource,
        plan=plan,
        price_cents=plan.price_cents,
        metered=plan.metered,
        starts_at=starts_at,
    )


def _new_operation(
    service: AddonService, resource: Resource, kind: OperationKind, *, plan: Plan, actor: str
) -> Operation:
    ended = service.provisions is Provisions.IN_REQUEST
    return operations.new_operation(resource, kind, requested_by=actor, target_plan=plan, ended=ended)


def _repeat(service: AddonService, number: int, wanted: ProvisionRequest) -> Outcome:
    with transaction.atomic():
        # Under lock: a removal or a rotation at the same instant is seen whole or not at all.
        [resource] = rows.fetch_all(Resource, "id = %s FOR UPDATE", [number])
        return _repeat_locked(service, resource, wanted)


def _repeat_locked(service: AddonService, resource: Resource, wanted: ProvisionRequest) -> Outcome:
    if resource.state in GONE_STATES:
        raise Gone
    if resource.service != service.slug:
        # Heroku gives a uuid once. What belongs to another service neither exists here nor can be made here.
        raise Refusal("This resource cannot be provisioned here.", code="uuid_taken")
    if resource.state == ResourceState.FAILED:
        raise Refusal(
            f"{service.name} could not be provisioned. Nothing is charged; remove the add-on and add it again.",
            code="provision_failed",
        )
    log.info("provision.repeated", resource=str(resource.uuid), state=resource.state)
    access.renew_grant(resource, code=wanted.grant_code, expires_at=wanted.grant_expires_at)
    if resource.state == ResourceState.PROVISIONING:
        return Outcome(ready=False, message=service.provisioning_message)
    load_plan(resource)
    return Outcome(ready=True, message=service.provisioned_message, config=service.config_vars(resource))


def change_plan(
    service: AddonService, uuid: uuids.UUID, plan_slug: str, *, actor: str = audit.HEROKU
) -> Outcome:
    """Move the resource to another plan. Raises Refusal, Gone or Unknown.

    The plan counts from this answer on, for Heroku bills it from here; what has to change outside follows by an
    operation. The present plan again is no change: Heroku may believe an earlier success to have failed.
    """
    with transaction.atomic():
        resource = _locked(service, uuid)
        if resource.state in GONE_STATES:
            raise Gone
        if resource.state == ResourceState.FAILED:
            raise Refusal("This resource failed to provision. Remove it and add it again.", code="failed")
        former = load_plan(resource)
        if former is None:
            raise Gone
        if former.slug == plan_slug:
            log.info("plan_change.same_plan", resource=str(uuid), plan=plan_slug)
            audit.record("plan_change.same_plan", resource=resource, actor=actor, plan=plan_slug)
            return _same_plan(service, resource, former)
        plan = find_plan(service, plan_slug)
        if resource.state == ResourceState.PROVISIONING:
            raise Refusal(
                f"{service.name} is still being created. Change the plan once it is ready.",
                code="still_provisioning",
            )
        if _is_changing(service, resource):
            raise Refusal(
                f"The change to plan {former.name} is still being applied. Try again in a minute.",
                code="change_in_progress",
            )
        if resource.region not in plan.regions:
            raise Refusal(
                f"Plan '{plan.slug}' is not offered in region '{resource.region}', where this resource is.",
                code="region_unsupported",
            )
        service.check_plan_change(resource, plan)
        return _move_to(service, resource, plan, actor=actor)


def _move_to(service: AddonService, resource: Resource, plan: Plan, *, actor: str) -> Outcome:
    former = resource.plan
    now = lifecycle.close_plan_period(resource)
    resource.plan = plan
    operation = _new_operation(service, resource, OperationKind.PLAN_CHANGE, plan=plan, actor=actor)
    rows.insert_all(
        _new_period(resource, plan, starts_at=now),
        operation,
        audit.event(
            "plan_change.accepted",
            resource=resource,
            actor=actor,
            former=former.slug if former else None,
            plan=plan.slug,
        ),
        along=[rows.changing(resource, "plan")],
    )
    message = f"{service.name} moved from {former.name if former else '?'} to {plan.name}."
    if service.provisions is Provisions.AFTERWARDS:
        wake_operation(operation.pk)
        return Outcome(ready=False, message=f"{message} The new limits apply within a minute.")
    operations.run_in_request(operation)
    return Outcome(ready=True, message=message, config=service.config_vars(resource))


def _is_changing(service: AddonService, resource: Resource) -> bool:
    """Whether an earlier plan change is still being applied outside."""
    return (
        service.provisions is Provisions.AFTERWARDS
        and resource.operations.filter(
            kind=OperationKind.PLAN_CHANGE, state__in=ACTIVE_OPERATION_STATES
        ).exists()
    )


def _same_plan(service: AddonService, resource: Resource, plan: Plan) -> Outcome:
    message = f"{service.name} is on plan {plan.name}."
    if resource.state != ResourceState.PROVISIONED:
        return Outcome(ready=True, message=message)
    ready = not _is_changing(service, resource)
    return Outcome(ready=ready, message=message, config=service.config_vars(resource) if ready else None)


def deprovision(service: AddonService, uuid: uuids.UUID, *, actor: str = audit.HEROKU) -> None:
    """End the resource: its credentials are dead and its secrets destroyed when this returns, the rest follows.

    A provision in flight is cancelled. A uuid that was never seen leaves a tombstone, so that a provision request which
    this call overtook is answered with Gone. Raises Gone for a repeat and for a tombstone, Unknown for another
    service's.
    """
    try:
        _deprovision_known(service, uuid, actor=actor)
    except Unknown:
        try:
            _leave_tombstone(service, uuid)
        except IntegrityError:  # another service's, or the provision request came in between
            _deprovision_known(service, uuid, actor=actor)
            return
        raise Gone from None


@transaction.atomic
def _deprovision_known(service: AddonService, uuid: uuids.UUID, *, actor: str) -> None:
    resource = _locked(service, uuid)
    if resource.state in GONE_STATES:
        raise Gone
    unfinished = resource.state == ResourceState.PROVISIONING
    # After a failed provision the clean-up is under way, which with the access ended tells Heroku nothing any more.
    under_way = None
    for operation in operations.active_operations(resource):
        if operation.kind == OperationKind.DEPROVISION:
            under_way = operation
        else:
            operations.cancel(operation, reason="the resource is deprovisioned")
    closing = lifecycle.closing_plan_period(resource, now=timezone.now(), void=unfinished)
    revoked = credentials.revoke_all_untold(resource, along=[closing, lifecycle.ending_access(resource)])
    moved, change = lifecycle.moving(resource, ResourceState.DEPROVISIONING, actor=actor)
    made: list[Model] = [*revoked, moved]
    if under_way is None:
        under_way = operations.new_operation(resource, OperationKind.DEPROVISION, requested_by=actor)
        made.append(under_way)
    rows.insert_all(*made, along=[change])
    wake_operation(under_way.pk)


def _locked(service: AddonService, uuid: uuids.UUID) -> Resource:
    # The plan is read after the lock: joined to it, a plan that another call has just changed would come back as none.
    resource = rows.fetch(Resource, "uuid = %s FOR UPDATE", [uuid])
    if resource is None or resource.service != service.slug:
        raise Unknown
    return resource


def _leave_tombstone(service: AddonService, uuid: uuids.UUID) -> None:
    with transaction.atomic():
        tombstone = Resource.objects.create(
            uuid=uuid,
            service=service.slug,
            state=ResourceState.DEPROVISIONED,
            deprovisioned_at=timezone.now(),
        )
        audit.record("deprovision.unknown_uuid", resource=tombstone, actor=audit.HEROKU)
