"""Topics on a cluster: made, changed, described, counted, purged, deleted."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec, OffsetTimestamp

from addon.kafkacluster.calls import Calls
from provisioning.services import Fault, Unrecoverable

log = structlog.get_logger(__name__)

_GONE_TOPIC = errors.UnknownTopicOrPartitionError.errno
_APPEAR_SECONDS = 3.0
_APPEAR_PAUSE_SECONDS = 0.05
TOPIC_SETTINGS = (
    "retention.ms",
    "retention.bytes",
    "cleanup.policy",
    "max.message.bytes",
    "min.insync.replicas",
)
"""The settings of a topic that customers see and change."""


@dataclass(frozen=True)
class TopicSize:
    """A topic as counted on the cluster; bytes are the largest replica's of each partition, added up."""

    partitions: int
    bytes: int


@dataclass(frozen=True)
class Partition:
    """One partition as the cluster describes it; `leader` is None while no replica leads."""

    index: int
    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class TopicCalls(Calls):
    """The calls about topics."""

    def create_topic(
        self, name: str, *, partitions: int, replication: int = -1, configs: Mapping[str, str] | None = None
    ) -> None:
        """Make a topic; no error when it exists. `replication` -1 is the cluster's default."""
        options = {
            "num_partitions": partitions,
            "replication_factor": replication,
            "configs": dict(configs or {}),
        }
        answer = self._call(self._client.create_topics, {name: options}, raise_errors=False)
        for topic in answer["topics"]:
            if topic["error_code"] != errors.TopicAlreadyExistsError.errno:
                self._check(topic["error_code"], topic.get("error_message"), f"topic {name}")

    def topics(self, prefix: str = "") -> list[str]:
        """The names of every topic that begins with `prefix`, in order."""
        return sorted(name for name in self._call(self._client.list_topics) if name.startswith(prefix))

    def delete_topics(self, names: list[str]) -> None:
        """Delete topics with their data; those that are gone already are no error.

        Waits some seconds until the broker that is asked has heard of it, for whoever looks next.
        """
        answer = self._call(self._client.delete_topics, names, raise_errors=False)
        for topic in answer["topics"]:
            if topic["error_code"] != _GONE_TOPIC:
                self._check(topic["error_code"], topic.get("error_message"), f"topic {topic['name']}")
        deadline = time.monotonic() + _APPEAR_SECONDS
        while self.describe_topics(names) and time.monotonic() < deadline:
            time.sleep(_APPEAR_PAUSE_SECONDS)

    def topic_sizes(self) -> dict[str, TopicSize]:
        """Partitions of every topic, and the bytes that the brokers which are up store of it."""
        described = self._call(self._client.describe_topics)
        partitions = {topic["name"]: len(topic["partitions"]) for topic in described}
        largest: dict[str, dict[int, int]] = {}
        for broker in self.broker_ids():
            for answer in self._log_dirs(broker):
                for topic in (topic for folder in answer["log_dirs"] for topic in folder["topics"]):
                    sizes = largest.setdefault(topic["name"], {})
                    for partition in topic["partitions"]:
                        index = partition["partition_index"]
                        sizes[index] = max(sizes.get(index, 0), partition["partition_size"])
        return {
            name: TopicSize(count, sum(largest.get(name, {}).values())) for name, count in partitions.items()
        }

    def describe_topics(self, names: Iterable[str]) -> dict[str, tuple[Partition, ...]]:
        """The partitions of these topics in order; topics that are not there are left out."""
        if not (wanted := list(names)):
            return {}
        found = {}
        for topic in self._call(self._client.describe_topics, wanted):
            if topic["error_code"] == _GONE_TOPIC:
                continue
            self._check(topic["error_code"], None, f"topic {topic['name']}")
            partitions = (
                Partition(
                    index=each["partition_index"],
                    leader=each["leader_id"] if each["leader_id"] >= 0 else None,
                    replicas=tuple(each["replica_nodes"]),
                    in_sync=tuple(each["isr_nodes"]),
                )
                for each in topic["partitions"]
            )
            found[topic["name"]] = tuple(sorted(partitions, key=lambda each: each.index))
        return found

    def await_topic(self, name: str) -> tuple[Partition, ...]:
        """The partitions of a topic that was just made, once every one has a leader; Fault when that takes long."""
        # Each call may go to another broker, and they learn of a topic one after the other.
        deadline = time.monotonic() + _APPEAR_SECONDS
        while True:
            found = self.describe_topics([name]).get(name, ())
            if found and all(partition.leader is not None for partition in found):
                return found
            if time.monotonic() > deadline:
                raise Fault(f"topic {name} does not appear on the cluster")
            time.sleep(_APPEAR_PAUSE_SECONDS)

    def topic_counts(self) -> dict[str, int]:
        """How many partitions every topic of the cluster has. One answer with all of them: for jobs, not for pages."""
        return {
            topic["name"]: len(topic["partitions"])
            for topic in self._call(self._client.describe_topics)
            if not topic["error_code"]
        }

    def topic_settings(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """The settings `TOPIC_SETTINGS` of topics that exist, also those that are the cluster's defaults."""
        if not (wanted := list(names)):
            return {}
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(TOPIC_SETTINGS)) for name in wanted
        ]
        answer = self._call(self._client.describe_configs, resources, config_filter="all")
        return {
            name: {key: values[key]["value"] for key in TOPIC_SETTINGS if key in values}
            for name, values in answer.get("topic", {}).items()
        }

    def partition_bytes(self, names: Iterable[str]) -> dict[tuple[str, int], int]:
        """Stored bytes of each partition of these topics, of its largest replica on a broker that is up."""
        wanted, sizes = list(names), dict[tuple[str, int], int]()
        if not wanted:
            return {}
        for broker in self.broker_ids():
            for answer in self._log_dirs(broker, topic_partitions=wanted):
                for topic in (topic for folder in answer["log_dirs"] for topic in folder["topics"]):
                    for partition in topic["partitions"]:
                        key = (topic["name"], partition["partition_index"])
                        sizes[key] = max(sizes.get(key, 0), partition["partition_size"])
        return sizes

    def _log_dirs(self, broker: int, **what: Any) -> list[Any]:
        """What a broker stores; nothing of one that has just gone and is still taken for one that is up."""
        try:
            return list(self._call(self._client.describe_log_dirs, brokers=[broker], **what))
        except Fault as error:
            log.warning("kafka.broker_away", broker=broker, error=str(error))
            return []

    def first_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the first record that is kept, for each partition."""
        return self._offsets(partitions, OffsetSpec.EARLIEST)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that the next record will have, for each partition."""
        return self._offsets(partitions, OffsetSpec.LATEST)

    def offsets_at(self, partitions: Iterable[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        """The offset of the first record of each partition at or after `ms` since 1970; its end when there is none."""
        wanted = list(partitions)
        ends = self.end_offsets(wanted)
        found = self._offsets(wanted, OffsetTimestamp(ms))
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def _offsets(self, partitions: Iterable[TopicPartition], when: int) -> dict[TopicPartition, int]:
        wanted = dict.fromkeys(partitions, when)
        if not wanted:
            return {}
        answer = self._call(self._client.list_partition_offsets, wanted)
        return {partition: found.offset for partition, found in answer.items()}

    def add_partitions(self, name: str, *, total: int) -> None:
        """Let a topic have `total` partitions; no error when it has that many already."""
        answer = self._call(self._client.create_partitions, {name: total}, raise_errors=False)
        for result in answer.results:
            repeated = result.error_code == errors.InvalidPartitionsError.errno
            if repeated and self._has_partitions(name, total):
                continue
            self._check(result.error_code, result.error_message, f"topic {name}")

    def _has_partitions(self, name: str, total: int) -> bool:
        """Whether a topic has exactly so many partitions, also when not every broker knows of them yet."""
        deadline = time.monotonic() + _APPEAR_SECONDS
        while (found := len(self.describe_topics([name]).get(name, ()))) < total:
            if time.monotonic() > deadline:
                return False
            time.sleep(_APPEAR_PAUSE_SECONDS)
        return found == total

    def set_topic_settings(self, name: str, settings: Mapping[str, str]) -> None:
        """Set these settings of a topic and leave its others; Unrecoverable with Kafka's words for a bad value."""
        resource = ConfigResource(ConfigResourceType.TOPIC, name, dict(settings))
        answer = self._call(self._client.alter_configs, [resource], raise_on_unknown=False)
        outcome = answer["topic"][name]
        if outcome != "OK":
            kind = Unrecoverable if "InvalidConfigurationError" in outcome else Fault
            raise kind(f"Kafka: topic {name}: {outcome}")

    def purge_topic(self, name: str) -> None:
        """Delete every record that a topic holds now; records that are produced from now on stay."""
        partitions = self.describe_topics([name]).get(name, ())
        if partitions:
            # -1 is Kafka's word for the end of a partition at the time that the broker answers.
            ends = {TopicPartition(name, partition.index): -1 for partition in partitions}
            self._call(self._client.delete_records, ends)
