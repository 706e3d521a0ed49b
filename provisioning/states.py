"""The life of a resource and of an operation: every state, and the only ways between them."""

from django.db import models


class ResourceState(models.TextChoices):
    """Where a resource is in its life."""

    PROVISIONING = "provisioning", "Provisioning"
    PROVISIONED = "provisioned", "Provisioned"
    FAILED = "failed", "Failed"
    DEPROVISIONING = "deprovisioning", "Deprovisioning"
    DEPROVISIONED = "deprovisioned", "Deprovisioned"


RESOURCE_TRANSITIONS: dict[str, frozenset[str]] = {
    ResourceState.PROVISIONING: frozenset(
        {ResourceState.PROVISIONED, ResourceState.FAILED, ResourceState.DEPROVISIONING}
    ),
    ResourceState.PROVISIONED: frozenset({ResourceState.DEPROVISIONING}),
    # A failed provision is cleaned up by a deprovision that reports to Heroku; Heroku may send its DELETE meanwhile.
    ResourceState.FAILED: frozenset({ResourceState.DEPROVISIONING, ResourceState.DEPROVISIONED}),
    ResourceState.DEPROVISIONING: frozenset({ResourceState.DEPROVISIONED}),
    ResourceState.DEPROVISIONED: frozenset(),
}

LIVE_STATES = (ResourceState.PROVISIONING, ResourceState.PROVISIONED)
GONE_STATES = (ResourceState.DEPROVISIONING, ResourceState.DEPROVISIONED)


class OperationKind(models.TextChoices):
    """What an operation brings about."""

    PROVISION = "provision", "Provision"
    PLAN_CHANGE = "plan_change", "Plan change"
    DEPROVISION = "deprovision", "Deprovision"
    ROTATION = "rotation", "Credential rotation"
    REVOCATION = "revocation", "Revocation of replaced credentials"
    CONFIG_PUSH = "config_push", "Config var update"


class OperationState(models.TextChoices):
    """Where an operation is: pending and running ones are active, the others are ended for good."""

    PENDING = "pending", "Pending"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE_OPERATION_STATES = (OperationState.PENDING, OperationState.RUNNING)


class AccessState(models.TextChoices):
    """Whether we may call Heroku about a resource."""

    WAITING = "waiting", "Waiting for the grant's exchange"
    GRANTED = "granted", "Granted"
    LOST = "lost", "Lost: the grant ran out or was refused"
    ENDED = "ended", "Ended with the resource"


class CredentialState(models.TextChoices):
    """The life of a key or password issued to a customer."""

    ACTIVE = "active", "Active"
    RETIRING = "retiring", "Retiring: replaced, valid until its time"
    REVOKED = "revoked", "Revoked"


class ForbiddenTransition(Exception):
    """A state change that the table does not have: a fault of ours, never a customer's."""
