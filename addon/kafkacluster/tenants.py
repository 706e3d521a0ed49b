"""Making, changing and ending a tenant, on the cluster and in its row.

Each function is a step: it reads what is there and brings it to what should be, so it may run again at any time. The
order of a provision is quotas, rights, password: half a tenant can never use the cluster without limit. The order of a
removal begins with the rights, which stops open connections at once.
"""

import secrets
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone

from addon.kafkacluster.cluster import (
    CONSUME_QUOTA,
    PRODUCE_QUOTA,
    Cluster,
    Grant,
    connect,
    log_in_as_tenant,
)
from addon.kafkacluster.models import LiveRate, SharedCluster, Tenant, Throughput
from addon.kafkacluster.placement import choose_cluster
from addon.kafkacluster.turns import in_turn
from provisioning.limits import limits_of
from provisioning.models import Credential, Operation, Resource
from provisioning.services import Fault, Unrecoverable
from provisioning.states import CredentialState

_PREFIX_LENGTH = 12
# A rotation puts the new password on the other mechanism of the same user, so both work during the overlap and the
# user's quota stays one.
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256")
# Nobody may create or configure topics past us: a principal's own rights know no counts. READ and WRITE bring DESCRIBE.
_RIGHTS = (
    ("TOPIC", "READ"),
    ("TOPIC", "WRITE"),
    ("TOPIC", "DESCRIBE_CONFIGS"),
    ("GROUP", "READ"),
    ("GROUP", "DELETE"),
    ("TRANSACTIONAL_ID", "WRITE"),
)


def grants_of(tenant: Tenant) -> set[Grant]:
    """Everything that a tenant may do now: nothing while suspended, no producing while its storage is full."""
    if tenant.resource.suspended_at:
        return set()
    withheld = {("TOPIC", "WRITE")} if tenant.writes_paused_at else set()
    return {
        Grant(resource, tenant.prefix, operation)
        for resource, operation in _RIGHTS
        if (resource, operation) not in withheld
    }


def quotas_of(limits: Mapping[str, int], *, brokers: int) -> dict[str, int | None]:
    """The quotas, per broker, that keep a tenant within its plan's limits on a cluster of that many brokers."""
    return {
        PRODUCE_QUOTA: max(1, limits["produce_bytes_per_second"] // brokers),
        CONSUME_QUOTA: max(1, limits["consume_bytes_per_second"] // brokers),
    }


def broker_count(row: SharedCluster, cluster: Cluster) -> int:
    """By how many brokers a plan's rates are divided: also by those that are down now and will be back."""
    return max(row.broker_count, len(cluster.broker_ids()))


def passwords_of(resource: Resource) -> dict[str, str]:
    """The password on each mechanism that the resource's live credentials have; a later one's wins."""
    live = Credential.objects.filter(resource=resource).exclude(state=CredentialState.REVOKED)
    return {
        credential.kind: credential.get_sealed("secret") or "" for credential in live.order_by("created_at")
    }


# --- provision ----------------------------------------------------------------------------------------------
def ensure_tenant(operation: Operation) -> None:
    """Give the operation's resource its tenant row, on the cluster with the most room, if it has none.

    Raises Fault as long as no cluster has room. The prefix has a fixed length and ends in a separator, so no tenant's
    prefix begins another's; neither it nor the user name is ever used again.
    """
    while not Tenant.objects.filter(resource_id=operation.resource_id).exists():
        token = secrets.token_hex(_PREFIX_LENGTH // 2)
        try:
            with transaction.atomic():
                resource = Resource.objects.select_related("plan").get(pk=operation.resource_id)
                Tenant.objects.create(
                    resource=resource,
                    cluster=choose_cluster(resource),
                    username=f"t{token}",
                    prefix=f"t{token}.",
                )
        except IntegrityError:  # the token was drawn before, or another run was quicker: look again
            continue


@in_turn
def set_quotas(operation: Operation) -> None:
    """Set the quotas that follow from what the resource may use now."""
    tenant = _tenant(operation)
    with connect(tenant.cluster.address) as cluster:
        brokers = broker_count(tenant.cluster, cluster)
        cluster.set_quotas(tenant.username, quotas_of(_limits(tenant), brokers=brokers))


def grant_rights(operation: Operation) -> None:
    """Let the tenant use what begins with its prefix."""
    tenant = _tenant(operation)
    with connect(tenant.cluster.address) as cluster:
        cluster.grant(tenant.username, sorted(grants_of(tenant)))


@in_turn
def install_password(operation: Operation) -> None:
    """Let the active credential's password in, on its mechanism."""
    tenant = _tenant(operation)
    active = _active(tenant.resource)
    with connect(tenant.cluster.address) as cluster:
        cluster.set_password(tenant.username, active.kind, active.get_sealed("secret") or "")


def verify_login(operation: Operation) -> None:
    """Log in as the customer's client will; Fault as long as that does not work."""
    tenant = _tenant(operation)
    active = _active(tenant.resource)
    log_in_as_tenant(
        tenant.cluster.address,
        username=tenant.username,
        mechanism=active.kind,
        password=active.get_sealed("secret") or "",
    )


@in_turn
def keep_live_passwords(operation: Operation) -> None:
    """Let in exactly the passwords of the live credentials: also where an ended one had replaced a live one."""
    tenant = _tenant(operation)
    kept = passwords_of(tenant.resource)
    with connect(tenant.cluster.address) as cluster:
        for mechanism, password in kept.items():
            cluster.set_password(tenant.username, mechanism, password)
        for mechanism in cluster.mechanisms(tenant.username).get(tenant.username, set()) - set(kept):
            cluster.remove_password(tenant.username, mechanism)


# --- deprovision --------------------------------------------------------------------------------------------
@in_turn
def shut_out(operation: Operation) -> None:
    """Take the tenant's rights, which ends all traffic at once, and then its logins."""
    for tenant in _tenants(operation):
        with connect(tenant.cluster.address) as cluster:
            cluster.revoke_grants(tenant.username)
            for mechanism in MECHANISMS:
                cluster.remove_password(tenant.username, mechanism)


@in_turn
def delete_data(operation: Operation) -> None:
    """Delete the tenant's consumer groups, then its topics with all they hold."""
    for tenant in _tenants(operation):
        with connect(tenant.cluster.address) as cluster:
            if groups := cluster.groups(tenant.prefix):
                cluster.delete_groups(groups)
            if topics := cluster.topics(tenant.prefix):
                cluster.delete_topics(topics)


def remove_quotas(operation: Operation) -> None:
    """Remove the quotas, last of all: a straggler is never without limit."""
    for tenant in _tenants(operation):
        with connect(tenant.cluster.address) as cluster:
            cluster.set_quotas(tenant.username, {PRODUCE_QUOTA: None, CONSUME_QUOTA: None})


def sweep(operation: Operation) -> None:
    """Look at the whole cluster for anything of the tenant; Fault names what is left and takes it away."""
    for tenant in _tenants(operation):
        with connect(tenant.cluster.address) as cluster:
            left = left_of(cluster, tenant)
        if left:
            for removal in (shut_out, delete_data, remove_quotas):
                removal(operation)
            raise Fault(f"left on the cluster: {', '.join(left)}", retry_after=0.2)


def left_of(cluster: Cluster, tenant: Tenant) -> list[str]:
    """What the cluster has of the tenant, each named by its kind."""
    name = tenant.username
    found = [f"ACL {grant.resource} {grant.operation}" for grant in cluster.grants(name).get(name, ())]
    found += [f"password {mechanism}" for mechanism in cluster.mechanisms(name).get(name, ())]
    found += [f"group {group}" for group in cluster.groups(tenant.prefix)]
    found += [f"topic {topic}" for topic in cluster.topics(tenant.prefix)]
    found += [f"quota {key}" for key in cluster.quotas(name).get(name, ())]
    return found


def end_tenant(operation: Operation) -> None:
    """Mark the tenant as removed, and drop its history; the row stays so that nobody else ever gets its names."""
    for model in (LiveRate, Throughput):
        model.objects.filter(tenant__resource_id=operation.resource_id).delete()
    Tenant.objects.filter(resource_id=operation.resource_id, removed_at=None).update(
        removed_at=timezone.now(), topics=0, partitions=0, stored_bytes=0, usage_at=timezone.now()
    )


def _tenants(operation: Operation) -> list[Tenant]:
    """The tenant, or none when the provision did not come that far."""
    return list(Tenant.objects.select_related("cluster").filter(resource_id=operation.resource_id))


def _tenant(operation: Operation) -> Tenant:
    rows = Tenant.objects.select_related("resource__plan", "cluster")
    tenant = rows.filter(resource_id=operation.resource_id).first()
    if tenant is None or tenant.removed_at is not None:
        raise Unrecoverable("the resource has no tenant")
    return tenant


def _limits(tenant: Tenant) -> Mapping[str, int]:
    if tenant.resource.plan is None:
        raise Unrecoverable("the resource has no plan")
    return limits_of(tenant.resource)


def _active(resource: Resource) -> Credential:
    credential = Credential.objects.filter(resource=resource, state=CredentialState.ACTIVE).first()
    if credential is None:
        raise Unrecoverable("the resource has no password")
    return credential
