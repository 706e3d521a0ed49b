"""Suspension by operators, and stored data at the limit: clients are refused, nothing is lost, all comes back."""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from confluent_kafka import KafkaException, Producer
from django.test import Client
from django.utils import timezone

from addon.kafkacluster import rights
from addon.kafkacluster.cluster import PRODUCE_QUOTA, Cluster, Grant
from addon.kafkacluster.limits import Limits, in_bytes
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.notices import notices
from addon.kafkacluster.reconcile import reconcile_clusters
from addon.kafkacluster.tenants import left_of
from addon.kafkacluster.usage import count_usage
from operators.roles import Role
from provisioning import suspension
from provisioning.limits import set_override
from provisioning.models import AuditEvent, LimitOverride, Plan
from provisioning.services import Refusal, service_of
from provisioning.sweep import sweep
from sso.doors import Dashboard
from sso.events import customer_events
from tests.kafkacluster.conftest import Customer
from tests.provisioning.conftest import RecordedWakeups
from tests.support.operators import operator_client
from tests.support.partner import Partner, run_operations

pytestmark = pytest.mark.django_db
New = Callable[..., Customer]
REASON = "Unusual traffic: please write to us."


def told_above(shop: Customer) -> list[str]:
    """The titles of the notices above the customer's pages."""
    shop.resource.refresh_from_db()
    dashboard = Dashboard(shop.resource, service_of(shop.resource), None)  # type: ignore[arg-type]
    return [notice.title for notice in notices(dashboard)]


def events(shop: Customer) -> list[str]:
    """What the customer reads of this service's events, oldest first."""
    found = customer_events(shop.resource).events
    return [
        event.text for event in reversed(found) if "Add-on" not in event.text and "issued" not in event.text
    ]


def suspend(shop: Customer) -> None:
    """Suspend, and play the worker that is woken."""
    suspension.suspend(shop.resource.pk, reason=REASON, actor="operator")
    assert rights.apply_due_rights() == 1


def test_a_suspended_tenant_s_clients_are_refused_and_find_everything_again(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    topic, config = shop.topic(cluster), dict(shop.config)
    assert shop.send(topic, b"before") is None
    suspend(shop)
    assert shop.send(topic) == "TOPIC_AUTHORIZATION_FAILED"
    assert shop.receive(topic) in ("TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED")
    suspension.resume(shop.resource.pk, actor="operator")
    rights.apply_due_rights()
    assert shop.receive(topic) == [b"before"]
    assert shop.send(topic, b"after") is None
    shop.refresh()
    assert shop.config == config
    assert events(shop) == [
        f"Suspended: {REASON}",
        "Suspension ended",
    ]


def test_a_connection_that_is_open_is_refused_at_once_and_let_in_again(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    topic = shop.topic(cluster)
    told: list[str | None] = []
    producer = Producer(shop.client(**{"topic.metadata.refresh.interval.ms": 500}))

    def send() -> str | None:
        try:
            producer.produce(
                topic, b"x", on_delivery=lambda error, _: told.append(error.name() if error else None)
            )
        except KafkaException as refused:  # remembered by the client until it looks again
            return str(refused.args[0].name())
        producer.flush(15)
        return told[-1]

    assert send() is None
    suspend(shop)
    assert send() == "TOPIC_AUTHORIZATION_FAILED"
    suspension.resume(shop.resource.pk, actor="operator")
    rights.apply_due_rights()
    deadline = time.monotonic() + 15
    while (outcome := send()) is not None and time.monotonic() < deadline:
        producer.poll(0.2)
    assert outcome is None
    # A password that is taken away ends no connection: only rights do.
    for mechanism in cluster.mechanisms(shop.user)[shop.user]:
        cluster.remove_password(shop.user, mechanism)
    assert send() is None


def test_a_suspension_is_kept_by_the_comparison_and_may_be_repeated(customer: New, cluster: Cluster) -> None:
    shop = customer()
    for _ in range(2):
        suspension.suspend(shop.resource.pk, reason=REASON, actor="operator")
    rights.apply_due_rights()
    assert AuditEvent.objects.filter(event="resource.suspended").count() == 1
    assert [found for found in reconcile_clusters(fix=True).differences if found.user == shop.user] == []
    cluster.grant(shop.user, [Grant("TOPIC", shop.tenant.prefix, "READ")])
    reconcile_clusters(fix=True)
    assert cluster.grants(shop.user) == {}


def test_a_worker_is_woken_and_a_lost_wake_up_or_an_absent_broker_only_delays(
    customer: New,
    cluster: Cluster,
    woken: RecordedWakeups,
    broker_away: Callable[[bool], None],
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    shop = customer()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        suspension.suspend(shop.resource.pk, reason=REASON, actor="operator")
    assert woken.rows("kafkacluster.apply_rights") == [shop.tenant.pk]
    broker_away(True)
    assert rights.apply_due_rights() == 0
    broker_away(False)
    assert cluster.grants(shop.user)
    assert rights.apply_due_rights() == 1
    assert cluster.grants(shop.user) == {}
    assert rights.apply_due_rights() == 0


def test_a_suspended_tenant_can_be_removed_and_changed(customer: New, cluster: Cluster) -> None:
    shop = customer()
    suspend(shop)
    assert Partner("kafkacluster").put(shop.resource.uuid, "starter").status_code == 202
    run_operations(shop.resource)
    assert cluster.grants(shop.user) == {}
    Partner("kafkacluster").delete(shop.resource.uuid)
    with pytest.raises(Refusal, match="Only a provisioned resource"):
        suspension.resume(shop.resource.pk, actor="operator")
    run_operations(shop.resource)
    assert left_of(cluster, shop.tenant) == []


def test_rights_that_are_due_when_a_removal_begins_are_given_to_nobody(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    suspend(shop)
    suspension.resume(shop.resource.pk, actor="operator")
    Partner("kafkacluster").delete(shop.resource.uuid)
    rights.apply_due_rights()
    assert cluster.grants(shop.user) == {}
    assert not Tenant.objects.get(pk=shop.tenant.pk).rights_due
    run_operations(shop.resource)


def test_an_override_of_rates_reaches_the_cluster_and_ends_there_too(customer: New, cluster: Cluster) -> None:
    shop = customer()
    rate, before = Limits.of(shop.resource).produce_bytes_per_second, cluster.quotas(shop.user)[shop.user]
    override = set_override(
        shop.resource.pk,
        name="produce_bytes_per_second",
        value=10 * rate,
        ends_at=timezone.now() + timedelta(days=1),
        reason="a migration",
        actor="operator",
    )
    assert rights.apply_due_rights() == 1
    assert cluster.quotas(shop.user)[shop.user][PRODUCE_QUOTA] == 10 * before[PRODUCE_QUOTA]
    assert [found for found in reconcile_clusters(fix=False).differences if found.user == shop.user] == []
    LimitOverride.objects.filter(pk=override.pk).update(ends_at=timezone.now())
    assert sweep().overrides == 1
    assert rights.apply_due_rights() == 1
    assert cluster.quotas(shop.user)[shop.user] == before


def test_operators_suspend_in_the_admin_with_a_reason(admin_client: Client, customer: New) -> None:
    shop, address = customer(), "/admin/kafkacluster/tenant/"
    suspended = partial(Tenant.objects.exclude, resource__suspended_at=None)
    chosen = {"action": "suspend", "_selected_action": [str(shop.tenant.pk)]}
    asked = admin_client.post(address, chosen)
    assert asked.status_code == 200
    assert b"The customer reads it" in asked.content
    assert not suspended().exists()
    assert admin_client.post(address, {**chosen, "reason": REASON}).status_code == 302
    assert suspended().get(rights_due=True).resource.suspension_reason == REASON
    # One who may only look may not.
    watcher = operator_client(Role.FINANCE)
    assert watcher.get(address).status_code == 200
    watcher.post(address, {**chosen, "action": "resume"})
    assert suspended().exists()
    admin_client.post(address, {**chosen, "action": "resume"})
    assert not suspended().exists()


def keep(shop: Customer, *, percent: int) -> None:
    """Let the tenant keep that share of its plan's stored data, as the minute's count tells."""
    assert shop.resource.plan
    limit = shop.resource.plan.limits["stored_bytes"]
    Tenant.objects.filter(pk=shop.tenant.pk).update(stored_bytes=limit * percent // 100)
    rights.hold_to_storage(Tenant.objects.select_related("resource__plan").get(pk=shop.tenant.pk))
    rights.apply_due_rights()
    shop.tenant.refresh_from_db()


def test_stored_data_is_warned_of_then_producing_pauses_and_comes_back(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    topic = shop.topic(cluster)
    assert shop.send(topic, b"kept") is None
    for percent in (79, 80, 85, 95, 99):
        keep(shop, percent=percent)
    assert shop.send(topic, b"also kept") is None
    assert told_above(shop) == ["Stored data is above 95 % of your plan"]
    keep(shop, percent=100)
    assert told_above(shop) == ["Producing is paused: the stored data is full"]
    assert shop.send(topic) == "TOPIC_AUTHORIZATION_FAILED"
    assert shop.receive(topic) == [b"kept"]
    keep(shop, percent=96)
    assert shop.send(topic) == "TOPIC_AUTHORIZATION_FAILED"
    keep(shop, percent=94)
    assert shop.send(topic) is None
    keep(shop, percent=10)
    assert told_above(shop) == []
    assert events(shop) == [
        "Stored data passed 80 % of the plan",
        "Stored data passed 95 % of the plan",
        "Stored data reached the plan's limit: producing is paused",
        "Stored data is below the plan's limit: producing works again",
    ]


def test_the_minute_s_count_itself_pauses_producing_and_a_larger_plan_ends_that(
    customer: New, cluster: Cluster
) -> None:
    Plan.objects.filter(service="kafkacluster", slug="free").update(
        limits={**Plan.objects.get(service="kafkacluster", slug="free").limits, "stored_bytes": 20_000}
    )
    shop = customer()
    topic = shop.topic(cluster)
    assert shop.send(topic, uuid.uuid4().bytes * 1500) is None
    count_usage()
    rights.apply_due_rights()
    assert shop.send(topic) == "TOPIC_AUTHORIZATION_FAILED"
    assert Partner("kafkacluster").put(shop.resource.uuid, "starter").status_code == 202
    run_operations(shop.resource)
    assert shop.send(topic) is None
    assert in_bytes(20_000) == "20 kB"


def test_a_suspended_tenant_s_storage_never_gives_it_rights(customer: New, cluster: Cluster) -> None:
    shop = customer()
    keep(shop, percent=100)
    suspend(shop)
    keep(shop, percent=1)
    assert cluster.grants(shop.user) == {}
