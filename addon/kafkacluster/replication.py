"""Where the copies of a tenant's partitions are, as its cluster describes them at this moment."""

from dataclasses import dataclass

from addon.kafkacluster.models import Tenant
from addon.kafkacluster.topic_pages import PartitionView, TopicView, list_topics


@dataclass(frozen=True)
class Replication:
    """Every topic of a tenant with its partitions, and the brokers that should hold them."""

    topics: list[TopicView]
    brokers: int
    """How many brokers the cluster has when all are up."""

    brokers_up: int | None
    """How many were up when they were counted last, some seconds ago; None before the first time."""

    @property
    def partitions(self) -> list[PartitionView]:
        """Of all topics."""
        return [each for topic in self.topics for each in topic.partitions]

    @property
    def under_replicated(self) -> int:
        """Partitions of which a copy is away or behind."""
        return sum(each.under_replicated for each in self.partitions)

    @property
    def writes_blocked(self) -> int:
        """Partitions that take no records with `acks=all`, or at all."""
        return sum(each.writes_blocked for each in self.partitions)

    @property
    def brokers_away(self) -> int:
        """Brokers that should be up and are not."""
        return 0 if self.brokers_up is None else max(0, self.brokers - self.brokers_up)


def replication_of(tenant: Tenant) -> Replication:
    """The state of a tenant's replicas; Fault when its cluster does not answer."""
    return Replication(
        topics=list_topics(tenant), brokers=tenant.cluster.broker_count, brokers_up=tenant.cluster.brokers_up
    )
