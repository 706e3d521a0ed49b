"""Logging in as a tenant, with its own password, rights and quotas.

What is done in a customer's name goes through the customer's own login wherever Kafka allows it: then Kafka itself
keeps it away from other tenants' names, holds it to the plan's rates, and lists the tenant's own things only, however
many others there are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from addon.kafkacluster.cluster import Cluster, connect_as
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.tenants import passwords_of
from provisioning.services import Fault, Refusal


@dataclass(frozen=True)
class OwnLogin:
    """What a tenant logs in with."""

    username: str
    mechanism: str
    password: str = field(repr=False)


def own_login(tenant: Tenant) -> OwnLogin:
    """The login of a tenant that works the most surely: during a rotation the newest is not on the cluster yet.

    Raises Refusal for a suspended tenant, whose clients are kept out.
    """
    if tenant.resource.suspended_at:
        raise Refusal(
            "This tenant is suspended, so its groups and messages cannot be reached. Nothing is lost; ask support.",
            code="suspended",
        )
    for mechanism, password in passwords_of(tenant.resource).items():
        return OwnLogin(tenant.username, mechanism, password)
    raise Fault(f"tenant {tenant.username} has no password")


@contextmanager
def connect_as_tenant(tenant: Tenant) -> Iterator[Cluster]:
    """A connection with the tenant's own login; Fault when the cluster does not answer, and Refusal as `own_login`."""
    login = own_login(tenant)
    with connect_as(
        tenant.cluster.address, username=login.username, mechanism=login.mechanism, password=login.password
    ) as cluster:
        yield cluster
