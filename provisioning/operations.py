"""The operation engine: a row is the job, a lease says who works on it, steps carry it to its end.

Locks are always taken in the order resource, operation. No lock is held while a step runs: a worker that dies leaves a
lease that runs out, one that comes too late finds its lease token gone and stops.
"""

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from provisioning import audit, lifecycle, rows
from provisioning.masking import mask_text
from provisioning.models import Operation, Plan, Resource
from provisioning.services import Fault, Unrecoverable, Wait
from provisioning.states import ACTIVE_OPERATION_STATES, OperationKind, OperationState
from provisioning.wakeups import wake_operation

log = structlog.get_logger(__name__)

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_LONGEST_SECONDS = 300.0
SHORT_WAIT_SECONDS = 10.0
"""Waits up to this long get a timed wake-up; longer ones are the sweeper's."""


def new_operation(
    resource: Resource,
    kind: OperationKind,
    *,
    requested_by: str,
    target_plan: Plan | None = None,
    parameters: dict[str, Any] | None = None,
    ended: bool = False,
    number: int | None = None,
) -> Operation:
    """The row of an operation, yet to be written; one that `ended` is for `run_in_request`.

    `number` is its key, for a caller who has drawn it already.
    """
    return Operation(
        id=number,
        resource=resource,
        kind=kind,
        state=OperationState.SUCCEEDED if ended else OperationState.PENDING,
        finished_at=timezone.now() if ended else None,
        target_plan=target_plan,
        parameters=parameters or {},
        requested_by=requested_by,
        correlation_id=audit.correlation_id() or uuid.uuid4().hex,
    )


def start_operation(
    resource: Resource,
    kind: OperationKind,
    *,
    requested_by: str,
    parameters: dict[str, Any] | None = None,
) -> Operation:
    """Write the row and, on commit, wake a worker. The caller holds the resource's lock.

    An operation of this kind that is still active for the resource is returned instead of a second one.
    """
    operation = rows.fetch(
        Operation,
        "resource_id = %s AND kind = %s AND state = ANY(%s)",
        [resource.pk, kind, list(ACTIVE_OPERATION_STATES)],
    ) or rows.insert(new_operation(resource, kind, requested_by=requested_by, parameters=parameters))
    wake_operation(operation.pk)
    return operation


def run_in_request(operation: Operation) -> None:
    """Run a whole operation inside the caller's transaction, for services that provision in the request.

    Its steps stay in Postgres, so the row and all they make are committed together or not at all: it is
    written as ended.
    """
    for step in lifecycle.steps_of(operation):
        step.run(operation)


def active_operations(resource: Resource) -> list[Operation]:
    """The resource's operations that have not ended, oldest first, locked. The caller holds the resource's lock."""
    return rows.fetch_all(
        Operation,
        "resource_id = %s AND state = ANY(%s) ORDER BY id FOR UPDATE",
        [resource.pk, list(ACTIVE_OPERATION_STATES)],
    )


def cancel(operation: Operation, *, reason: str) -> None:
    """End an active operation that the caller has locked, after its resource.

    A worker that is inside a step keeps its lease until the step returns; what follows on the resource waits for it.
    """
    operation.state, operation.finished_at = OperationState.CANCELLED, timezone.now()
    operation.last_error = reason
    rows.update(operation, "state", "finished_at", "last_error")
    audit.record("operation.cancelled", resource=operation.resource, operation=operation, reason=reason)


def claim(operation_id: int) -> Operation | None:
    """Take the lease of an operation whose time has come, or None.

    Not while another operation of the same resource has a lease (two workers never act on one resource), nor before an
    earlier active one is through.
    """
    token = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE provisioning_operation AS mine
               SET state = 'running', lease_token = %(token)s,
                   lease_until = clock_timestamp() + %(lease)s * interval '1 second'
             WHERE id = %(id)s AND state IN ('pending', 'running') AND next_attempt_at <= clock_timestamp()
               AND (lease_until IS NULL OR lease_until < clock_timestamp())
               AND NOT EXISTS (
                   SELECT FROM provisioning_operation AS other
                    WHERE other.resource_id = mine.resource_id AND other.id <> mine.id
                      AND (other.lease_until > clock_timestamp()
                           OR (other.id < mine.id AND other.state IN ('pending', 'running'))))
            """,
            {"token": token, "lease": settings.OPERATION_LEASE_SECONDS, "id": operation_id},
        )
        claimed = cursor.rowcount == 1
    if not claimed:
        return None
    operation = Operation.objects.select_related("resource", "target_plan").get(pk=operation_id)
    return operation if operation.lease_token == token else None


def run(operation_id: int) -> None:
    """Carry an operation as far as it goes now: to its end, or to a step that has to wait or be tried again."""
    operation = claim(operation_id)
    if operation is None:
        return
    with bound_contextvars(
        correlation_id=operation.correlation_id,
        operation=operation.pk,
        kind=operation.kind,
        resource=str(operation.resource.uuid),
        service=operation.resource.service,
    ):
        try:
            _run_steps(operation)
        finally:
            release(operation)


def _run_steps(operation: Operation) -> None:
    steps = lifecycle.steps_of(operation)
    names = [step.name for step in steps]
    # A step that a newer release no longer has: begin anew, every step may run again.
    position = names.index(operation.step) if operation.step in names else 0
    for step in steps[position:]:
        if not _hold(operation, step=step.name):
            return
        try:
            step.run(operation)
        except Wait as wait:
            _postpone(operation, error=f"waiting: {wait}", seconds=wait.seconds, count=False)
            return
        except Unrecoverable as error:
            if lifecycle.may_fail(operation):
                fail(operation, error=str(error), message=error.message)
            else:
                _postpone(operation, error=str(error), seconds=BACKOFF_LONGEST_SECONDS, count=True)
            return
        except Exception as error:  # whatever a step meets, the row keeps it and the engine comes back
            retry_after = error.retry_after if isinstance(error, Fault) else None
            if not isinstance(error, Fault):
                log.exception("operation.step_crashed", step=step.name)
            delay = max(backoff(operation.attempt), retry_after or 0.0)
            text = str(error) if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
            _postpone(operation, error=text, seconds=delay, count=True)
            return
        operation.attempt = 0
    _finish(operation)


def backoff(attempt: int) -> float:
    """Seconds before the next try after `attempt` failed ones: doubling from 0.5 to 300, with jitter."""
    longest: float = min(BACKOFF_FIRST_SECONDS * 2.0 ** min(attempt, 20), BACKOFF_LONGEST_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def _mine(operation: Operation) -> QuerySet[Operation]:
    return Operation.objects.filter(
        pk=operation.pk, lease_token=operation.lease_token, state=OperationState.RUNNING
    )


def _hold(operation: Operation, *, step: str) -> bool:
    """Renew the lease for the step that comes now; False when the operation was cancelled or taken over."""
    operation.step = step
    until = timezone.now() + timedelta(seconds=settings.OPERATION_LEASE_SECONDS)
    return bool(_mine(operation).update(step=step, lease_until=until, attempt=operation.attempt))


def _postpone(operation: Operation, *, error: str, seconds: float, count: bool) -> None:
    operation.attempt += count
    held = _mine(operation).update(
        attempt=operation.attempt,
        last_error=mask_text(error)[:2000],
        next_attempt_at=timezone.now() + timedelta(seconds=seconds),
        state=OperationState.PENDING,
    )
    if held and count:
        log.warning(
            "operation.step_failed", step=operation.step, attempt=operation.attempt, error=mask_text(error)
        )
    if held and seconds <= SHORT_WAIT_SECONDS:
        wake_operation(operation.pk, countdown=seconds)


def release(operation: Operation) -> None:
    """Give the lease back, whatever became of the operation, and wake what waited for it on the same resource."""
    Operation.objects.filter(pk=operation.pk, lease_token=operation.lease_token).update(
        lease_token=None, lease_until=None
    )
    following = (
        Operation.objects.filter(resource_id=operation.resource_id, state__in=ACTIVE_OPERATION_STATES)
        .exclude(pk=operation.pk)
        .order_by("pk")
        .first()
    )
    if following:
        wake_operation(following.pk)


def _end(operation: Operation, state: OperationState, *, error: str = "", message: str = "") -> None:
    operation.state, operation.finished_at = state, timezone.now()
    operation.last_error, operation.message = mask_text(error)[:2000], message
    operation.save(update_fields=["state", "finished_at", "last_error", "message"])


def _lock(operation: Operation) -> Operation | None:
    """The operation under lock (after its resource) if it is still this worker's; call it in a transaction."""
    Resource.objects.select_for_update().get(pk=operation.resource_id)
    return _mine(operation).select_for_update(of=("self",)).select_related("resource", "target_plan").first()


def _finish(operation: Operation) -> None:
    with transaction.atomic():
        current = _lock(operation)
        if current is None:
            return
        succeed_locked(current)
    log.info("operation.succeeded", seconds=_age(current))


def succeed_locked(operation: Operation) -> None:
    """End an operation as done, for a caller that holds the resource's and the operation's locks."""
    _end(operation, OperationState.SUCCEEDED)
    lifecycle.succeeded(operation)


def fail(operation: Operation, *, error: str, message: str = "") -> None:
    """End the operation as failed and do what its failure asks for. No effect when it is no longer this worker's."""
    with transaction.atomic():
        current = _lock(operation)
        if current is not None:
            fail_locked(current, error=error, message=message)


def fail_locked(operation: Operation, *, error: str, message: str = "") -> None:
    """`fail` for a caller that holds the resource's and the operation's locks."""
    _end(operation, OperationState.FAILED, error=error, message=message)
    audit.record(
        f"{operation.kind}.failed",
        resource=operation.resource,
        operation=operation,
        error=mask_text(error)[:500],
    )
    follow_up = lifecycle.failed(operation)
    if follow_up:
        start_operation(
            operation.resource, follow_up.kind, requested_by=audit.SYSTEM, parameters=follow_up.parameters
        )
    log.error("operation.failed", error=mask_text(error), seconds=_age(operation))


def _age(operation: Operation) -> float:
    ended: datetime = operation.finished_at or timezone.now()
    return round((ended - operation.created_at).total_seconds(), 3)
