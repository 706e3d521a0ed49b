"""Looking into a topic, and sending it a test message. Bounded in records, bytes and time; no group is touched."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Start
from kafka import TopicPartition

from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.data import connection_of, reader, writer
from addon.kafkacluster.groups import Position, check_topic
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.own_login import connect_as_tenant
from addon.kafkacluster.records import Record
from provisioning import audit
from provisioning.services import Fault, Refusal

MOST_RECORDS = 50
MOST_BYTES = 512_000
MOST_SECONDS = 6.0
SEND_SECONDS = 8.0
_POLL_SECONDS = 0.25
_BURST_SECONDS = 4
"""Kafka lets a rested client have so many seconds' worth at once before it slows it down."""


@dataclass
class Found:
    """What a look into a topic brought."""

    records: list[Record] = field(default_factory=list)
    throttled: bool = False
    """Whether the plan's consume quota held us back."""
    incomplete: bool = False
    """Whether time or bytes ran out before the records did."""


def browse(
    tenant: Tenant, limits: Limits, *, topic: str, partition: int | None, position: Position | None
) -> Found:
    """Up to `MOST_RECORDS` records of a topic from `position` on; without one the newest, newest first.

    Raises Refusal for a topic or partition that is not there, and Fault when the cluster does not answer.
    """
    check_topic(tenant, topic)
    with connect_as_tenant(tenant) as cluster:
        starts = _starts(cluster, topic, partition, position)
    found = _read(tenant, limits, starts)
    if position is None:
        found.records.sort(key=_age, reverse=True)
        del found.records[MOST_RECORDS:]
    else:
        found.records.sort(key=_age if partition is None else _place)
    return found


def send_message(
    tenant: Tenant,
    *,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]] = (),
    partition: int | None = None,
    actor: str,
) -> tuple[int, int]:
    """Send one record and return its partition and offset.

    Raises Refusal, also when the cluster does not confirm the record in time: it may be there nevertheless.
    """
    check_topic(tenant, topic)
    outcome: list[tuple[KafkaError | None, Message]] = []
    producer = writer(connection_of(tenant), timeout_seconds=SEND_SECONDS)
    fields: dict[str, Any] = {} if partition is None else {"partition": partition}
    try:
        producer.produce(
            topic,
            value,
            key,
            headers=list(headers),
            on_delivery=lambda error, message: outcome.append((error, message)),
            **fields,
        )
        producer.flush(SEND_SECONDS + 1)
    except KafkaException as failure:
        raise _not_sent(failure.args[0]) from failure
    if not outcome:
        raise Refusal(_UNCONFIRMED, code="unconfirmed")
    problem, message = outcome[0]
    if problem is not None:
        raise _not_sent(problem)
    audit.record("topic.message_sent", resource=tenant.resource, actor=actor, topic=topic)
    return message.partition() or 0, message.offset() or 0


_UNCONFIRMED = (
    "The cluster did not confirm the message in time. It may be there: look at the newest messages."
)
_WORDS = {
    KafkaError.MSG_SIZE_TOO_LARGE: "The message is larger than the topic takes. Its settings say how much that is.",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Nothing can be produced at the moment: the overview says why.",
    KafkaError._UNKNOWN_PARTITION: "The topic has no such partition.",  # noqa: SLF001 - its public name
    KafkaError.INVALID_RECORD: "The topic is compacted, so each message needs a key.",
    KafkaError.NOT_ENOUGH_REPLICAS: "Too few replicas are in sync, so the topic takes no messages now.",
}


def _not_sent(error: KafkaError) -> Refusal:
    return Refusal(_WORDS.get(error.code(), _UNCONFIRMED), code="not_sent")


def budget(limits: Limits) -> int:
    """How many bytes one look may take: what the quota gives at once, and never less than one largest message."""
    burst = limits.consume_bytes_per_second * _BURST_SECONDS
    return max(limits.max_message_bytes, min(MOST_BYTES, burst))


def _starts(
    cluster: Cluster, topic: str, partition: int | None, position: Position | None
) -> dict[TopicPartition, int]:
    """Where to start in each partition that has anything from there on."""
    described = cluster.describe_topics([topic]).get(topic, ())
    wanted = [
        TopicPartition(topic, each.index)
        for each in described
        if each.leader is not None and partition in (None, each.index)
    ]
    if not wanted:
        if partition is not None and any(each.index == partition for each in described):
            raise Fault(f"topic {topic} has a partition without leader")
        raise Refusal("The topic has no such partition.", code="partition_unknown")
    first, end = cluster.first_offsets(wanted), cluster.end_offsets(wanted)
    filled = [each for each in wanted if end[each] > first[each]]
    if position is None:
        share = max(1, MOST_RECORDS // max(1, len(filled)))
        return {each: max(first[each], end[each] - share) for each in filled}
    if position.kind == "time" and position.at is not None:
        starts = cluster.offsets_at(filled, int(position.at.timestamp() * 1000)) if filled else {}
    elif position.kind == "offset":
        starts = {each: max(first[each], position.offset) for each in filled}
    else:
        starts = first
    return {each: starts[each] for each in filled if starts[each] < end[each]}


def _read(tenant: Tenant, limits: Limits, starts: dict[TopicPartition, int]) -> Found:
    found, left = Found(), set(starts)
    if not starts:
        return found
    room, deadline = budget(limits), time.monotonic() + MOST_SECONDS

    def held_back(seconds: float) -> None:
        found.throttled = found.throttled or seconds > 0

    with reader(connection_of(tenant), fetch_bytes=room, on_throttle=held_back) as consumer:
        consumer.assign([Start(each.topic, each.partition, offset) for each, offset in starts.items()])
        while left and len(found.records) < MOST_RECORDS and room > 0:
            if time.monotonic() > deadline:
                found.incomplete = True
                break
            for message in consumer.consume(MOST_RECORDS - len(found.records), _POLL_SECONDS):
                error = message.error()
                if error is None:
                    record = Record.of(message)
                    found.records.append(record)
                    room -= record.size
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    left.discard(TopicPartition(message.topic() or "", message.partition() or 0))
                elif not error.retriable():
                    raise Fault(f"Kafka: {error.name()}")
    found.incomplete = found.incomplete or (bool(left) and room <= 0)
    return found


def _age(record: Record) -> tuple[float, int, int]:
    return (record.at.timestamp() if record.at else 0.0, record.offset, record.partition)


def _place(record: Record) -> tuple[int, int]:
    return record.partition, record.offset
