"""What each tenant keeps on the cluster, counted there and kept in Postgres.

Heroku's requests are answered without a call to the cluster, so what they need to know stands in the tenants' rows,
not older than a minute while the job runs; `Tenant.usage_at` tells when it was counted.
"""

from datetime import datetime

import structlog
from django.utils import timezone

from addon.kafkacluster.cluster import connect
from addon.kafkacluster.models import SharedCluster, Tenant
from addon.kafkacluster.rates import Rate, keep
from addon.kafkacluster.rights import hold_to_storage
from addon.kafkacluster.topic_calls import TopicSize
from provisioning.limits import limits_of
from provisioning.models import Plan
from provisioning.services import Fault, Refusal

log = structlog.get_logger(__name__)


def count_usage() -> int:
    """Count every live tenant's topics, partitions and bytes in one look at each cluster; returns how many tenants.

    A cluster that does not answer is told in the log and holds up no other one.
    """
    counted = 0
    for row in SharedCluster.objects.all():
        try:
            counted += count_cluster(row)
        except Fault as error:
            log.warning("kafka_usage.not_counted", cluster=row.name, error=str(error))
    return counted


def count_cluster(row: SharedCluster) -> int:
    """Count the live tenants of one cluster; returns how many. Raises Fault when it does not answer."""
    at = timezone.now()
    tenants = list(row.tenants.filter(removed_at=None))
    if not tenants:
        return 0
    with connect(row.address) as cluster:
        sizes = cluster.topic_sizes()
    owned: dict[str, list[TopicSize]] = {}
    for name, size in sizes.items():
        owned.setdefault(f"{name.partition('.')[0]}.", []).append(size)
    if not row.metrics_urls:
        keep(row, _estimates(tenants, owned, at), estimated=True)
    for tenant in tenants:
        own = owned.get(tenant.prefix, [])
        # Unless somebody counted since: a topic made meanwhile is not in what was seen.
        Tenant.objects.filter(pk=tenant.pk, usage_at__lte=at, removed_at=None).update(
            topics=len(own),
            partitions=sum(size.partitions for size in own),
            stored_bytes=sum(size.bytes for size in own),
            usage_at=at,
        )
    live = row.tenants.filter(removed_at=None).select_related("resource__plan")
    for tenant in live.prefetch_related("resource__limit_overrides"):
        hold_to_storage(tenant)
    return len(tenants)


def _estimates(tenants: list[Tenant], owned: dict[str, list[TopicSize]], at: datetime) -> dict[str, Rate]:
    """Produce rates from how much each tenant's logs have grown since they were counted last.

    Compressed records count as they are stored, and what retention removed meanwhile makes the rate look smaller.
    """
    found = {}
    for tenant in tenants:
        seconds = (at - tenant.usage_at).total_seconds()
        grown = sum(size.bytes for size in owned.get(tenant.prefix, [])) - tenant.stored_bytes
        if seconds >= 1:
            found[tenant.username] = Rate(produce=max(0.0, grown / seconds), consume=None)
    return found


def check_fits(tenant: Tenant, plan: Plan) -> None:
    """Raise Refusal when the tenant, as last counted, keeps more than `plan` allows; it says what is too much."""
    limits = limits_of(tenant.resource, plan=plan)
    over = [
        text
        for used, limit, text in (
            (tenant.topics, limits["topics"], f"{tenant.topics} topics of {limits['topics']}"),
            (
                tenant.partitions,
                limits["partitions"],
                f"{tenant.partitions} partitions of {limits['partitions']}",
            ),
            (
                tenant.stored_bytes,
                limits["stored_bytes"],
                f"{tenant.stored_bytes / 1e6:,.1f} MB of {limits['stored_bytes'] / 1e6:,.0f} MB",
            ),
        )
        if used > limit
    ]
    if over:
        raise Refusal(
            f"Plan '{plan.slug}' allows less than this resource uses: {'; '.join(over)} (counted at "
            f"{tenant.usage_at:%H:%M:%S} UTC, every minute). Delete topics or shorten their retention, then try again.",
            code="does_not_fit",
        )
