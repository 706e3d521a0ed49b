"""What only KafkaCluster can tell about who is affected by a vulnerability: a tenant's cluster, and what it uses."""

from datetime import datetime

from django.db.models import QuerySet

from addon.kafkacluster.models import ConsumerGroup, SharedCluster, Tenant, Topic
from advisories.features import Feature
from advisories.scope import ServiceFilter
from provisioning.models import Resource


def filters() -> list[ServiceFilter]:
    """The filters of an advisory's scope."""
    return [ServiceFilter("kafka_cluster", "Kafka cluster", _clusters, _on_clusters)]


def features() -> list[Feature]:
    """Topics and registered consumer groups that a tenant has now: neither leaves a trace when it is deleted."""
    return [
        Feature("kafkacluster:topics", "KafkaCluster: topics", _with_topics),
        Feature("kafkacluster:consumer-groups", "KafkaCluster: consumer groups", _with_groups),
    ]


def _clusters() -> list[tuple[str, str]]:
    return [(name, name) for name in SharedCluster.objects.order_by("name").values_list("name", flat=True)]


def _on_clusters(found: "QuerySet[Resource]", names: list[str]) -> "QuerySet[Resource]":
    tenants = Tenant.objects.filter(cluster__name__in=names)
    return found.filter(pk__in=tenants.values("resource_id"))


def _with_topics(begin: datetime | None, until: datetime | None) -> "QuerySet[Topic, int]":
    topics = Topic.objects.filter(created_at__lt=until) if until else Topic.objects.all()
    return topics.values_list("tenant__resource_id", flat=True)


def _with_groups(begin: datetime | None, until: datetime | None) -> "QuerySet[ConsumerGroup, int]":
    groups = ConsumerGroup.objects.filter(registered_at__lt=until) if until else ConsumerGroup.objects.all()
    return groups.values_list("tenant__resource_id", flat=True)
