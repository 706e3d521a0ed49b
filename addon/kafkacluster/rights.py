"""Keeping a tenant's clients out, or from producing, for a time: suspension by operators, and full storage.

What a tenant may do follows from its row and its resource's (`tenants.grants_of`), and its quotas from what its
resource may use. A change is a change of a row, and the tenant marked `rights_due`; a worker that is woken, or the
minute's schedule, brings the cluster in line. Nothing else is touched: topics, groups, passwords and config vars stay,
so that all of it can be taken back.
"""

import structlog
from django.db import transaction
from django.utils import timezone

from addon.kafkacluster.cluster import connect
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.plan_change import fit_topics_of
from addon.kafkacluster.tenants import broker_count, grants_of, quotas_of
from addon.kafkacluster.turns import turn
from provisioning import audit
from provisioning.limits import limits_of
from provisioning.locks import lock_provisioned
from provisioning.models import Operation, Resource
from provisioning.services import Fault, Refusal
from provisioning.states import ResourceState
from provisioning.wakeups import wake_task

log = structlog.get_logger(__name__)

WARN_AT_PERCENT = (80, 95)
RESUME_BELOW_PERCENT = 95
"""Producing comes back only well below the limit, or it would come and go with every segment that ends."""


def follow(resource: Resource) -> None:
    """Let the cluster follow a resource that was suspended or resumed, or may use more or less; the caller locks it."""
    if tenant := _live_tenant(resource):
        _save(tenant)


def hold_to_storage(tenant: Tenant) -> None:
    """Warn of stored data that nears the plan's limit, pause producing at it, and end the pause below it.

    By the bytes that were counted last: on a minute's count a tenant can be over by what it produces in that minute.
    `tenant` comes with its resource and plan; only one that has something to change is locked and read anew.
    """
    if not _storage_changes(tenant):
        return
    with transaction.atomic():
        try:
            tenant = _locked(tenant.resource_id)
        except Refusal:  # it is ending, or not ready yet
            return
        percent = _stored_percent(tenant)
        passed = _passed_level(percent)
        paused = tenant.writes_paused_at
        if percent >= 100 and paused is None:
            tenant.writes_paused_at = timezone.now()
            audit.record("kafka.writes_paused", resource=tenant.resource, percent=percent)
        elif paused and percent < RESUME_BELOW_PERCENT:
            tenant.writes_paused_at = None
            audit.record("kafka.writes_resumed", resource=tenant.resource, percent=percent)
        elif passed > tenant.storage_warning and paused is None:
            audit.record("kafka.storage_warning", resource=tenant.resource, percent=passed)
        tenant.storage_warning = passed
        if paused == tenant.writes_paused_at:
            tenant.save(update_fields=["storage_warning"])
        else:
            _save(tenant, "storage_warning", "writes_paused_at")


def fit_storage(operation: Operation) -> None:
    """A plan change's step: hold the tenant to the new plan's stored bytes, on the cluster too."""
    rows = Tenant.objects.select_related("resource__plan")
    for tenant in rows.filter(resource_id=operation.resource_id, removed_at=None):
        hold_to_storage(tenant)
        apply_rights(tenant.pk)


def _storage_changes(tenant: Tenant) -> bool:
    percent = _stored_percent(tenant)
    return (
        _passed_level(percent) != tenant.storage_warning
        or (percent >= 100 and tenant.writes_paused_at is None)
        or (percent < RESUME_BELOW_PERCENT and tenant.writes_paused_at is not None)
    )


def _stored_percent(tenant: Tenant) -> int:
    if tenant.resource.plan is None:
        return 0
    return 100 * tenant.stored_bytes // Limits.of(tenant.resource).stored_bytes


def _passed_level(percent: int) -> int:
    return max((level for level in WARN_AT_PERCENT if percent >= level), default=0)


def apply_rights(tenant_id: int) -> None:
    """Bring the cluster in line with what the tenant may do now; nothing for one that is ending.

    In the tenant's turn, so two workers never undo each other, and a removal takes the rights after they were given.
    What the tenant may do can change meanwhile: then it is told anew. Raises Fault when the cluster does not answer;
    the mark stays for the next try.
    """
    tenants = Tenant.objects.select_related("cluster", "resource__plan")
    with turn(tenants.values_list("resource_id", flat=True).get(pk=tenant_id)):
        while (tenant := tenants.get(pk=tenant_id)).rights_due:
            if tenant.removed_at or tenant.resource.state != ResourceState.PROVISIONED:
                # It is ending: nothing may be given to it any more.
                Tenant.objects.filter(pk=tenant_id).update(rights_due=False)
                return
            wanted, limits = grants_of(tenant), limits_of(tenant.resource)
            with connect(tenant.cluster.address) as cluster:
                cluster.set_grants(tenant.username, wanted)
                brokers = broker_count(tenant.cluster, cluster)
                cluster.set_quotas(tenant.username, quotas_of(limits, brokers=brokers))
                fit_topics_of(tenant, cluster)
            with transaction.atomic():
                # Locked first, then read: what is joined to a row that is waited for is as it was before the wait.
                Tenant.objects.select_for_update().get(pk=tenant_id)
                now = tenants.get(pk=tenant_id)
                now.rights_due = grants_of(now) != wanted or limits_of(now.resource) != limits
                now.save(update_fields=["rights_due"])


def apply_due_rights() -> int:
    """Apply the rights that no worker has applied yet; returns how many tenants'. For the schedule."""
    applied = 0
    for key in Tenant.objects.filter(rights_due=True, removed_at=None).values_list("pk", flat=True):
        try:
            apply_rights(key)
            applied += 1
        except Fault as error:
            log.warning("kafka_rights.not_applied", tenant=key, error=str(error))
    return applied


def _locked(resource_id: int) -> Tenant:
    """The live tenant of a provisioned resource, which stays locked; Refusal when it has none."""
    refusal = "Only a provisioned tenant is held to its storage."
    tenant = _live_tenant(lock_provisioned(resource_id, refusal=refusal))
    if tenant is None:
        raise Refusal(refusal, code="not_provisioned")
    return tenant


def _live_tenant(resource: Resource) -> Tenant | None:
    rows = Tenant.objects.select_for_update(of=("self",)).select_related("cluster")
    tenant = rows.filter(resource=resource, removed_at=None).first()
    if tenant:
        tenant.resource = resource
    return tenant


def _save(tenant: Tenant, *fields: str) -> None:
    tenant.rights_due = True
    tenant.save(update_fields=[*fields, "rights_due"])
    wake_task("kafkacluster.apply_rights", tenant.pk, queue_name="operations")
