"""A resource's lock: who waited for it sees what was changed meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from provisioning.locks import lock_provisioned, lock_resource
from provisioning.models import Plan, Resource
from provisioning.services import Refusal
from tests.support.partner import Partner
from tests.support.stack import until


def locked_plan(resource_id: int) -> str:
    """The plan that a transaction of another connection sees once it has the lock."""
    try:
        with transaction.atomic():
            plan = lock_resource(resource_id).plan
            return plan.slug if plan else "none"
    finally:
        connections.close_all()


def waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


@pytest.mark.django_db(transaction=True)
def test_who_waits_while_the_plan_changes_sees_the_new_plan(inference: Partner) -> None:
    resource = inference.provisioned()
    other = Plan.objects.get(service="inference", slug="nova-pro")
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            Resource.objects.filter(pk=resource.pk).update(plan=other)
            seen = threads.submit(locked_plan, resource.pk)
            until(waits)
        assert seen.result(60) == "nova-pro"


def test_only_a_provisioned_resource_is_given(inference: Partner) -> None:
    resource = inference.provisioned()
    assert lock_provisioned(resource.pk, refusal="too late") == resource
    inference.delete(resource.uuid)
    with pytest.raises(Refusal, match="too late"):
        lock_provisioned(resource.pk, refusal="too late")
