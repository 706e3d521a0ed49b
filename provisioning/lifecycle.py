"""What each kind of operation consists of, and what its success or failure means for the resource."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from provisioning import audit, credentials, rows, steps
from provisioning.models import AuditEvent, Operation, Resource
from provisioning.services import Provisions, Step, service_of
from provisioning.states import (
    RESOURCE_TRANSITIONS,
    AccessState,
    ForbiddenTransition,
    OperationKind,
    ResourceState,
)


@dataclass(frozen=True)
class FollowUp:
    """An operation that another one's failure asks for."""

    kind: OperationKind
    parameters: dict[str, Any] = field(default_factory=dict)


def steps_of(operation: Operation) -> tuple[Step, ...]:
    """The steps of an operation, in order; names are unique within it."""
    service = service_of(operation.resource)
    match operation.kind:
        case OperationKind.PROVISION:
            made = tuple(service.provision_steps())
            if service.provisions is Provisions.IN_REQUEST:
                return made
            return (*made, steps.AWAIT_ACCESS, steps.PUSH_CONFIG_VARS, steps.COMPLETE_PROVISION)
        case OperationKind.PLAN_CHANGE:
            return tuple(service.change_plan_steps())
        case OperationKind.ROTATION:
            issued = (steps.ISSUE_CREDENTIAL, *service.install_credential_steps())
            if operation.parameters.get("revoke_now"):
                removed = (steps.REVOKE_REPLACED, *service.remove_credential_steps())
                return (*issued, *removed, steps.PUSH_CONFIG_VARS)
            return (*issued, steps.PUSH_CONFIG_VARS, steps.RETIRE_REPLACED)
        case OperationKind.REVOCATION:
            return (steps.REVOKE_DUE, *service.remove_credential_steps())
        case OperationKind.CONFIG_PUSH:
            return (steps.PUSH_CONFIG_VARS,)
        case OperationKind.DEPROVISION:
            return (*service.deprovision_steps(), steps.REPORT_FAILURE, steps.DESTROY_SECRETS)
    raise ValueError(f"unknown kind of operation: {operation.kind}")


def may_fail(operation: Operation) -> bool:
    """Whether an operation may end as failed.

    What Heroku was already told is done, a plan change or a removal, is tried until it works; operators are alarmed.
    """
    return operation.kind not in (
        OperationKind.DEPROVISION,
        OperationKind.PLAN_CHANGE,
        OperationKind.REVOCATION,
    )


def move(resource: Resource, state: ResourceState, *, actor: str = audit.SYSTEM, **detail: Any) -> None:
    """Take the resource to `state` and tell the audit. The caller holds the resource's lock."""
    event, change = moving(resource, state, actor=actor, **detail)
    rows.insert_all(event, along=[change])


def moving(
    resource: Resource, state: ResourceState, *, actor: str = audit.SYSTEM, **detail: Any
) -> tuple[AuditEvent, rows.Statement]:
    """`move` for a caller who writes the event and runs the statement himself."""
    if state not in RESOURCE_TRANSITIONS[resource.state]:
        raise ForbiddenTransition(f"{resource.state} → {state}")
    former, resource.state = resource.state, state
    changed = ["state"]
    if state == ResourceState.PROVISIONED:
        resource.provisioned_at = timezone.now()
        changed.append("provisioned_at")
    if state in (ResourceState.DEPROVISIONING, ResourceState.DEPROVISIONED):
        resource.set_sealed(log_input_url=None)
        changed.append("log_input_url")
    if state == ResourceState.DEPROVISIONED:
        resource.deprovisioned_at = timezone.now()
        changed.append("deprovisioned_at")
    event = audit.event(f"resource.{state}", resource=resource, actor=actor, former=former, **detail)
    return event, rows.changing(resource, *changed)


def close_plan_period(resource: Resource, *, void: bool = False) -> datetime:
    """End the open plan period and return when; `void` marks a provision that never finished, which costs nothing.

    The end is now, but never before the period's start: another machine's clock may have set that.
    """
    now = timezone.now()
    closing = closing_plan_period(resource, now=now, void=void)
    closed = rows.execute(f"{closing.text} RETURNING ends_at", closing.values)
    return closed[0][0] if closed else now


def closing_plan_period(resource: Resource, *, now: datetime, void: bool) -> rows.Statement:
    """The statement of `close_plan_period`."""
    return rows.Statement(
        """
        UPDATE provisioning_planperiod
           SET ends_at = greatest(%s, starts_at), voided_at = CASE WHEN %s THEN greatest(%s, starts_at) END
         WHERE resource_id = %s AND ends_at IS NULL
        """,
        [now, void, now, resource.pk],
    )


def ending_access(resource: Resource) -> rows.Statement:
    """The statement that destroys what we hold to call Heroku about this resource."""
    return rows.Statement(
        """
        UPDATE provisioning_platformaccess
           SET state = %s, grant_code = NULL, access_token = NULL, refresh_token = NULL,
               lease_token = NULL, lease_until = NULL
         WHERE resource_id = %s
        """,
        [AccessState.ENDED, resource.pk],
    )


def succeeded(operation: Operation) -> None:
    """What follows for the resource when every step is done; in the transaction that ends the operation."""
    resource = operation.resource
    if operation.kind == OperationKind.PROVISION:
        move(resource, ResourceState.PROVISIONED)
    elif operation.kind == OperationKind.DEPROVISION:
        event, change = moving(resource, ResourceState.DEPROVISIONED)
        rows.insert_all(event, along=[ending_access(resource), change])
    else:
        audit.record(f"{operation.kind}.succeeded", resource=resource, operation=operation)


def failed(operation: Operation) -> FollowUp | None:
    """What follows for the resource when an operation cannot be carried out; in the transaction that ends it."""
    resource = operation.resource
    if operation.kind == OperationKind.PROVISION:
        move(resource, ResourceState.FAILED)
        close_plan_period(resource, void=True)
        credentials.revoke_all(resource, operation=operation)
        return FollowUp(OperationKind.DEPROVISION, {"report": True})
    if operation.kind == OperationKind.ROTATION:
        credentials.restore_replaced(operation)
        if service_of(resource).remove_credential_steps():
            return FollowUp(OperationKind.REVOCATION)
    return None
