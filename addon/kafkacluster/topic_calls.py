"""Topics on a cluster: made, counted, deleted."""

from collections.abc import Mapping
from dataclasses import dataclass

from kafka import errors

from addon.kafkacluster.calls import Calls

_GONE_TOPIC = errors.UnknownTopicOrPartitionError.errno


@dataclass(frozen=True)
class TopicSize:
    """A topic as counted on the cluster; bytes are the largest replica's of each partition, added up."""

    partitions: int
    bytes: int


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
        """Delete topics with their data; those that are gone already are no error."""
        answer = self._call(self._client.delete_topics, names, raise_errors=False)
        for topic in answer["topics"]:
            if topic["error_code"] != _GONE_TOPIC:
                self._check(topic["error_code"], topic.get("error_message"), f"topic {topic['name']}")

    def topic_sizes(self) -> dict[str, TopicSize]:
        """Partitions of every topic, and the bytes that the brokers which are up store of it."""
        described = self._call(self._client.describe_topics)
        partitions = {topic["name"]: len(topic["partitions"]) for topic in described}
        largest: dict[str, dict[int, int]] = {}
        for broker in self.broker_ids():
            for answer in self._call(self._client.describe_log_dirs, brokers=[broker]):
                for topic in (topic for folder in answer["log_dirs"] for topic in folder["topics"]):
                    sizes = largest.setdefault(topic["name"], {})
                    for partition in topic["partitions"]:
                        index = partition["partition_index"]
                        sizes[index] = max(sizes.get(index, 0), partition["partition_size"])
        return {
            name: TopicSize(count, sum(largest.get(name, {}).values())) for name, count in partitions.items()
        }
