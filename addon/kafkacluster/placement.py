"""The shared clusters: keeping the first one in line with the settings, and placing new tenants by free capacity.

A cluster sells rates and stored bytes: what its live tenants' plans allow, added up, stays within its capacity when
tenants are placed. A plan change keeps the tenant where it is, for data does not move, also beyond the capacity: such
a cluster only takes no new tenants.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.utils import timezone

from addon.kafkacluster.config import KafkaEnvironment
from addon.kafkacluster.models import SharedCluster, Tenant
from provisioning.models import Plan, Resource
from provisioning.services import Fault

LOOK_LATE_SECONDS = 60.0
SETTINGS_CLUSTER = "default"
"""The name of the cluster that the settings make."""


@dataclass(frozen=True)
class Load:
    """What of a cluster's capacity is sold to its live tenants: produce and consume rate together, and bytes."""

    tenants: int = 0
    bytes_per_second: int = 0
    stored_bytes: int = 0

    def with_plan(self, plan: Plan, *, number: int = 1) -> "Load":
        """The load with so many more tenants on `plan`."""
        rate = int(plan.limits["produce_bytes_per_second"]) + int(plan.limits["consume_bytes_per_second"])
        return Load(
            self.tenants + number,
            self.bytes_per_second + number * rate,
            self.stored_bytes + number * int(plan.limits["stored_bytes"]),
        )

    def share_of(self, cluster: SharedCluster) -> float:
        """The fuller of the two capacities, 1.0 when all of it is sold."""
        return max(
            self.bytes_per_second / max(1, cluster.capacity_bytes_per_second),
            self.stored_bytes / max(1, cluster.capacity_stored_bytes),
        )


def loads(clusters: Iterable[SharedCluster]) -> dict[int, Load]:
    """What is sold of each cluster, by its primary key; of all of them in two queries."""
    found = {cluster.pk: Load() for cluster in clusters}
    rows = (
        Tenant.objects.filter(cluster__in=list(found), removed_at=None, resource__plan__isnull=False)
        .values_list("cluster_id", "resource__plan_id")
        .annotate(number=Count("pk"))
        .order_by()
    )
    sold = list(rows)
    plans = Plan.objects.in_bulk({plan for _, plan, _ in sold})
    for cluster, plan, number in sold:
        found[cluster] = found[cluster].with_plan(plans[plan], number=number)
    return found


def availability(cluster: SharedCluster, load: Load) -> str:
    """`open`, `full` or `closed`: full is an open cluster that has no room for the smallest plan that is sold."""
    if cluster.state == SharedCluster.State.CLOSED:
        return "closed"
    plans = Plan.objects.filter(service="kafkacluster", withdrawn_at=None)
    return "open" if any(load.with_plan(plan).share_of(cluster) <= 1 for plan in plans) else "full"


def cluster_health() -> dict[str, Any]:
    """Whether every cluster's brokers are up, as the job that looks every few seconds saw them: `ok`, and what is not.

    For `/readyz`, which asks nothing but Postgres. Without any cluster there is nothing to be ill.
    """
    problems = {}
    for row in SharedCluster.objects.all():
        seen = row.brokers_seen_at
        if seen is None or (timezone.now() - seen).total_seconds() > LOOK_LATE_SECONDS:
            problems[row.name] = "not looked at" if seen is None else f"last looked at {seen:%H:%M:%S} UTC"
        elif (row.brokers_up or 0) < row.broker_count:
            problems[row.name] = f"{row.brokers_up or 0} of {row.broker_count} brokers up"
    return {"ok": not problems, **({"detail": problems} if problems else {})}


def choose_cluster(resource: Resource) -> SharedCluster:
    """The open cluster of the resource's region that is the least full once the resource's plan is on it.

    Call it in the transaction that makes the tenant: the clusters of the region stay locked until its end, so that two
    tenants never share the last room. Raises Fault when none has room; the text says which there are.
    """
    if resource.plan is None:
        raise ValueError(f"resource {resource.uuid} has no plan")
    clusters = list(
        SharedCluster.objects.select_for_update()
        .filter(state=SharedCluster.State.OPEN, regions__contains=[resource.region])
        .order_by("pk")
    )
    load = loads(clusters)
    shares = [(load[cluster.pk].with_plan(resource.plan).share_of(cluster), cluster) for cluster in clusters]
    fitting = [(share, cluster) for share, cluster in shares if share <= 1]
    if not fitting:
        full = ", ".join(cluster.name for cluster in clusters)
        raise Fault(
            f"no room for plan {resource.plan.slug} on {full}: add a Kafka cluster, or raise a capacity"
            if clusters
            else f"no Kafka cluster of region {resource.region} is open: set KAFKA_ADMIN_BROKERS and run sync_plans, "
            "or add one"
        )
    return min(fitting, key=lambda each: (each[0], each[1].pk))[1]


def sync_settings_cluster(kafka: KafkaEnvironment) -> SharedCluster | None:
    """Make or refresh the cluster that the KAFKA_ settings name; None, and nothing, when they name none.

    Its password stays in the environment. Safe to repeat, also by two releases at once; its state is the operators'.
    """
    if not kafka.admin_brokers:
        return None
    values = {
        "regions": [region.strip() for region in kafka.regions.split(",") if region.strip()],
        "brokers": kafka.brokers,
        "security_protocol": kafka.security_protocol,
        "admin_brokers": kafka.admin_brokers,
        "admin_security_protocol": kafka.admin_security_protocol,
        "admin_mechanism": kafka.admin_mechanism,
        "admin_username": kafka.admin_username,
        "admin_password_variable": "KAFKA_ADMIN_PASSWORD",
        "ca_file": kafka.ca_file or "",
        "broker_count": kafka.broker_count,
        "metrics_urls": kafka.metrics_urls,
        "capacity_bytes_per_second": kafka.capacity_bytes_per_second,
        "capacity_stored_bytes": kafka.capacity_stored_bytes,
    }
    cluster, _ = SharedCluster.objects.update_or_create(
        from_settings=True, defaults=values, create_defaults={**values, "name": SETTINGS_CLUSTER}
    )
    return cluster
