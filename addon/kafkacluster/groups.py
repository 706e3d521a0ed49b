"""A tenant's consumer groups: registered with a position to start from, moved, and deleted.

Kafka makes a group when its first consumer comes, and forgets its offsets after a week without one. Registering keeps
the name here, and commits first offsets, so that the group is there with a chosen position before anybody consumes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from django.db import transaction
from kafka import TopicPartition

from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.group_calls import GroupInUseError
from addon.kafkacluster.limits import changing_topics, check_consumer_groups
from addon.kafkacluster.models import ConsumerGroup, Tenant, Topic
from addon.kafkacluster.own_login import connect_as_tenant
from provisioning import audit
from provisioning.services import Fault, Refusal

LONGEST_NAME = 249
_NAME = re.compile(r"[A-Za-z0-9._-]+")
IN_USE = (
    "The group has members: while they consume, only they move its offsets, and Kafka refuses it to anybody else. "
    "Stop its consumers, wait until it is inactive, and try again."
)


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a group is to continue on a topic."""

    kind: Literal["earliest", "latest", "time", "offset"]
    at: datetime | None = None
    """For `time`: the first record at or after it, aware."""
    offset: int = 0
    """For `offset`: brought into what the partition holds."""
    partition: int | None = None
    """This partition alone; all of the topic without it."""

    @property
    def words(self) -> str:
        """What the audit keeps."""
        where = "" if self.partition is None else f"partition {self.partition} "
        if self.kind == "time" and self.at is not None:
            return f"{where}to {self.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"{where}to {f'offset {self.offset}' if self.kind == 'offset' else self.kind}"


def register_group(
    tenant: Tenant, *, own_name: str, topics: list[str], position: Position, actor: str
) -> str:
    """Keep a group's name and let it start at `position` on each of `topics` (whole names); its whole name.

    Raises Refusal, and Fault when the cluster does not answer; then nothing is kept. The row is there before the
    offsets: a process that dies in between leaves a group that is to be moved before it is used, and not one uncounted.
    """
    name = _whole_name(tenant.prefix, own_name)
    if not topics:
        raise Refusal("Choose the topics that the group is to start on.", code="no_topic")
    for topic in topics:
        check_topic(tenant, topic)
    with connect_as_tenant(tenant) as cluster:
        offsets: dict[TopicPartition, int] = {}
        for topic in topics:
            offsets |= _offsets_of(cluster, topic, position)
        used = set(cluster.groups(tenant.prefix))
        with changing_topics(tenant.resource_id) as room:
            registered = set(ConsumerGroup.objects.filter(tenant=tenant).values_list("name", flat=True))
            present = registered | used
            if name in present:
                raise Refusal(
                    f"There is a consumer group {name} already; move it on its own page.", code="group_exists"
                )
            check_consumer_groups(room.limits, len(present))
            row = ConsumerGroup.objects.create(tenant=tenant, name=name)
        try:
            with _in_use_refused():
                cluster.commit(name, offsets)
        except BaseException:
            row.delete()
            raise
    audit.record(
        "group.registered",
        resource=tenant.resource,
        actor=actor,
        group=name,
        topics=topics,
        position=position.words,
    )
    return name


def reset_group(tenant: Tenant, *, name: str, topic: str, position: Position, actor: str) -> None:
    """Let an inactive group continue at `position` on one topic. Raises Refusal and Fault."""
    check_topic(tenant, topic)
    with connect_as_tenant(tenant) as cluster:
        _check_known(tenant, cluster, name)
        with _in_use_refused():
            if cluster.describe_group(name).members:
                raise GroupInUseError(name)
            cluster.commit(name, _offsets_of(cluster, topic, position))
    audit.record(
        "group.reset", resource=tenant.resource, actor=actor, group=name, topic=topic, position=position.words
    )


def forget_topic(tenant: Tenant, *, name: str, topic: str, actor: str) -> None:
    """Delete a group's offsets on one topic, so that it counts as never having read it. Raises Refusal and Fault.

    The topic may be gone: its name only has to begin with the tenant's prefix.
    """
    if not topic.startswith(tenant.prefix):
        raise Refusal(f"There is no topic {topic}.", code="topic_unknown")
    with connect_as_tenant(tenant) as cluster:
        _check_known(tenant, cluster, name)
        kept = [
            partition for partition in cluster.committed([name]).get(name, {}) if partition.topic == topic
        ]
        if not kept:
            raise Refusal(f"The group has no offsets on {topic}.", code="no_offsets")
        with _in_use_refused():
            cluster.forget_offsets(name, kept)
    audit.record("group.topic_forgotten", resource=tenant.resource, actor=actor, group=name, topic=topic)


def delete_group(tenant: Tenant, *, name: str, actor: str) -> None:
    """Delete an inactive group with its offsets, and its registration. Raises Refusal and Fault."""
    with connect_as_tenant(tenant) as cluster:
        _check_known(tenant, cluster, name)
        with _in_use_refused():
            cluster.delete_unused_group(name)
    with transaction.atomic():
        ConsumerGroup.objects.filter(tenant=tenant, name=name).delete()
        audit.record("group.deleted", resource=tenant.resource, actor=actor, group=name)


def check_topic(tenant: Tenant, topic: str) -> None:
    """Raise Refusal unless the tenant has a topic of that whole name."""
    if not Topic.objects.filter(tenant=tenant, name=topic).exists():
        raise Refusal(f"There is no topic {topic}.", code="topic_unknown")


def _check_known(tenant: Tenant, cluster: Cluster, name: str) -> None:
    if not name.startswith(tenant.prefix) or (
        not ConsumerGroup.objects.filter(tenant=tenant, name=name).exists()
        and name not in cluster.group_states(name)
    ):
        raise Refusal(f"There is no consumer group {name}.", code="group_unknown")


def _offsets_of(cluster: Cluster, topic: str, position: Position) -> dict[TopicPartition, int]:
    described = cluster.describe_topics([topic]).get(topic, ())
    partitions = [
        TopicPartition(topic, each.index)
        for each in described
        if position.partition is None or each.index == position.partition
    ]
    if not partitions:
        raise Refusal("The topic has no such partition.", code="partition_unknown")
    if any(each.leader is None for each in described):
        raise Fault(f"topic {topic} has a partition without leader")
    find: Mapping[str, Callable[[], dict[TopicPartition, int]]] = {
        "earliest": lambda: cluster.first_offsets(partitions),
        "latest": lambda: cluster.end_offsets(partitions),
        "time": lambda: cluster.offsets_at(
            partitions, int((position.at or datetime.now(UTC)).timestamp() * 1000)
        ),
        "offset": lambda: _within(cluster, partitions, position.offset),
    }
    return find[position.kind]()


def _within(cluster: Cluster, partitions: list[TopicPartition], offset: int) -> dict[TopicPartition, int]:
    """`offset` in each partition, brought into what it holds: Kafka itself would take any number."""
    first, end = cluster.first_offsets(partitions), cluster.end_offsets(partitions)
    return {each: min(max(offset, first[each]), end[each]) for each in partitions}


@contextmanager
def _in_use_refused() -> Iterator[None]:
    try:
        yield
    except GroupInUseError:
        raise Refusal(IN_USE, code="group_active") from None


def _whole_name(prefix: str, own_name: str) -> str:
    own = own_name.strip().removeprefix(prefix)
    longest = LONGEST_NAME - len(prefix)
    if not own or not _NAME.fullmatch(own) or len(own) > longest:
        raise Refusal(
            "A group's name is made of letters, digits, dots, underscores and dashes, without spaces; "
            f"{longest} characters at most after your prefix.",
            code="group_name",
        )
    return f"{prefix}{own}"
