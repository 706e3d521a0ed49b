"""What stands above every page of a KafkaCluster dashboard."""

from collections.abc import Iterable
from uuid import UUID

from django.urls import reverse

from addon.kafkacluster.limits import Limits, in_bytes
from addon.kafkacluster.models import Tenant
from provisioning.states import ResourceState
from sso.doors import Dashboard
from sso.frame import Notice


def notices(dashboard: Dashboard) -> Iterable[Notice]:
    """Brokers that are away, and stored data that is at its limit or near it."""
    resource = dashboard.resource
    if resource.service != "kafkacluster" or resource.state != ResourceState.PROVISIONED:
        return
    tenant = Tenant.objects.select_related("cluster").filter(resource=resource).first()
    if tenant is None:
        return
    shared = tenant.cluster
    if shared.brokers_up is not None and shared.brokers_up < shared.broker_count:
        yield _brokers_away(resource.uuid, up=shared.brokers_up, of=shared.broker_count)
    limit = in_bytes(Limits.of(resource).stored_bytes)
    quotas = reverse("kafkacluster:quotas", args=[resource.uuid])
    if tenant.writes_paused_at:
        yield Notice(
            "bad",
            "Producing is paused: the stored data is full",
            f"Your topics hold {in_bytes(tenant.stored_bytes)} of {limit}. Consuming goes on and nothing is deleted. "
            "Purge or delete topics, shorten their retention or move to a larger plan: producing works again within "
            "about a minute.",
            link_url=quotas,
            link_label="See the limits",
        )
    elif tenant.storage_warning:
        yield Notice(
            "warning",
            f"Stored data is above {tenant.storage_warning} % of your plan",
            f"Your topics hold {in_bytes(tenant.stored_bytes)} of {limit}. At the limit producing is paused until "
            "there is room again.",
            link_url=quotas,
            link_label="See the limits",
        )


def _brokers_away(uuid: UUID, *, up: int, of: int) -> Notice:
    if up == 0:
        return Notice(
            "bad",
            "The Kafka cluster does not answer",
            "We cannot reach any of its brokers at the moment and are working on it. What was acknowledged is safe.",
        )
    away = of - up
    return Notice(
        "warning",
        f"{away} of {of} brokers {'is' if away == 1 else 'are'} away",
        "The others have taken over. Partitions with a copy there are under-replicated until it is back.",
        link_url=reverse("kafkacluster:replication", args=[uuid]),
        link_label="See the replication",
    )
