"""Replacing a resource's credential: on the customer's wish, an operator's, or at once after a leak."""

from django.db import transaction
from django.utils import timezone

from provisioning import access, audit, credentials, operations
from provisioning.locks import lock_resource
from provisioning.models import Operation
from provisioning.services import Refusal, service_of
from provisioning.states import AccessState, OperationKind, ResourceState


def rotate_credentials(resource_id: int, *, requested_by: str, revoke_now: bool = False) -> Operation:
    """Start a rotation: issue a new credential, send the config vars to Heroku, end the former one.

    The former one stays valid for `CREDENTIAL_OVERLAP_SECONDS`; with `revoke_now` it ends before the config vars are
    sent, so the app fails until Heroku has restarted it. A rotation that is already under way is returned instead,
    and made one that revokes now if that is wanted. Refusal when the resource is not provisioned, has no credential,
    or Heroku cannot be told.
    """
    with transaction.atomic():
        resource = lock_resource(resource_id)
        service = service_of(resource)
        if not service.issues_credentials:
            raise Refusal(f"{service.name} has no credentials to rotate.", code="nothing_to_rotate")
        if resource.state != ResourceState.PROVISIONED:
            raise Refusal(
                "Credentials can be rotated once the resource is provisioned.", code="not_provisioned"
            )
        if access.state_of(resource) == AccessState.LOST:
            raise Refusal(
                "The new credentials could not be sent to your app, because Heroku no longer lets us. "
                "Please contact support.",
                code="no_access",
            )
        operation = operations.start_operation(
            resource,
            OperationKind.ROTATION,
            requested_by=requested_by,
            parameters={"revoke_now": revoke_now},
        )
        if revoke_now and not operation.parameters.get("revoke_now"):
            # An ordinary rotation is under way: the leaked credential must not live through its overlap.
            operation.parameters["revoke_now"] = True
            operation.save(update_fields=["parameters"])
            credentials.retire_replaced(resource, at=timezone.now())
        audit.record(
            "rotation.requested",
            resource=resource,
            operation=operation,
            actor=requested_by,
            revoke_now=revoke_now,
        )
        return operation
