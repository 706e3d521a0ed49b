"""A tenant's life on a real broker: what the cluster holds after each operation, and nothing at the end."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer
from django.utils import timezone

from addon.kafkacluster import cluster as adapter
from addon.kafkacluster import tenants
from addon.kafkacluster.cluster import CONSUME_QUOTA, PRODUCE_QUOTA, Cluster
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.tenants import grants_of, left_of
from addon.kafkacluster.usage import count_usage
from provisioning import operations
from provisioning.models import Credential, Plan, Resource
from provisioning.rotation import rotate_credentials
from provisioning.services import Fault, service_of
from tests.kafkacluster.conftest import Customer
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, run_operations

pytestmark = pytest.mark.django_db
New = Callable[..., Customer]


def settle(resource: Resource) -> None:
    """Run what is under way, and read the row anew."""
    run_operations(resource)
    resource.refresh_from_db()


def deprovision(shop: Customer) -> None:
    """Remove the add-on, as Heroku does."""
    assert Partner("kafkacluster").delete(shop.resource.uuid).status_code == 204
    settle(shop.resource)
    assert shop.resource.state == "deprovisioned"


@pytest.mark.parametrize(
    ("plan", "produce", "consume"),
    [
        ("free", 6_000, 6_000),
        ("starter", 8_000, 8_000),
        ("basic-0", 64_000, 256_000),
        ("basic-1", 512_000, 2_048_000),
    ],
)
def test_a_provisioned_tenant_has_its_plan_s_quotas_its_rights_and_one_login(
    customer: New, cluster: Cluster, plan: str, produce: int, consume: int
) -> None:
    shop = customer(plan=plan)
    assert cluster.quotas(shop.user) == {shop.user: {PRODUCE_QUOTA: produce, CONSUME_QUOTA: consume}}
    assert cluster.grants(shop.user) == {shop.user: grants_of(shop.tenant)}
    assert cluster.mechanisms(shop.user) == {shop.user: {shop.config["KAFKACLUSTER_SASL_METHOD"]}}
    assert shop.config["KAFKACLUSTER_SASL_METHOD"] == "SCRAM-SHA-512"
    shop.log_in()


def test_quotas_are_divided_over_the_brokers_so_that_all_together_stay_within_the_plan() -> None:
    limits = {"produce_bytes_per_second": 8_000, "consume_bytes_per_second": 1_000_000}
    quotas = tenants.quotas_of(limits, brokers=3)
    assert quotas == {PRODUCE_QUOTA: 2_666, CONSUME_QUOTA: 333_333}
    assert tenants.quotas_of({**limits, "produce_bytes_per_second": 2}, brokers=3)[PRODUCE_QUOTA] == 1


def test_rights_and_quotas_stand_before_the_password_lets_anybody_in(customer: New) -> None:
    names = [step.name for step in service_of(customer().resource).provision_steps()]
    assert names.index("set quotas") < names.index("grant rights") < names.index("install password")


def test_a_provision_waits_for_the_broker_and_says_what_it_waits_for(
    plans: None, heroku: FakeHeroku, broker_away: Callable[[bool], None]
) -> None:
    resource = Partner("kafkacluster").provisioned()
    operation = resource.operations.get()
    broker_away(True)
    operations.run(operation.pk)
    broker_away(False)
    operation.refresh_from_db()
    assert (operation.state, operation.step) == ("pending", "set quotas")
    assert "no Kafka broker answers (127.0.0.1:1" in operation.last_error
    operation.next_attempt_at = timezone.now()
    operation.save()
    operations.run(operation.pk)
    operation.refresh_from_db()
    assert operation.step == "await access to Heroku"


def test_a_plan_change_moves_the_quotas_and_keeps_user_password_and_data(
    customer: New, cluster: Cluster
) -> None:
    shop = customer(plan="free")
    topic, config = shop.topic(cluster), dict(shop.config)
    assert shop.send(topic, b"before") is None
    assert Partner("kafkacluster").put(shop.resource.uuid, "basic-0").status_code == 202
    settle(shop.resource)
    assert cluster.quotas(shop.user) == {shop.user: {PRODUCE_QUOTA: 64_000, CONSUME_QUOTA: 256_000}}
    shop.refresh()
    assert shop.config == config
    assert shop.receive(topic) == [b"before"]


def test_a_downgrade_that_does_not_fit_is_refused_with_what_is_too_much_and_changes_nothing(
    customer: New, cluster: Cluster
) -> None:
    shop = customer(plan="basic-0")
    for number in range(6):
        shop.topic(cluster, f"t{number}", partitions=2)
    assert count_usage() >= 1
    partner = Partner("kafkacluster")
    answer = partner.put(shop.resource.uuid, "free")
    assert answer.status_code == 422
    assert "6 topics of 5; 12 partitions of 10 (counted at " in answer.json()["message"]
    shop.resource.refresh_from_db()
    assert shop.resource.plan
    assert shop.resource.plan.slug == "basic-0"
    assert cluster.quotas(shop.user)[shop.user][PRODUCE_QUOTA] == 64_000
    cluster.delete_topics(cluster.topics(shop.tenant.prefix)[:1])
    count_usage()
    assert partner.put(shop.resource.uuid, "free").status_code == 202


def test_stored_bytes_are_counted_on_the_cluster_and_stand_in_the_way_too(
    customer: New, cluster: Cluster
) -> None:
    shop = customer(plan="basic-1")
    topic = shop.topic(cluster)
    assert shop.send(topic, random.randbytes(100_000)) is None
    count_usage()
    shop.tenant.refresh_from_db()
    assert 100_000 <= shop.tenant.stored_bytes < 110_000
    assert (shop.tenant.topics, shop.tenant.partitions) == (1, 1)
    Plan.objects.filter(service="kafkacluster", slug="starter").update(
        limits={**Plan.objects.get(service="kafkacluster", slug="starter").limits, "stored_bytes": 50_000}
    )
    answer = Partner("kafkacluster").put(shop.resource.uuid, "starter")
    assert answer.status_code == 422
    assert "0.1 MB of 0 MB" in answer.json()["message"]


def test_both_passwords_work_during_the_overlap_and_only_the_new_one_after_it(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    former = shop.config
    rotate_credentials(shop.resource.pk, requested_by="test")
    settle(shop.resource)
    shop.refresh()
    assert former["KAFKACLUSTER_USERNAME"] == shop.config["KAFKACLUSTER_USERNAME"]
    for config in (former, shop.config):
        shop.log_in(config)
    # One user all the while: one quota, one set of rights.
    assert len(cluster.quotas(shop.user)) == len(cluster.grants(shop.user)) == 1
    Credential.objects.filter(resource=shop.resource, state="retiring").update(retires_at=timezone.now())
    operations.start_operation(shop.resource, "revocation", requested_by="test")  # type: ignore[arg-type]
    settle(shop.resource)
    assert cluster.mechanisms(shop.user) == {shop.user: {shop.config["KAFKACLUSTER_SASL_METHOD"]}}
    shop.log_in()


def test_a_leaked_password_is_shut_out_before_the_rotation_ends(
    customer: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    leaked = shop.config
    rotate_credentials(shop.resource.pk, requested_by="test", revoke_now=True)
    settle(shop.resource)
    monkeypatch.setattr(adapter, "CONNECT_SECONDS", 0.5)
    with pytest.raises(Fault, match="no login"):
        shop.log_in(leaked)


def test_a_third_password_that_is_taken_back_gives_the_first_one_its_place_again(customer: New) -> None:
    """Three credentials live on two mechanisms: the third one's takes the first one's place."""
    shop = customer()
    first = shop.config
    for _ in range(2):
        rotate_credentials(shop.resource.pk, requested_by="test")
        settle(shop.resource)
    third = Credential.objects.get(resource=shop.resource, state="active")
    assert third.kind == first["KAFKACLUSTER_SASL_METHOD"]
    rotation = third.operation
    from provisioning import credentials

    credentials.restore_replaced(rotation)
    tenants.keep_live_passwords(rotation)
    shop.log_in(first)


def test_a_removal_under_a_live_consumer_leaves_nothing_and_a_second_one_finds_nothing(
    customer: New, cluster: Cluster
) -> None:
    shop, neighbour = customer(), customer()
    topic, other = shop.topic(cluster, partitions=2), neighbour.topic(cluster)
    rotate_credentials(shop.resource.pk, requested_by="test")
    settle(shop.resource)
    assert shop.send(topic) is None
    consumer = Consumer(
        shop.client(**{"group.id": f"{shop.tenant.prefix}readers", "auto.offset.reset": "earliest"})
    )
    consumer.subscribe([topic])
    first = consumer.poll(10)
    assert first
    assert first.value() == b"hello"
    deprovision(shop)
    assert left_of(cluster, shop.tenant) == []
    removal = shop.resource.operations.get(kind="deprovision")
    for step in service_of(shop.resource).deprovision_steps():
        step.run(removal)
    assert left_of(cluster, shop.tenant) == []
    message = consumer.poll(3)
    assert message is None or message.error()
    consumer.close()
    assert neighbour.send(other) is None


def test_what_appears_during_a_removal_is_found_by_the_sweep_and_taken_away(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    assert Partner("kafkacluster").delete(shop.resource.uuid).status_code == 204
    removal = shop.resource.operations.get(kind="deprovision")
    for step in service_of(shop.resource).deprovision_steps()[:3]:
        step.run(removal)
    shop.topic(cluster, "late")
    cluster.set_password(shop.user, "SCRAM-SHA-256", "late")
    with pytest.raises(Fault, match=r"left on the cluster: password SCRAM-SHA-256, topic .*late"):
        tenants.sweep(removal)
    tenants.sweep(removal)
    settle(shop.resource)
    assert shop.resource.state == "deprovisioned"
    assert left_of(cluster, shop.tenant) == []


def test_tenants_made_and_removed_in_any_order_leave_no_orphan(customer: New, cluster: Cluster) -> None:
    chance = random.Random(7)
    shops, gone = [], []
    for _ in range(6):
        shops.append(customer())
        shops[-1].topic(cluster, uuid.uuid4().hex)
        if chance.random() < 0.5:
            gone.append(shops.pop(chance.randrange(len(shops))))
            deprovision(gone[-1])
    chance.shuffle(shops)
    for shop in shops:
        deprovision(shop)
    users = {shop.user for shop in (*shops, *gone)}
    assert len(users) == 6
    for told in (cluster.quotas(), cluster.grants(), cluster.mechanisms()):
        assert not users & set(told)
    names: list[Any] = [*cluster.topics(), *cluster.groups()]
    assert not [name for name in names if name.partition(".")[0] in users]
    assert Tenant.objects.filter(username__in=users, removed_at=None).count() == 0
