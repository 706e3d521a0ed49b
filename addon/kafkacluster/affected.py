"""What only KafkaCluster can tell about who is affected by a vulnerability: the cluster a tenant is on."""

from django.db.models import QuerySet

from addon.kafkacluster.models import SharedCluster, Tenant
from advisories.scope import ServiceFilter
from provisioning.models import Resource


def filters() -> list[ServiceFilter]:
    """The filters of an advisory's scope."""
    return [ServiceFilter("kafka_cluster", "Kafka cluster", _clusters, _on_clusters)]


def _clusters() -> list[tuple[str, str]]:
    return [(name, name) for name in SharedCluster.objects.order_by("name").values_list("name", flat=True)]


def _on_clusters(found: "QuerySet[Resource]", names: list[str]) -> "QuerySet[Resource]":
    tenants = Tenant.objects.filter(cluster__name__in=names)
    return found.filter(pk__in=tenants.values("resource_id"))
