"""What the pages about consumer groups show.

Everything is asked for with the tenant's own login, which sees nothing of others; offsets only of the groups shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kafka import TopicPartition

from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.group_calls import Member
from addon.kafkacluster.models import ConsumerGroup, Tenant, Topic
from addon.kafkacluster.own_login import connect_as_tenant

PAGE_SIZE = 50
_WORDS = {
    "Stable": ("Active", "good"),
    "PreparingRebalance": ("Rebalancing", "progress"),
    "CompletingRebalance": ("Rebalancing", "progress"),
    "Assigning": ("Rebalancing", "progress"),
    "Reconciling": ("Rebalancing", "progress"),
    "Empty": ("Inactive", "neutral"),
    "Dead": ("Not used yet", "neutral"),
    "": ("Not used yet", "neutral"),
}


@dataclass(frozen=True)
class GroupRow:
    """A group in the list; `lag` is None without committed offsets."""

    name: str
    prefix: str
    state: str
    registered: bool
    topics: int
    lag: int | None

    @property
    def own_name(self) -> str:
        """The name without the prefix."""
        return self.name.removeprefix(self.prefix)

    @property
    def badge(self) -> tuple[str, str]:
        """The state in words, and the tone."""
        return _WORDS.get(self.state, (self.state, "info"))


@dataclass(frozen=True)
class GroupList:
    """One page of a tenant's groups by name."""

    groups: list[GroupRow]
    total: int
    number: int
    search: str

    @property
    def has_next(self) -> bool:
        """Whether another page follows."""
        return self.number * PAGE_SIZE < self.total


@dataclass(frozen=True)
class Progress:
    """How far a group is in one partition; `end` is None when the partition is gone."""

    partition: int
    committed: int
    end: int | None
    client: str

    @property
    def lag(self) -> int:
        """Records still to be read."""
        return max(0, (self.end or 0) - self.committed)


@dataclass(frozen=True)
class TopicProgress:
    """How far a group is in one topic."""

    name: str
    exists: bool
    partitions: tuple[Progress, ...]

    @property
    def lag(self) -> int:
        """Of all partitions together."""
        return sum(each.lag for each in self.partitions)


@dataclass(frozen=True)
class GroupView:
    """One group on its own page."""

    row: GroupRow
    members: tuple[Member, ...]
    topics: tuple[TopicProgress, ...]

    @property
    def in_use(self) -> bool:
        """Whether its offsets belong to its members now."""
        return bool(self.members) or self.row.state not in ("Empty", "Dead", "")


def list_groups(tenant: Tenant, *, number: int, search: str) -> GroupList:
    """One page of the groups whose name contains `search`; Fault when the cluster does not answer."""
    registered = set(ConsumerGroup.objects.filter(tenant=tenant).values_list("name", flat=True))
    with connect_as_tenant(tenant) as cluster:
        states = cluster.group_states(tenant.prefix)
        names = sorted(name for name in registered | set(states) if search in name)
        shown = names[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        committed = cluster.committed(name for name in shown if name in states)
        ends = _ends(tenant, cluster, committed.values())
    rows = [
        GroupRow(
            name=name,
            prefix=tenant.prefix,
            state=states.get(name, "Dead"),
            registered=name in registered,
            topics=len({partition.topic for partition in committed.get(name, {})}),
            lag=_lag(committed.get(name, {}), ends),
        )
        for name in shown
    ]
    return GroupList(rows, len(names), number, search)


def find_group(tenant: Tenant, name: str) -> GroupView | None:
    """One group with its members and its progress; Fault when the cluster does not answer."""
    if not name.startswith(tenant.prefix):
        return None
    registered = ConsumerGroup.objects.filter(tenant=tenant, name=name).exists()
    with connect_as_tenant(tenant) as cluster:
        described = cluster.describe_group(name)
        # A group of a kind that cannot be described so is known by its name alone.
        state = cluster.group_states(name).get(name) if described.state == "Dead" else described.state
        if state is None and not registered:
            return None
        committed = cluster.committed([name]).get(name, {})
        ends = _ends(tenant, cluster, [committed])
    readers = {
        partition: f"{member.client_id} ({member.host})"
        for member in described.members
        for partition in member.partitions
    }
    topics = tuple(
        TopicProgress(
            name=topic,
            exists=any(partition.topic == topic for partition in ends),
            partitions=tuple(
                Progress(each.partition, offset, ends.get(each), readers.get(each, ""))
                for each, offset in sorted(committed.items())
                if each.topic == topic
            ),
        )
        for topic in sorted({partition.topic for partition in committed})
    )
    row = GroupRow(name, tenant.prefix, state or "Dead", registered, len(topics), _lag(committed, ends))
    return GroupView(row, described.members, topics)


def _ends(
    tenant: Tenant, cluster: Cluster, committed: Iterable[Mapping[TopicPartition, int]]
) -> dict[TopicPartition, int]:
    """The ends of the partitions that are there and led; offsets outlive their topic for a while."""
    wanted = {partition for offsets in committed for partition in offsets}
    topics = {partition.topic for partition in wanted}
    there = Topic.objects.filter(tenant=tenant, name__in=topics).values_list("name", flat=True)
    led = {
        TopicPartition(name, each.index)
        for name, partitions in cluster.describe_topics(there).items()
        for each in partitions
        if each.leader is not None
    }
    return cluster.end_offsets(wanted & led)


def _lag(committed: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> int | None:
    if not committed:
        return None
    return sum(max(0, ends[each] - offset) for each, offset in committed.items() if each in ends)
