"""Comparing the cluster with Postgres, user by user, and mending what is safe to mend.

What a live tenant should have follows from its row, its plan and its sealed passwords, so anything that the cluster
lost is made again: rights, quotas, and also SCRAM users, which a node of Kafka 3.5 to 3.9 can lose when it starts
without a metadata snapshot. What the cluster still has of a removed tenant is taken away. Users of our form that
Postgres does not know (another provider on the same cluster, or a database restored from an old copy) are only
reported: deleting data on the word of a missing row is not safe.
"""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import structlog

from addon.kafkacluster.cluster import CONSUME_QUOTA, PRODUCE_QUOTA, Cluster, Grant, connect
from addon.kafkacluster.models import SharedCluster, Tenant
from addon.kafkacluster.tenants import broker_count, grants_of, left_of, passwords_of, quotas_of
from addon.kafkacluster.turns import turn
from provisioning.limits import limits_of
from provisioning.models import Resource
from provisioning.services import Fault
from provisioning.states import ACTIVE_OPERATION_STATES, ResourceState

log = structlog.get_logger(__name__)

_GONE_SECONDS = 10.0
_GONE_PAUSE_SECONDS = 0.2
_OUR_FORM = re.compile(r"t[0-9a-f]{12}")


@dataclass
class Difference:
    """One thing that is not the same in Postgres and on the cluster. Holds no password."""

    user: str
    what: str
    detail: str
    fixed: bool = False


@dataclass
class Report:
    """What a comparison found."""

    checked: int = 0
    differences: list[Difference] = field(default_factory=list)
    unreachable: dict[str, str] = field(default_factory=dict)
    """Clusters that could not be asked, by name, with the reason."""

    def as_json(self) -> str:
        """The report for machines."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True)
class View:
    """What the cluster says of its users, and of the names that begin with a prefix of ours."""

    grants: dict[str, set[Grant]]
    mechanisms: dict[str, set[str]]
    quotas: dict[str, dict[str, int]]
    owners: set[str]
    """Users that a topic or a consumer group belongs to by its prefix."""

    @property
    def users(self) -> set[str]:
        """Every user of our form that the cluster has anything of."""
        named = {*self.grants, *self.mechanisms, *self.quotas, *self.owners}
        return {name for name in named if _OUR_FORM.fullmatch(name)}


def look(cluster: Cluster, user: str | None = None) -> View:
    """The cluster's side, of one user or of all."""
    prefix = f"{user}." if user else ""
    return View(
        grants=cluster.grants(user),
        mechanisms=cluster.mechanisms(user),
        quotas=cluster.quotas(user),
        owners={
            name.partition(".")[0]
            for name in (*cluster.topics(prefix), *cluster.groups(prefix))
            if "." in name
        },
    )


def reconcile_clusters(*, fix: bool) -> Report:
    """Compare every tenant of every cluster; with `fix`, mend what is safe.

    Resources with an operation under way are left to it. A cluster that cannot be asked is named in the report.
    """
    report = Report()
    for row in SharedCluster.objects.all():
        try:
            _reconcile_cluster(row, report, fix=fix)
        except Fault as error:
            report.unreachable[row.name] = str(error)
            log.warning("kafka_reconcile.not_compared", cluster=row.name, error=str(error))
    log.info("kafka_reconcile.done", checked=report.checked, differences=len(report.differences))
    return report


def _reconcile_cluster(row: SharedCluster, report: Report, *, fix: bool) -> None:
    with connect(row.address) as cluster:
        # The cluster first: a tenant's row is there before anything of it is on the cluster.
        view, brokers = look(cluster), broker_count(row, cluster)
        tenants = row.tenants.select_related("resource__plan").prefetch_related("resource__limit_overrides")
        rows = {tenant.username: tenant for tenant in tenants}
        for user, tenant in rows.items():
            if _is_settled(tenant.resource):
                report.checked += 1
                found = missing_of(tenant, view, brokers=brokers)
                if found and fix:
                    found = _mend(cluster, tenant, brokers=brokers)
                _add(report, found)
            elif tenant.removed_at is not None and user in view.users:
                _add(report, [_remainder(cluster, tenant, fix=fix)])
        _add(
            report,
            [
                Difference(user, "unknown user", f"not on {row.name} by this database")
                for user in sorted(view.users - set(rows))
            ],
        )


def missing_of(tenant: Tenant, view: View, *, brokers: int) -> list[Difference]:
    """Where the cluster differs from what the tenant of a provisioned resource should have."""
    user, found = tenant.username, []
    wanted_grants, grants = grants_of(tenant), view.grants.get(user, set())
    if grants != wanted_grants:
        found.append(Difference(user, "rights", f"{_words(grants)} instead of {_words(wanted_grants)}"))
    limits = limits_of(tenant.resource)
    wanted_quotas = quotas_of(limits, brokers=brokers) if limits else {}
    quotas = view.quotas.get(user, {})
    if quotas != wanted_quotas:
        found.append(Difference(user, "quotas", f"{quotas or 'none'} instead of {wanted_quotas}"))
    wanted, mechanisms = set(passwords_of(tenant.resource)), view.mechanisms.get(user, set())
    if mechanisms != wanted:
        found.append(
            Difference(
                user, "passwords", f"{sorted(mechanisms) or 'none'} instead of {sorted(wanted) or 'none'}"
            )
        )
    return found


def _mend(cluster: Cluster, stale: Tenant, *, brokers: int) -> list[Difference]:
    """Compare one tenant anew in its turn, and mend it: an operation that begins meanwhile has the last word."""
    with turn(stale.resource_id):
        tenant = Tenant.objects.select_related("resource__plan").filter(pk=stale.pk).first()
        if tenant is None or not _is_settled(tenant.resource):
            return []
        resource, user = tenant.resource, tenant.username
        found = missing_of(tenant, look(cluster, user), brokers=brokers)
        for difference in found:
            if difference.what == "rights":
                cluster.set_grants(user, grants_of(tenant))
            elif difference.what == "quotas" and resource.plan:
                stray = cluster.quotas(user).get(user, {})
                wanted = quotas_of(limits_of(resource), brokers=brokers)
                cluster.set_quotas(user, {**dict.fromkeys(stray), **wanted})
            elif difference.what == "passwords":
                kept = passwords_of(resource)
                for mechanism, password in kept.items():
                    cluster.set_password(user, mechanism, password)
                for mechanism in cluster.mechanisms(user).get(user, set()) - set(kept):
                    cluster.remove_password(user, mechanism)
            difference.fixed = True
        return found


def _remainder(cluster: Cluster, tenant: Tenant, *, fix: bool) -> Difference:
    """What the cluster has of a removed tenant; nobody uses it any more, so it goes without a lock."""
    user = tenant.username
    difference = Difference(user, "removed tenant", ", ".join(left_of(cluster, tenant)))
    if fix:
        cluster.revoke_grants(user)
        for mechanism in cluster.mechanisms(user).get(user, set()):
            cluster.remove_password(user, mechanism)
        if groups := cluster.groups(tenant.prefix):
            cluster.delete_groups(groups)
        if topics := cluster.topics(tenant.prefix):
            cluster.delete_topics(topics)
        cluster.set_quotas(user, {PRODUCE_QUOTA: None, CONSUME_QUOTA: None})
        difference.fixed = _is_gone(cluster, tenant)
    return difference


def _is_gone(cluster: Cluster, tenant: Tenant) -> bool:
    """Whether nothing of the tenant is left; a broker hears of the controller's changes a moment later."""
    deadline = time.monotonic() + _GONE_SECONDS
    while left_of(cluster, tenant):
        if time.monotonic() > deadline:
            return False
        time.sleep(_GONE_PAUSE_SECONDS)
    return True


def _is_settled(resource: Resource) -> bool:
    return (
        resource.state == ResourceState.PROVISIONED
        and not resource.operations.filter(state__in=ACTIVE_OPERATION_STATES).exists()
    )


def _add(report: Report, found: Iterable[Difference]) -> None:
    for difference in found:
        report.differences.append(difference)
        log.warning("kafka_reconcile.difference", **asdict(difference))


def _words(grants: set[Grant]) -> str:
    return ", ".join(f"{grant.resource} {grant.operation}" for grant in sorted(grants)) or "none"
