"""A topic's settings in the units of Kafka, as values that can be checked against a plan and told to people."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from addon.kafkacluster.limits import (
    Limits,
    check_message_size,
    check_retention,
    check_retention_bytes,
    counted,
)
from provisioning.services import Refusal

POLICIES = {
    "delete": "Delete after the retention",
    "compact": "Compact: keep the last record of each key",
    "compact,delete": "Compact, and delete after the retention",
}
"""The cleanup policies that a topic may have, in the words of the form."""

NO_BOUND = -1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What of a topic's settings customers see and change."""

    retention_ms: int
    retention_bytes: int = NO_BOUND
    """Of each partition; -1 is Kafka's word for no bound."""
    cleanup_policy: str = "delete"
    max_message_bytes: int = 0
    min_insync_replicas: int = 1

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """From Kafka's names and texts; what is missing has Kafka's own default."""
        policies = sorted(str(values.get("cleanup.policy") or "delete").replace(" ", "").split(","))
        return cls(
            retention_ms=int(values.get("retention.ms", NO_BOUND)),
            retention_bytes=int(values.get("retention.bytes", NO_BOUND)),
            cleanup_policy=",".join(policies),
            max_message_bytes=int(values.get("max.message.bytes", 0)),
            min_insync_replicas=int(values.get("min.insync.replicas", 1)),
        )

    def check(
        self, limits: Limits, *, partitions: int, replicas: int | None = None, changed: Collection[str]
    ) -> None:
        """Raise Refusal where a value that is `changed`, by Kafka's name, is not allowed.

        `replicas` is how many each partition has; None before the topic is made.
        """
        if "retention.ms" in changed:
            check_retention(limits, self.retention_ms)
        if "retention.bytes" in changed:
            check_retention_bytes(limits, self.retention_bytes, partitions=partitions)
        if "max.message.bytes" in changed:
            check_message_size(limits, self.max_message_bytes)
        if self.cleanup_policy not in POLICIES:
            raise Refusal("Choose one of the cleanup policies.", code="cleanup_policy")
        if "min.insync.replicas" in changed and not 1 <= self.min_insync_replicas <= (replicas or 1):
            raise Refusal(
                f"Each partition has {counted(replicas or 1, 'replica')}: with a larger minimum in sync nothing could "
                "ever be produced.",
                code="min_insync_replicas",
            )

    @property
    def retention_words(self) -> str:
        """`24 hours`, `7 days`, `90 minutes`."""
        if self.retention_ms < 0:
            return "no end"
        minutes = self.retention_ms // 60_000
        for size, word in ((1440, "day"), (60, "hour")):
            if minutes >= 2 * size and minutes % size == 0:
                return f"{minutes // size} {word}s"
        return "1 hour" if minutes == 60 else f"{minutes} minutes"

    @property
    def policy_words(self) -> str:
        """The cleanup policy in words."""
        return POLICIES.get(self.cleanup_policy, self.cleanup_policy)

    @property
    def keeps_by_time(self) -> bool:
        """Whether the retention ends anything."""
        return "delete" in self.cleanup_policy
