"""What happens to a tenant, its topics and consumer groups, in the words of a dashboard's recent events."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from sso.events import Told

Words = Callable[[Mapping[str, Any], Mapping[str, str]], str]


def _of(text: str) -> Words:
    """The event's detail filled into `text`, with a question mark for what an older release did not note."""
    return lambda detail, plans: text.format_map(defaultdict(lambda: "?", detail))


def _settings(detail: Mapping[str, Any], plans: Mapping[str, str]) -> str:
    values = ", ".join(f"{name} = {value}" for name, value in detail.get("settings", {}).items())
    return f"Topic {detail.get('topic', '?')} configured: {values}"


TOLD: dict[str, Told] = {
    "topic.created": Told("plus", _of("Topic {topic} created with partitions: {partitions}")),
    "topic.configured": Told("adjustments", _settings),
    "topic.partitions_added": Told("plus", _of("Topic {topic}: partitions from {former} to {partitions}")),
    "topic.purged": Told("eraser", _of("Topic {topic} purged")),
    "topic.deleted": Told("trash", _of("Topic {topic} deleted")),
    "topic.refused": Told("alert-triangle", _of("Kafka refused the change of topic {topic}"), "bad"),
    "topic.message_sent": Told("message-2-code", _of("Test message sent to {topic}")),
    "topic.exported": Told("download", _of("Export of topic {topic} started")),
    "group.registered": Told("plus", _of("Consumer group {group} registered")),
    "group.reset": Told("history", _of("Consumer group {group} moved on {topic}: {position}")),
    "group.topic_forgotten": Told("eraser", _of("Consumer group {group}: offsets on {topic} deleted")),
    "group.deleted": Told("trash", _of("Consumer group {group} deleted")),
    "kafka.storage_warning": Told(
        "alert-triangle", _of("Stored data passed {percent} % of the plan"), "warning", logged=True
    ),
    "kafka.writes_paused": Told(
        "alert-triangle", _of("Stored data reached the plan's limit: producing is paused"), "bad", logged=True
    ),
    "kafka.writes_resumed": Told(
        "circle-check",
        _of("Stored data is below the plan's limit: producing works again"),
        "good",
        logged=True,
    ),
}
