"""A worker that dies after any one call to Kafka: the next one finishes what it began, and nothing is left over."""

from collections.abc import Callable
from typing import Any

import pytest

from addon.kafkacluster import reconcile
from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.tenants import left_of
from provisioning import access, operations
from provisioning.models import Operation, Resource
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, run_operations

pytestmark = pytest.mark.django_db


class Death(BaseException):
    """What no step catches."""


@pytest.fixture
def die_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[Operation, int], bool]:
    """Run an operation that dies after its n-th call to Kafka; whether it came that far."""

    def run(operation: Operation, number: int) -> bool:
        calls = 0

        def dying(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(self: Cluster, *args: Any, **kwargs: Any) -> Any:
                nonlocal calls
                result = method(self, *args, **kwargs)
                calls += 1
                if calls == number:
                    raise Death
                return result

            return call

        with monkeypatch.context() as patched:
            for name in ("_call", "_with_coordinator"):
                patched.setattr(Cluster, name, dying(getattr(Cluster, name)))
            try:
                operations.run(operation.pk)
            except Death:
                return True
        return False

    return run


def test_a_tenant_is_whole_after_a_death_in_its_provision_and_gone_after_one_in_its_removal(
    plans: None, heroku: FakeHeroku, cluster: Cluster, die_after: Callable[[Operation, int], bool]
) -> None:
    number, died = 0, {"provision": 0, "deprovision": 0}
    while True:
        number += 1
        resource = Partner("kafkacluster").provisioned()
        heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
        access.exchange_grant(resource.access.pk)
        made = die_after(resource.operations.get(), number)
        run_operations(resource)
        resource = Resource.objects.get(pk=resource.pk)
        assert resource.state == "provisioned"
        tenant = Tenant.objects.select_related("resource__plan").get(resource=resource)
        view = reconcile.look(cluster, tenant.username)
        assert reconcile.missing_of(tenant, view, brokers=1) == []

        cluster.create_topic(f"{tenant.prefix}orders", partitions=1)
        assert Partner("kafkacluster").delete(resource.uuid).status_code == 204
        removed = die_after(resource.operations.get(kind="deprovision"), number)
        run_operations(resource)
        resource.refresh_from_db()
        assert resource.state == "deprovisioned"
        assert left_of(cluster, tenant) == []
        died["provision"] += made
        died["deprovision"] += removed
        if not made and not removed:
            break
    # A provision counts brokers, sets quotas, grants rights and sets a password.
    assert died["provision"] == 4
    assert died["deprovision"] >= 10
