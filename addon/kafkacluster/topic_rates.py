"""How much goes through each topic now, from the brokers' own metrics.

Kafka keeps for every topic that had traffic an average of the last minute on the broker that leads the partition; a
topic's rate is the sum over the brokers. It is kept in a row, so that a page reads its own topics' and none of the
others that share the cluster.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from addon.kafkacluster.models import LiveTopicRate, SharedCluster, Topic

_METRIC = "kafka_topic_byte_rate"
_SIDES = {"In": "produce", "Out": "consume"}
_SMALLEST = 1.0
"""The average fades without end: below a byte in a second nothing is going on."""


@dataclass(frozen=True, kw_only=True)
class TopicRate:
    """Bytes per second over the last minute."""

    produce: float = 0.0
    consume: float = 0.0


def read_topic_rates(texts: Iterable[str]) -> dict[str, TopicRate]:
    """The rates of topics that have traffic, by whole name, from what the brokers' exporters told."""
    sums: dict[str, dict[str, float]] = {}
    for text in texts:
        # The users' metrics are another reader's: parsing is what costs here.
        lines = "".join(line for line in text.splitlines(keepends=True) if line.startswith(_METRIC))
        for family in text_string_to_metric_families(lines):
            for sample in family.samples:
                side = _SIDES.get(sample.labels.get("direction", ""))
                if side is not None and math.isfinite(sample.value):
                    sides = sums.setdefault(sample.labels["topic"], {})
                    sides[side] = sides.get(side, 0.0) + max(0.0, sample.value)
    rates = {name: TopicRate(**sides) for name, sides in sums.items()}
    return {name: rate for name, rate in rates.items() if max(rate.produce, rate.consume) >= _SMALLEST}


def keep_topic_rates(row: SharedCluster, rates: dict[str, TopicRate]) -> None:
    """Keep what goes through the topics of a cluster now, in the place of what was kept; others' names are left out."""
    topics = dict(Topic.objects.filter(tenant__cluster=row, name__in=rates).values_list("name", "pk"))
    LiveTopicRate.objects.filter(topic__tenant__cluster=row).exclude(topic__in=topics.values()).delete()
    LiveTopicRate.objects.bulk_create(
        [
            LiveTopicRate(
                topic_id=key,
                at=timezone.now(),
                produce=round(rates[name].produce),
                consume=round(rates[name].consume),
            )
            for name, key in topics.items()
        ],
        update_conflicts=True,
        unique_fields=["topic"],
        update_fields=["at", "produce", "consume"],
    )


def topic_rates(row: SharedCluster, topics: Iterable[Topic]) -> dict[int, TopicRate]:
    """The rates of these topics by primary key, as they were seen last; one without traffic has zeros.

    Empty for a cluster whose brokers tell no rates of topics.
    """
    if not row.metrics_urls:
        return {}
    keys = [topic.pk for topic in topics]
    seen = {each.topic_id: each for each in LiveTopicRate.objects.filter(topic__in=keys)}
    return {
        key: TopicRate(produce=seen[key].produce, consume=seen[key].consume) if key in seen else TopicRate()
        for key in keys
    }
