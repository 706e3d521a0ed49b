"""Keeping a customer out of what we provide, for a time: nothing is lost, and all of it comes back.

The resource's row says so; every service looks there, or follows by `suspension_changed` where something stands outside
of Postgres. Heroku knows no such state: plan changes and the removal go on as ever, and so does billing.
"""

from django.db import transaction
from django.utils import timezone

from provisioning import audit
from provisioning.locks import lock_provisioned
from provisioning.models import Resource
from provisioning.services import Refusal, service_of


@transaction.atomic
def suspend(resource_id: int, *, reason: str, actor: str) -> Resource:
    """Refuse the customer's requests until `resume`; `reason` is what the customer reads. Safe to repeat.

    Raises Refusal when the resource is not provisioned, or no reason is given.
    """
    if not reason.strip():
        raise Refusal("Give a reason: the customer reads it on the dashboard.", code="reason_needed")
    resource = _locked(resource_id)
    if resource.suspended_at is None:
        resource.suspended_at = timezone.now()
        audit.record("resource.suspended", resource=resource, actor=actor, reason=reason.strip())
    resource.suspension_reason = reason.strip()
    return _save(resource)


@transaction.atomic
def resume(resource_id: int, *, actor: str) -> Resource:
    """End a suspension; no effect on a resource that is not suspended. Raises Refusal when it is not provisioned."""
    resource = _locked(resource_id)
    if resource.suspended_at is None:
        return resource
    resource.suspended_at, resource.suspension_reason = None, ""
    audit.record("resource.resumed", resource=resource, actor=actor)
    return _save(resource)


def _locked(resource_id: int) -> Resource:
    return lock_provisioned(resource_id, refusal="Only a provisioned resource can be suspended or resumed.")


def _save(resource: Resource) -> Resource:
    resource.save(update_fields=["suspended_at", "suspension_reason"])
    service_of(resource).suspension_changed(resource)
    return resource
