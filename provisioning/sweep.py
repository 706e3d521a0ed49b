"""Finding what nobody works on: lost wake-ups, dead workers, credentials to revoke, old operations."""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from provisioning import limits, operations
from provisioning.models import Credential, Heartbeat, Operation, Resource
from provisioning.states import (
    ACTIVE_OPERATION_STATES,
    LIVE_STATES,
    AccessState,
    CredentialState,
    OperationKind,
)
from provisioning.wakeups import wake_grant, wake_operation

log = structlog.get_logger(__name__)

ALARM_AFTER = timedelta(minutes=15)
GIVE_UP_AFTER = timedelta(hours=11)
"""Heroku ends a provision after twelve hours: an hour before, we end it cleanly ourselves."""
WOKEN_LATELY = timedelta(seconds=max(5.0, settings.OPERATION_LEASE_SECONDS / 3))
"""A row that was woken this short ago is not woken again: its message may be in a queue that is long."""
BATCH = 500
HEARTBEAT = "sweep"


@dataclass(frozen=True)
class SweepResult:
    """How many rows one sweep touched."""

    operations: int
    grants: int
    revocations: int
    alarms: int
    given_up: int
    overrides: int


def sweep() -> SweepResult:
    """One pass. Any number may run at once: each row is taken by one of them."""
    result = SweepResult(
        revocations=_start_due_revocations(),
        given_up=_give_up_late_provisions(),
        operations=_wake_operations(),
        grants=_wake_grants(),
        alarms=_raise_alarms(),
        overrides=limits.end_due_overrides(),
    )
    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": timezone.now()})
    return result


def _claim_rows(sql: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"lately": WOKEN_LATELY.total_seconds(), "batch": BATCH})
        return [row[0] for row in cursor.fetchall()]


@transaction.atomic
def _wake_operations() -> int:
    rows = _claim_rows(
        """
        UPDATE provisioning_operation SET woken_at = now() WHERE id IN (
            SELECT id FROM provisioning_operation
             WHERE state IN ('pending', 'running') AND next_attempt_at <= now()
               AND (lease_until IS NULL OR lease_until < now())
               AND (woken_at IS NULL OR woken_at < now() - %(lately)s * interval '1 second')
             ORDER BY next_attempt_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
        RETURNING id
        """
    )
    for row in rows:
        wake_operation(row)
    return len(rows)


@transaction.atomic
def _wake_grants() -> int:
    rows = _claim_rows(
        f"""
        UPDATE provisioning_platformaccess SET woken_at = now() WHERE id IN (
            SELECT id FROM provisioning_platformaccess
             WHERE state = '{AccessState.WAITING}' AND next_attempt_at <= now()
               AND (lease_until IS NULL OR lease_until < now())
               AND (woken_at IS NULL OR woken_at < now() - %(lately)s * interval '1 second')
             ORDER BY next_attempt_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
        RETURNING id
        """  # noqa: S608 - the one inserted word is ours
    )
    for row in rows:
        wake_grant(row)
    return len(rows)


def _start_due_revocations() -> int:
    due = (
        Credential.objects.filter(
            state=CredentialState.RETIRING,
            retires_at__lte=timezone.now(),
            resource__state__in=LIVE_STATES,
        )
        .exclude(
            resource__operations__kind=OperationKind.REVOCATION,
            resource__operations__state__in=ACTIVE_OPERATION_STATES,
        )
        .values_list("resource_id", flat=True)
        .distinct()[:BATCH]
    )
    started = 0
    for resource_id in list(due):
        with transaction.atomic():
            resource = Resource.objects.select_for_update().get(pk=resource_id)
            if resource.state in LIVE_STATES:
                operations.start_operation(resource, OperationKind.REVOCATION, requested_by="system")
                started += 1
    return started


def _give_up_late_provisions() -> int:
    late = Operation.objects.filter(
        kind=OperationKind.PROVISION,
        state__in=ACTIVE_OPERATION_STATES,
        created_at__lt=timezone.now() - GIVE_UP_AFTER,
    ).values_list("pk", "resource_id")
    given_up = 0
    for operation_id, resource_id in list(late[:BATCH]):
        with transaction.atomic():
            Resource.objects.select_for_update().get(pk=resource_id)
            operation = (
                Operation.objects.select_for_update(of=("self",))
                .select_related("resource", "target_plan")
                .filter(pk=operation_id, state__in=ACTIVE_OPERATION_STATES)
                .first()
            )
            if operation:
                operations.fail_locked(
                    operation,
                    error=f"not provisioned within {GIVE_UP_AFTER}; last error: {operation.last_error}",
                    message="The resource could not be created in time. Nothing is charged.",
                )
                given_up += 1
    return given_up


def _raise_alarms() -> int:
    overdue = Operation.objects.filter(
        state__in=ACTIVE_OPERATION_STATES, created_at__lt=timezone.now() - ALARM_AFTER, alarmed_at=None
    ).select_related("resource")
    raised = 0
    for operation in overdue[:BATCH]:
        if Operation.objects.filter(pk=operation.pk, alarmed_at=None).update(alarmed_at=timezone.now()):
            raised += 1
            log.error(
                "operation.overdue",
                operation=operation.pk,
                kind=operation.kind,
                step=operation.step,
                attempt=operation.attempt,
                error=operation.last_error,
                resource=str(operation.resource.uuid),
                service=operation.resource.service,
                correlation_id=operation.correlation_id,
            )
    return raised
