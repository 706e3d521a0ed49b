"""What each tenant keeps on the cluster, counted there and kept in Postgres.

Heroku's requests are answered without a call to the cluster, so what they need to know stands in the tenants' rows,
not older than a minute while the job runs; `Tenant.usage_at` tells when it was counted.
"""

from django.utils import timezone

from addon.kafkacluster.cluster import connect
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.topic_calls import TopicSize
from provisioning.models import Plan
from provisioning.services import Refusal


def count_usage() -> int:
    """Count every live tenant's topics, partitions and bytes in one look at the cluster; returns how many tenants."""
    tenants = list(Tenant.objects.filter(removed_at=None))
    if not tenants:
        return 0
    at = timezone.now()
    with connect() as cluster:
        sizes = cluster.topic_sizes()
    owned: dict[str, list[TopicSize]] = {}
    for name, size in sizes.items():
        owned.setdefault(f"{name.partition('.')[0]}.", []).append(size)
    for tenant in tenants:
        own = owned.get(tenant.prefix, [])
        tenant.topics, tenant.partitions = len(own), sum(size.partitions for size in own)
        tenant.stored_bytes, tenant.usage_at = sum(size.bytes for size in own), at
    Tenant.objects.bulk_update(tenants, ["topics", "partitions", "stored_bytes", "usage_at"], batch_size=500)
    return len(tenants)


def check_fits(tenant: Tenant, plan: Plan) -> None:
    """Raise Refusal when the tenant, as last counted, keeps more than `plan` allows; it says what is too much."""
    limits = plan.limits
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
