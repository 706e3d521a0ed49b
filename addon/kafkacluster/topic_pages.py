"""What the pages about topics show: rows of Postgres, filled up with what the cluster says of them.

Only the tenant's own topics are asked for, by name, so a page costs the same however many others share the cluster.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kafka import TopicPartition

from addon.kafkacluster.cluster import connect
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant, Topic
from addon.kafkacluster.rates import are_known
from addon.kafkacluster.topic_calls import Partition
from addon.kafkacluster.topic_rates import TopicRate, topic_rates
from addon.kafkacluster.topic_settings import Settings


@dataclass(frozen=True)
class PartitionView:
    """One partition with what it holds."""

    partition: Partition
    first: int
    end: int
    bytes: int
    min_in_sync: int

    @property
    def records(self) -> int:
        """Offsets between the first and the end: with compaction or transactions, more than there are records."""
        return max(0, self.end - self.first)

    @property
    def under_replicated(self) -> bool:
        """Whether a replica has fallen behind or is away."""
        return len(self.partition.in_sync) < len(self.partition.replicas)

    @property
    def missing(self) -> list[int]:
        """The brokers whose copy has fallen behind or is away."""
        return sorted(set(self.partition.replicas) - set(self.partition.in_sync))

    @property
    def writes_blocked(self) -> bool:
        """Whether nothing can be produced with `acks=all`."""
        return self.partition.leader is None or len(self.partition.in_sync) < self.min_in_sync


@dataclass(frozen=True)
class TopicView:
    """A topic; without partitions while it is not on the cluster."""

    row: Topic
    prefix: str
    settings: Settings | None
    partitions: tuple[PartitionView, ...]
    rate: TopicRate | None = None
    """What goes through it now; None where that is not known."""

    @property
    def own_name(self) -> str:
        """The name without the prefix."""
        return self.row.name.removeprefix(self.prefix)

    @property
    def bytes(self) -> int:
        """Stored bytes of one replica."""
        return sum(each.bytes for each in self.partitions)

    @property
    def records(self) -> int:
        """See `PartitionView.records`."""
        return sum(each.records for each in self.partitions)

    @property
    def replicas(self) -> int:
        """How many replicas its partitions have at least."""
        return min((len(each.partition.replicas) for each in self.partitions), default=0)

    @property
    def compacted_only(self) -> bool:
        """Whether Kafka will not purge it."""
        return self.settings is not None and self.settings.cleanup_policy == "compact"

    @property
    def badge(self) -> tuple[str, str]:
        """Its state in a word or two, and the tone."""
        if self.row.state == Topic.State.DELETING:
            return "Being deleted", "progress"
        if self.row.state == Topic.State.CHANGING:
            return ("Being changed" if self.row.made_at else "Being made"), "progress"
        if not self.partitions:
            return "Not on the cluster", "bad"
        if any(each.writes_blocked for each in self.partitions):
            return "Writes blocked", "bad"
        if any(each.under_replicated for each in self.partitions):
            return "Under-replicated", "warning"
        return "In sync", "good"


def list_topics(tenant: Tenant) -> list[TopicView]:
    """Every topic of a tenant by name; Fault when its cluster does not answer."""
    return _views(tenant, Topic.objects.filter(tenant=tenant))


def find_topic(tenant: Tenant, name: str) -> TopicView | None:
    """One topic of a tenant; Fault when its cluster does not answer."""
    found = _views(tenant, Topic.objects.filter(tenant=tenant, name=name))
    return found[0] if found else None


def used_partitions(tenant: Tenant) -> int:
    """How many partitions all topics have together."""
    return sum(Topic.objects.filter(tenant=tenant).values_list("partitions", flat=True))


def _views(tenant: Tenant, rows: Iterable[Topic]) -> list[TopicView]:
    if not (topics := list(rows)):
        return []
    names = [topic.name for topic in topics]
    with connect(tenant.cluster.address) as cluster:
        described = cluster.describe_topics(names)
        settings = cluster.topic_settings(described)
        sizes = cluster.partition_bytes(described)
        led = [
            TopicPartition(name, each.index)
            for name, partitions in described.items()
            for each in partitions
            if each.leader is not None
        ]
        first, end = cluster.first_offsets(led), cluster.end_offsets(led)
    rates = topic_rates(tenant.cluster, topics) if are_known(tenant.cluster) else {}
    views = []
    for topic in topics:
        own = Settings.read(settings[topic.name]) if topic.name in settings else None
        partitions = tuple(
            PartitionView(
                partition=each,
                first=first.get(TopicPartition(topic.name, each.index), 0),
                end=end.get(TopicPartition(topic.name, each.index), 0),
                bytes=sizes.get((topic.name, each.index), 0),
                min_in_sync=own.min_insync_replicas if own else 1,
            )
            for each in described.get(topic.name, ())
        )
        views.append(TopicView(topic, tenant.prefix, own, partitions, rates.get(topic.pk)))
    return views


@dataclass(frozen=True)
class Room:
    """What a plan still has room for."""

    limits: Limits
    topics: int
    partitions: int

    @property
    def topics_left(self) -> int:
        """Topics that can still be made."""
        return max(0, self.limits.topics - self.topics)

    @property
    def partitions_left(self) -> int:
        """Partitions that can still be made."""
        return max(0, self.limits.partitions - self.partitions)

    @property
    def full(self) -> bool:
        """Whether no topic can be made."""
        return not (self.topics_left and self.partitions_left)


def room_of(tenant: Tenant, limits: Limits) -> Room:
    """What is left of the plan's topics and partitions, by the rows that the limits are held against."""
    return Room(limits, Topic.objects.filter(tenant=tenant).count(), used_partitions(tenant))
