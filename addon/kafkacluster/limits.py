"""What a plan lets a tenant keep and do, as plain checks: each raises Refusal with the customer's message.

The numbers come from `plans.toml`. What Kafka enforces by itself (rates, the size of a message) is set there from the
same numbers; what it cannot count (topics, partitions, stored bytes) is held here, where topics are made.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Self

from django.db import transaction
from django.utils import timezone

from addon.kafkacluster.models import Tenant
from provisioning.limits import limits_of
from provisioning.locks import lock_resource
from provisioning.models import Plan, Resource
from provisioning.services import Refusal
from provisioning.states import ResourceState

HOUR_MS = 3_600_000
SMALLEST_RETENTION_MS = HOUR_MS
SMALLEST_MESSAGE_BYTES = 1_024
LARGEST_MESSAGE_BYTES = 1_048_588
"""Kafka's own default of `message.max.bytes`: what an unconfigured broker takes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A plan's limits; every one is a whole number above zero."""

    produce_bytes_per_second: int
    consume_bytes_per_second: int
    topics: int
    partitions: int
    """Of all topics together."""
    consumer_groups: int
    retention_hours: int
    stored_bytes: int
    """Of one replica of each partition."""
    max_message_bytes: int

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The limits as a plan holds them; ValueError says what does not fit."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"limits are {', '.join(sorted(names))}")
        for name, value in values.items():
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise ValueError(f"{name} is not a whole number above zero")
        limits = cls(**values)
        if limits.partitions < limits.topics:
            raise ValueError("partitions are fewer than topics, of which each has at least one")
        if not SMALLEST_MESSAGE_BYTES <= limits.max_message_bytes <= LARGEST_MESSAGE_BYTES:
            raise ValueError(f"max_message_bytes is not {SMALLEST_MESSAGE_BYTES} to {LARGEST_MESSAGE_BYTES}")
        return limits

    @classmethod
    def of(cls, resource: Resource, *, plan: Plan | None = None) -> Self:
        """What a resource may use on its plan, or on `plan`; ValueError for one without a plan."""
        return cls.read(limits_of(resource, plan=plan))

    @property
    def retention_ms(self) -> int:
        """The longest retention, as Kafka counts it."""
        return self.retention_hours * HOUR_MS


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a tenant keeps, beside what its plan allows, while its resource is locked; see `changing_topics`."""

    tenant: Tenant
    plan: Plan
    limits: Limits

    def check_new_topic(self, *, kept: Mapping[str, int], partitions: int) -> None:
        """Raise Refusal unless one more topic of that many partitions fits.

        `kept` are the partitions of every topic of the tenant by name, read from the rows under the lock.
        """
        if self.tenant.writes_paused_at:
            raise Refusal(
                f"The stored data has reached the {in_bytes(self.limits.stored_bytes)} of plan '{self.plan.slug}'. "
                "Purge or delete topics, shorten their retention, or move to a larger plan.",
                code="storage_full",
            )
        if len(kept) + 1 > self.limits.topics:
            raise Refusal(
                f"Plan '{self.plan.slug}' allows {counted(self.limits.topics, 'topic')}, and you have "
                f"{len(kept)}. Delete one, or move to a larger plan.",
                code="too_many_topics",
            )
        self._check_partitions(sum(kept.values()), partitions)

    def check_more_partitions(self, *, kept: Mapping[str, int], name: str, partitions: int) -> None:
        """Raise Refusal unless the topic `name` may have `partitions` in all, which is more than it has."""
        if partitions <= kept[name]:
            raise Refusal(
                f"The topic has {counted(kept[name], 'partition')} already; a topic's partitions can only grow.",
                code="not_more_partitions",
            )
        self._check_partitions(sum(kept.values()), partitions - kept[name])

    def _check_partitions(self, kept: int, more: int) -> None:
        if more < 1:
            raise Refusal("A topic has at least one partition.", code="no_partitions")
        if kept + more > self.limits.partitions:
            raise Refusal(
                f"Plan '{self.plan.slug}' allows {counted(self.limits.partitions, 'partition')} in all topics "
                f"together. You have {kept}, so {max(0, self.limits.partitions - kept)} more can be made.",
                code="too_many_partitions",
            )

    def note(self, kept: Mapping[str, int]) -> None:
        """Keep the counts as they are now, so that a plan change that follows sees them."""
        Tenant.objects.filter(pk=self.tenant.pk).update(
            topics=len(kept), partitions=sum(kept.values()), usage_at=timezone.now()
        )


@contextmanager
def changing_topics(resource_id: int) -> Iterator[Room]:
    """Lock a provisioned resource while the rows of its topics change, and tell what its plan allows.

    Two creations at once, or one beside a plan change, take turns: so the counts of the rows inside are exact until
    the end. Requests of Heroku wait meanwhile: nothing outside of Postgres is asked inside. Raises Refusal when the
    resource is ending or suspended.
    """
    with transaction.atomic():
        resource = lock_resource(resource_id)
        tenant = Tenant.objects.select_related("cluster").filter(resource=resource, removed_at=None).first()
        if resource.state != ResourceState.PROVISIONED or resource.plan is None or tenant is None:
            raise Refusal("This add-on is being removed; nothing of it can be changed.", code="ending")
        if resource.suspended_at:
            raise Refusal(
                "This tenant is suspended, so its topics cannot be changed. Nothing is lost; ask support.",
                code="suspended",
            )
        yield Room(tenant=tenant, plan=resource.plan, limits=Limits.of(resource))


def check_retention(limits: Limits, retention_ms: int) -> None:
    """Raise Refusal unless records may be kept that long, in milliseconds; Kafka's -1, for ever, never may."""
    if not SMALLEST_RETENTION_MS <= retention_ms <= limits.retention_ms:
        raise Refusal(
            f"Retention is one hour to {in_hours(limits.retention_hours)} on this plan.",
            code="retention_out_of_range",
        )


def check_retention_bytes(limits: Limits, retention_bytes: int, *, partitions: int) -> None:
    """Raise Refusal unless a topic may keep that many bytes in each partition; -1 means no bound of its own."""
    if retention_bytes == -1:
        return
    if retention_bytes < 1 or retention_bytes * partitions > limits.stored_bytes:
        raise Refusal(
            f"All partitions together can keep {in_bytes(limits.stored_bytes)} on this plan: at most "
            f"{in_bytes(limits.stored_bytes // partitions)} in each of {partitions}.",
            code="retention_bytes_out_of_range",
        )


def check_message_size(limits: Limits, max_message_bytes: int) -> None:
    """Raise Refusal unless a topic may take messages of that size, in bytes after compression."""
    if not SMALLEST_MESSAGE_BYTES <= max_message_bytes <= limits.max_message_bytes:
        raise Refusal(
            f"The largest message is {SMALLEST_MESSAGE_BYTES} to {limits.max_message_bytes:,} bytes on this plan: "
            "a larger one would use up the produce quota of many seconds at once and hold your clients up.",
            code="message_size_out_of_range",
        )


def check_consumer_groups(limits: Limits, registered: int) -> None:
    """Raise Refusal unless one more consumer group can be registered beside those there are."""
    if registered >= limits.consumer_groups:
        raise Refusal(
            f"This plan allows {counted(limits.consumer_groups, 'consumer group')}, and you have {registered}. "
            "Delete one, or move to a larger plan.",
            code="too_many_groups",
        )


def topic_defaults(limits: Limits) -> dict[str, str]:
    """The settings of a topic whose maker chose none: a day of retention, or what the plan allows of it."""
    return {
        "retention.ms": str(min(24 * HOUR_MS, limits.retention_ms)),
        "max.message.bytes": str(limits.max_message_bytes),
    }


def counted(number: int, noun: str) -> str:
    """`1 topic`, `5 topics`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def in_hours(hours: int) -> str:
    """`36 hours`, `7 days`."""
    return counted(hours // 24, "day") if hours % 24 == 0 else counted(hours, "hour")


def in_bytes(number: int) -> str:
    """Bytes in the largest decimal unit with at most one decimal: `4 GB`, `1.5 MB`, `48 kB`."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= size:
            return f"{round(number / size, 1):g} {unit}"
    return f"{number} bytes"
