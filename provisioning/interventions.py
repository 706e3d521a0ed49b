"""What an operator may do to an operation by hand: retry it now, end it, or go past a step.

Each takes the resource's lock, then the operation's, raises Refusal with a sentence for the operator, and changes
nothing then. Who did it and why is the caller's to write down, in the same transaction.
"""

from django.utils import timezone

from provisioning import audit, lifecycle, operations, rows
from provisioning.models import Operation, Resource
from provisioning.services import Refusal
from provisioning.states import ACTIVE_OPERATION_STATES
from provisioning.wakeups import wake_operation


def retry_now(operation_id: int, *, actor: str) -> Operation:
    """Let an operation that waits for its next try go on at once. Call it in a transaction, as the others here."""
    operation = _locked(operation_id)
    if operation.lease_until and operation.lease_until > timezone.now():
        raise Refusal("A worker is at it right now.", code="operation_leased")
    operation.next_attempt_at = timezone.now()
    rows.update(operation, "next_attempt_at")
    audit.record("operation.retried", resource=operation.resource, operation=operation, actor=actor)
    wake_operation(operation.pk)
    return operation


def end(operation_id: int, *, reason: str, actor: str) -> Operation:
    """End an operation as failed, with what its failure brings about: a provision is undone and reported to Heroku, a
    rotation gives the former credentials back.

    Refused for what Heroku was already told is done (plan change, removal, revocation): these have to come about.
    """
    operation = _locked(operation_id)
    if not lifecycle.may_fail(operation):
        raise Refusal(
            f"A {operation.get_kind_display().lower()} cannot be cancelled: Heroku or the customer was told that it is "
            "done. Mend what it waits for and retry it, or skip the step that cannot be done.",
            code="operation_must_finish",
        )
    audit.record(
        "operation.cancelled", resource=operation.resource, operation=operation, actor=actor, reason=reason
    )
    operations.fail_locked(
        operation,
        error=f"cancelled by {actor}: {reason}",
        message="Our team has cancelled this. Nothing is charged for what was not delivered.",
    )
    return operation


def skip_step(operation_id: int, *, step: str, reason: str, actor: str) -> Operation:
    """Go past the step that an operation stands at; after the last one it has succeeded.

    `step` is the one the operator was shown: the operation may have moved on since. Refused while a worker is in it.
    """
    operation = _locked(operation_id)
    names = [each.name for each in lifecycle.steps_of(operation)]
    at = operation.step or names[0]
    if at != step or at not in names:
        raise Refusal(f"The operation has moved on: it is at “{at}” now.", code="operation_moved_on")
    if operation.lease_until and operation.lease_until > timezone.now():
        raise Refusal("A worker is inside this step: try again in a minute.", code="operation_leased")
    audit.record(
        "operation.step_skipped",
        resource=operation.resource,
        operation=operation,
        actor=actor,
        step=at,
        reason=reason,
    )
    following = names[names.index(at) + 1 :]
    if following:
        operation.step, operation.attempt, operation.next_attempt_at = following[0], 0, timezone.now()
        rows.update(operation, "step", "attempt", "next_attempt_at")
        wake_operation(operation.pk)
    else:
        operations.succeed_locked(operation)
    return operation


def _locked(operation_id: int) -> Operation:
    found = Operation.objects.filter(pk=operation_id).values_list("resource_id", flat=True).first()
    if found is None:
        raise Refusal("There is no such operation.", code="operation_unknown")
    Resource.objects.select_for_update().get(pk=found)
    operation = (
        Operation.objects.select_for_update(of=("self",))
        .select_related("resource", "target_plan")
        .get(pk=operation_id)
    )
    if operation.state not in ACTIVE_OPERATION_STATES:
        raise Refusal(
            f"This operation has {operation.state} already: nothing is left to do.", code="operation_ended"
        )
    return operation
