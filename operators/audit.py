"""Every operator's action: who, what, to what, why, and what changed. Written in the action's own transaction."""

from typing import TYPE_CHECKING, Any

from django.db import models

from operators.models import Event
from provisioning import audit as ground
from provisioning.masking import mask_text, mask_value
from provisioning.models import Resource

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.http import HttpRequest

COMMAND = "command line"


def record(
    action: str,
    *,
    operator: "User | AnonymousUser | str",
    obj: models.Model | None = None,
    resource: Resource | None = None,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    request: "HttpRequest | None" = None,
) -> Event:
    """Write one event; call it in the transaction that does what it tells of.

    `action` is a static dotted name (`resource.suspend`), `operator` the account (or a name, for a command), `obj` the
    row it was done to. `resource` may be left out when `obj` is one or has one. `before` and `after` hold what
    changed, as JSON; secrets in them and in `reason` are masked. `request` gives the address.
    """
    if resource is None and obj is not None:
        resource = obj if isinstance(obj, Resource) else getattr(obj, "resource", None)
    account = None if isinstance(operator, str) or operator.is_anonymous else operator
    return Event.objects.create(
        operator=account,
        name=operator if isinstance(operator, str) else operator.get_username(),
        action=action,
        object_type=obj._meta.label_lower if obj is not None else "",
        object_id=str(obj.pk) if obj is not None else "",
        resource=resource if isinstance(resource, Resource) else None,
        reason=mask_text(reason),
        before=mask_value(before),
        after=mask_value(after),
        address=request.META.get("REMOTE_ADDR") or None if request else None,
        correlation_id=ground.correlation_id(),
    )


def actor(operator: "User | AnonymousUser") -> str:
    """How the customer's side of the audit (`provisioning.audit`) names an operator."""
    return f"operator {operator.get_username()}"[:200]
