"""Taking a resource's row for oneself until the end of the transaction: what changes a resource begins with it."""

from provisioning.models import Resource
from provisioning.services import Refusal
from provisioning.states import ResourceState


def lock_resource(resource_id: int) -> Resource:
    """The resource, locked. Raises Resource.DoesNotExist.

    Its plan is read when it is asked for, after the lock: joined to the row, a plan that another transaction changed
    while this one waited would come back as none.
    """
    return Resource.objects.select_for_update().get(pk=resource_id)


def lock_provisioned(resource_id: int, *, refusal: str) -> Resource:
    """As `lock_resource`; raises Refusal with that message unless the resource is provisioned."""
    resource = lock_resource(resource_id)
    if resource.state != ResourceState.PROVISIONED:
        raise Refusal(refusal, code="not_provisioned")
    return resource
