"""Bringing a tenant's topics in line with a new plan: what it does not allow is cut down, what follows it moves."""

from collections.abc import Collection, Mapping

from django.db import transaction

from addon.kafkacluster.cluster import Cluster, connect
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant, Topic
from addon.kafkacluster.topic_settings import NO_BOUND, Settings
from addon.kafkacluster.turns import in_turn
from provisioning.models import Operation, Plan


@in_turn
def fit_topics(operation: Operation) -> None:
    """A plan change's step: no topic keeps records longer, or takes larger messages, than the resource's plan allows.

    A topic whose largest message is that of a plan was made with it, and follows the plan upwards too; one that was
    set to a value of its own keeps that as long as it is allowed. Changes that wait for the cluster are fitted as well.
    """
    rows = Tenant.objects.select_related("resource__plan", "cluster")
    tenant = rows.filter(resource_id=operation.resource_id, removed_at=None).first()
    if tenant is None or tenant.resource.plan is None:
        return
    with connect(tenant.cluster.address) as cluster:
        fit_topics_of(tenant, cluster)


def fit_topics_of(tenant: Tenant, cluster: Cluster) -> None:
    """The same for a tenant with its resource and plan, in its turn."""
    limits, sizes = Limits.of(tenant.resource), _message_sizes()
    with transaction.atomic():
        for topic in Topic.objects.select_for_update().filter(tenant=tenant, state=Topic.State.CHANGING):
            changed = fitted(topic.pending_settings, limits, partitions=topic.partitions, sizes=sizes)
            topic.pending_settings = {**topic.pending_settings, **changed}
            topic.save(update_fields=["pending_settings"])
    described = cluster.describe_topics(cluster.topics(tenant.prefix))
    for name, settings in cluster.topic_settings(described).items():
        if changed := fitted(settings, limits, partitions=len(described[name]), sizes=sizes):
            cluster.set_topic_settings(name, changed)


def fitted(
    settings: Mapping[str, str], limits: Limits, *, partitions: int, sizes: Collection[int]
) -> dict[str, str]:
    """Those of a topic's settings, by Kafka's names, that have to become others; settings it has not stay out.

    `sizes` are the largest messages of all plans.
    """
    found = Settings.read(settings)
    wanted: dict[str, int] = {}
    if "retention.ms" in settings and not 0 <= found.retention_ms <= limits.retention_ms:
        wanted["retention.ms"] = limits.retention_ms
    if found.retention_bytes != NO_BOUND and found.retention_bytes * partitions > limits.stored_bytes:
        wanted["retention.bytes"] = limits.stored_bytes // partitions
    size, largest = found.max_message_bytes, limits.max_message_bytes
    if "max.message.bytes" in settings and size != largest and (size > largest or size in sizes):
        wanted["max.message.bytes"] = largest
    return {name: str(value) for name, value in wanted.items()}


def _message_sizes() -> set[int]:
    plans = Plan.objects.filter(service="kafkacluster")
    return {Limits.read(plan.limits).max_message_bytes for plan in plans}
