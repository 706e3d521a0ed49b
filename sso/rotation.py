"""Credential rotation from the dashboard: what there is to rotate, and starting it once."""

from dataclasses import dataclass

from django.db import transaction

from provisioning import rotation
from provisioning.locks import lock_resource
from provisioning.models import Credential, Operation, Resource
from provisioning.services import Refusal
from provisioning.states import CredentialState, OperationKind
from sso.progress import OperationView, latest_operation, operation_view


@dataclass(frozen=True)
class RotationView:
    """What the page shows of a resource's credentials."""

    credentials: tuple[Credential, ...]
    """The live ones, the active first."""
    active: Credential | None
    running: OperationView | None


@dataclass(frozen=True)
class RotationStart:
    """The rotation that a request led to; `started` is False when it was under way or done already."""

    operation: Operation
    started: bool


def rotation_view(resource: Resource) -> RotationView:
    """The live credentials of `resource` and the rotation under way, if any."""
    live = tuple(resource.credentials.exclude(state=CredentialState.REVOKED).order_by("state", "-created_at"))
    running = latest_operation(resource, OperationKind.ROTATION, active=True)
    return RotationView(
        credentials=live,
        active=next((row for row in live if row.state == CredentialState.ACTIVE), None),
        running=operation_view(running) if running else None,
    )


def start_rotation(resource_id: int, *, replaces: str, revoke_now: bool, actor: str) -> RotationStart:
    """Replace the credential whose public id is `replaces`, once.

    A second click finds the rotation that the first one started, even when that has already ended: the
    credential it wanted replaced is then no longer the active one. Raises Refusal as `rotate_credentials`
    does.
    """
    with transaction.atomic():
        resource = lock_resource(resource_id)
        running = latest_operation(resource, OperationKind.ROTATION, active=True)
        if running:
            return RotationStart(running, started=False)
        active = resource.credentials.filter(state=CredentialState.ACTIVE).select_related("operation").first()
        if active and active.public_id != replaces:
            if active.operation.kind == OperationKind.ROTATION and _was_issued(resource, replaces):
                return RotationStart(active.operation, started=False)
            raise Refusal("Your credentials have changed meanwhile. Reload the page.", code="page_outdated")
        operation = rotation.rotate_credentials(resource_id, requested_by=actor, revoke_now=revoke_now)
        return RotationStart(operation, started=True)


def _was_issued(resource: Resource, public_id: str) -> bool:
    return resource.credentials.filter(public_id=public_id).exclude(state=CredentialState.ACTIVE).exists()
