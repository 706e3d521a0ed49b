"""What operators can do to a resource: each app adds its own actions to the resource's page."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import HttpRequest

from operators import audit
from operators.roles import ALL_ROLES, Role
from provisioning import customer_data, rotation, suspension
from provisioning.models import Resource
from provisioning.reconcile import reconcile_one
from provisioning.services import Fault, Refusal, Unrecoverable, Wait, service_of
from provisioning.states import ResourceState

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True)
class ResourceAction:
    """A button of the resource's page, which asks for a reason first.

    `run` does it and returns the sentence that tells the operator so; it raises Refusal where it cannot. It is called
    in a transaction in which the action is audited. `offered` says whether a resource has the button at all.
    """

    name: str
    label: str
    icon: str
    explanation: str
    run: Callable[[Resource, "User", str], str]
    offered: Callable[[Resource], bool]
    roles: frozenset[Role] = field(default=ALL_ROLES)
    dangerous: bool = False
    calls_out: bool = False
    """Whether `run` asks other machines: it is then called before the transaction, not in it."""


_actions: dict[str, ResourceAction] = {}


def register(action: ResourceAction) -> None:
    """Add an action; one of the same name is replaced."""
    _actions[action.name] = action


def offered_to(resource: Resource, roles: frozenset[Role]) -> list[ResourceAction]:
    """The actions that an operator with these roles has for this resource."""
    return [action for action in _actions.values() if action.roles & roles and action.offered(resource)]


def perform(
    name: str,
    resource: Resource,
    *,
    request: HttpRequest,
    operator: "User",
    roles: frozenset[Role],
    reason: str,
) -> str:
    """Do it, write it down, and return what to tell the operator. Refusal when it is not offered or cannot be done."""
    action = next((each for each in offered_to(resource, roles) if each.name == name), None)
    if action is None:
        raise Refusal("This is not offered for this resource now.", code="action_not_offered")
    if not reason.strip():
        raise Refusal("Give a reason: it is kept in the audit.", code="reason_needed")
    told = action.run(resource, operator, reason.strip()) if action.calls_out else ""
    with transaction.atomic():
        told = told or action.run(resource, operator, reason.strip())
        audit.record(
            f"resource.{name}", operator=operator, obj=resource, reason=reason.strip(), request=request
        )
    return told


def _rotate(resource: Resource, operator: "User", reason: str, *, revoke_now: bool) -> str:
    operation = rotation.rotate_credentials(
        resource.pk, requested_by=audit.actor(operator), revoke_now=revoke_now
    )
    return f"Rotation #{operation.pk} has started."


def _compare(resource: Resource, operator: "User", reason: str) -> str:
    try:
        found = reconcile_one(resource, fix=True)
    except (Fault, Wait, Unrecoverable) as error:
        raise Refusal(f"Heroku could not be asked: {error}", code="heroku_unreachable") from None
    if not found:
        return "Heroku and we agree."
    return "; ".join(f"{one.what}: {'mended' if one.fixed else one.note or 'not mended'}" for one in found)


def _suspend(resource: Resource, operator: "User", reason: str) -> str:
    suspension.suspend(resource.pk, reason=reason, actor=audit.actor(operator))
    return "Suspended: the customer is kept out."


def _resume(resource: Resource, operator: "User", reason: str) -> str:
    suspension.resume(resource.pk, actor=audit.actor(operator))
    return "The suspension has ended: the customer is let in again."


def _erase(resource: Resource, operator: "User", reason: str) -> str:
    erased = customer_data.erase(resource.pk, actor=audit.actor(operator), reason=reason)
    return f"Erased: {sum(erased.values())} rows, and the names on the resource itself."


def _live(resource: Resource) -> bool:
    return resource.state == ResourceState.PROVISIONED


def _has_credentials(resource: Resource) -> bool:
    return _live(resource) and service_of(resource).issues_credentials


register(
    ResourceAction(
        "rotate",
        "Rotate credentials",
        "refresh",
        "New credentials go to the app, which restarts; the former ones stay valid for the overlap.",
        lambda resource, operator, reason: _rotate(resource, operator, reason, revoke_now=False),
        _has_credentials,
        frozenset({Role.OPERATOR, Role.SECURITY}),
    )
)
register(
    ResourceAction(
        "revoke_now",
        "Revoke credentials now",
        "key-off",
        "For a leak. The present ones end at once: the app fails until Heroku has restarted it with the new ones.",
        lambda resource, operator, reason: _rotate(resource, operator, reason, revoke_now=True),
        _has_credentials,
        frozenset({Role.OPERATOR, Role.SECURITY}),
        dangerous=True,
    )
)
register(
    ResourceAction(
        "suspend",
        "Suspend",
        "lock",
        "The customer is kept out within a second until you resume it; nothing is deleted, and billing goes on. The "
        "customer reads your reason on the dashboard and in refused requests.",
        _suspend,
        lambda resource: _live(resource) and resource.suspended_at is None,
        frozenset({Role.OPERATOR, Role.SECURITY}),
        dangerous=True,
    )
)
register(
    ResourceAction(
        "resume",
        "End the suspension",
        "circle-check",
        "The customer is let in again within a second.",
        _resume,
        lambda resource: _live(resource) and resource.suspended_at is not None,
        frozenset({Role.OPERATOR, Role.SECURITY}),
    )
)
register(
    ResourceAction(
        "erase",
        "Erase the customer's data",
        "eraser",
        "Deletes now what is left of this removed add-on and would be deleted after its retention, and whatever names "
        "people. Bills, metering and the audit stay.",
        _erase,
        lambda resource: resource.state == ResourceState.DEPROVISIONED,
        frozenset({Role.SECURITY}),
        dangerous=True,
    )
)
register(
    ResourceAction(
        "reconcile",
        "Compare with Heroku and mend",
        "switch-horizontal",
        "Existence, state, plan and config vars. What is safe to mend is mended; new config vars restart the app.",
        _compare,
        _live,
        frozenset({Role.SUPPORT, Role.OPERATOR}),
        calls_out=True,
    )
)
