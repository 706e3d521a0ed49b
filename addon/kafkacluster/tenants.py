"""Making and ending a tenant."""

import secrets

from django.db import IntegrityError, transaction
from django.utils import timezone

from addon.kafkacluster.models import Tenant
from provisioning.models import Operation

_PREFIX_LENGTH = 12


def ensure_tenant(operation: Operation) -> None:
    """Give the operation's resource its tenant, if it has none.

    The prefix has a fixed length and ends in a separator, so no tenant's prefix begins another's; neither it
    nor the user name is ever used again.
    """
    while not Tenant.objects.filter(resource_id=operation.resource_id).exists():
        token = secrets.token_hex(_PREFIX_LENGTH // 2)
        try:
            with transaction.atomic():
                Tenant.objects.create(
                    resource_id=operation.resource_id, username=f"t{token}", prefix=f"t{token}."
                )
        except IntegrityError:  # the token was drawn before, or another run was quicker: look again
            continue


def end_tenant(operation: Operation) -> None:
    """Mark the tenant as removed; the row stays so that its names are never given to anybody else."""
    Tenant.objects.filter(resource_id=operation.resource_id, removed_at=None).update(
        removed_at=timezone.now()
    )
