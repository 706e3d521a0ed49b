"""A cluster of three brokers: rates are divided, one of them may go, and the dashboard says so."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from addon.kafkacluster import topics
from addon.kafkacluster.cluster import CONSUME_QUOTA, PRODUCE_QUOTA, connect
from addon.kafkacluster.models import SharedCluster
from addon.kafkacluster.rates import sample_rates
from addon.kafkacluster.reconcile import reconcile_clusters
from addon.kafkacluster.replication import replication_of
from addon.kafkacluster.tenants import left_of
from provisioning import operations
from provisioning.services import Fault
from tests.kafkacluster.conftest import Customer
from tests.support.brokers import Brokers
from tests.support.partner import Partner, run_operations
from tests.support.sso import log_in

pytestmark = [
    pytest.mark.django_db,
    # kafka-python leaves a socket open that a broker which has gone did not take.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
New = Callable[..., Customer]


@pytest.fixture(autouse=True)
def shared(three: SharedCluster) -> SharedCluster:
    """New tenants come to the three brokers."""
    SharedCluster.objects.exclude(pk=three.pk).update(state="closed")
    return three


def make_topic(shop: Customer, *, partitions: int = 3) -> str:
    """Have a topic made as the dashboard does."""
    change = topics.create_topic(
        shop.resource.pk, own_name="orders", partitions=partitions, settings={}, actor="test"
    )
    assert change.done
    return change.name


def under_replicated(shop: Customer) -> int:
    """How many partitions have a copy away; -1 while a broker that is gone is still asked."""
    try:
        return replication_of(shop.tenant).under_replicated
    except Fault:
        return -1


def until(what: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_tenant_s_rates_are_divided_over_the_brokers_and_its_topics_have_three_copies(
    customer: New, shared: SharedCluster
) -> None:
    shop = customer(plan="starter")
    # Any of the three may answer, and hears of the controller's changes a moment later.
    a_third = {PRODUCE_QUOTA: 2_666, CONSUME_QUOTA: 2_666}
    with connect(shared.address) as cluster:
        until(lambda: cluster.quotas(shop.user).get(shop.user) == a_third, seconds=30)
    topic = make_topic(shop)
    assert shop.send(topic, b"an order") is None
    assert shop.receive(topic) == [b"an order"]
    until(lambda: under_replicated(shop) == 0, seconds=60)
    state = replication_of(shop.tenant)
    assert [sorted(each.partition.replicas) for each in state.partitions] == [[1, 2, 3]] * 3
    assert {each.min_in_sync for each in state.partitions} == {2}
    assert (state.under_replicated, state.writes_blocked) == (0, 0)
    # The whole life of a tenant on this cluster, and no difference.
    found = reconcile_clusters(fix=False)
    assert [each for each in found.differences if each.user == shop.user] == []
    Partner("kafkacluster").delete(shop.resource.uuid)
    run_operations(shop.resource)
    with connect(shared.address) as cluster:
        until(lambda: left_of(cluster, shop.tenant) == [], seconds=30)


def test_with_one_broker_away_everything_goes_on_and_the_dashboard_says_so(
    customer: New, brokers: Brokers, shared: SharedCluster, client: Client
) -> None:
    shop = customer(plan="basic-0")
    topic = make_topic(shop)
    assert shop.send(topic, b"before") is None
    assert log_in(client, shop.resource).status_code == 302
    page = reverse("kafkacluster:replication", args=[shop.resource.uuid])
    sample_rates()
    assert "Every copy of every partition is in sync" in client.get(page).content.decode()

    brokers.nodes[2].kill()
    try:
        until(lambda: under_replicated(shop) == 3, seconds=40)
        sample_rates()
        told = client.get(page).content.decode()
        assert "1 of 3 brokers is away" in told
        assert "3 partitions have a copy that is away or behind" in told
        assert "Writes blocked" not in told
        overview = client.get(reverse("kafkacluster:overview", args=[shop.resource.uuid]))
        assert "1 of 3 brokers is away" in overview.content.decode()

        # Producing, consuming, provisioning and removing go on.
        assert shop.send(topic, b"meanwhile") is None
        # Either record may come first: they need not share a partition.
        assert shop.receive(topic, group=f"{shop.tenant.prefix}after") in ([b"before"], [b"meanwhile"])
        newcomer = customer()
        with connect(shared.address) as cluster:
            # Also by the broker that will be back: a smaller share is never exceeded.
            assert cluster.quotas(newcomer.user)[newcomer.user][PRODUCE_QUOTA] == 2_000
        assert newcomer.send(make_topic(newcomer, partitions=1)) is None
        Partner("kafkacluster").delete(newcomer.resource.uuid)
        run_operations(newcomer.resource)
        newcomer.resource.refresh_from_db()
        assert newcomer.resource.state == "deprovisioned"

        # Two away: what is left takes no records, and says it.
        brokers.nodes[1].kill()
        waiting = Partner("kafkacluster").provisioned()
        operation = waiting.operations.get()
        operations.run(operation.pk)
        operation.refresh_from_db()
        assert operation.state == "pending"
        assert operation.last_error
    finally:
        for node in brokers.nodes[1:]:
            if node.pid is None:
                node.launch()
        for node in brokers.nodes[1:]:
            node.wait_ready()
    until(lambda: under_replicated(shop) == 0, seconds=60)
    for _ in range(20):
        operation.refresh_from_db()
        if operation.step == "await access to Heroku":
            break
        operation.next_attempt_at = timezone.now()
        operation.save()
        operations.run(operation.pk)
    assert operation.step == "await access to Heroku"
    sample_rates()
    assert "away" not in client.get(page).content.decode().replace("Away or behind", "")


def test_a_consumer_group_goes_on_while_its_coordinator_changes(customer: New, brokers: Brokers) -> None:
    shop = customer(plan="basic-0")
    topic = make_topic(shop)
    consumer = Consumer(
        shop.client(**{"group.id": f"{shop.tenant.prefix}readers", "auto.offset.reset": "earliest"})
    )
    consumer.subscribe([topic])
    assert shop.send(topic, b"one") is None
    # A broker that has not heard of the topic yet answers with an error first, which the client gets over.
    until(lambda: (found := consumer.poll(1)) is not None and found.value() == b"one", seconds=40)
    consumer.commit(asynchronous=False)
    brokers.nodes[0].stop()
    try:
        assert shop.send(topic, b"two", seconds=20) is None
        until(lambda: (found := consumer.poll(1)) is not None and found.value() == b"two", seconds=40)
    finally:
        brokers.nodes[0].start()
        consumer.close()
