"""A plan's rates are what a tenant gets: over a minute, on one broker and on three, all plans in the same minute."""

from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from addon.kafkacluster import topics
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import SharedCluster
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.pace import Pace, Run, consumer, producer, run_together

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
New = Callable[..., Customer]
PRODUCERS = ("free", "starter", "basic-0", "basic-1")
CONSUMERS = ("free", "basic-0")


@pytest.fixture
def running(customer: New, three: SharedCluster) -> Callable[[SharedCluster], list[tuple[Pace, Run]]]:
    """Clients of every plan on a cluster, ready to go."""

    def make(row: SharedCluster) -> list[tuple[Pace, Run]]:
        SharedCluster.objects.update(state="closed")
        SharedCluster.objects.filter(pk=row.pk).update(state="open")
        brokers, runs = row.broker_count, list[tuple[Pace, Run]]()
        for plan in PRODUCERS:
            shop = customer(plan=plan)
            quota = limits_of(shop).produce_bytes_per_second
            name = f"produce, {plan}, {brokers} broker(s)"
            run = producer(shop.client(), topic_of(shop, 3), partitions=3, quota=quota)
            runs.append((Pace(name, quota), run))
        for plan in CONSUMERS:
            shop = customer(plan=plan)
            quota, topic = limits_of(shop).consume_bytes_per_second, topic_of(shop, 3)
            fill(row, topic, partitions=3, size=quota * 75)
            run = consumer(
                shop.client(),
                topic,
                partitions=3,
                group=f"{shop.tenant.prefix}readers",
                fetch=max(1_024, quota // brokers // 2),
            )
            runs.append((Pace(f"consume, {plan}, {brokers} broker(s)", quota), run))
        return runs

    return make


def limits_of(shop: Customer) -> Limits:
    assert shop.resource.plan
    return Limits.of(shop.resource.plan)


def topic_of(shop: Customer, partitions: int) -> str:
    """A topic made as the dashboard does."""
    change = topics.create_topic(
        shop.resource.pk, own_name="orders", partitions=partitions, settings={}, actor="test"
    )
    assert change.done
    return change.name


def fill(row: SharedCluster, topic: str, *, partitions: int, size: int) -> None:
    """Put so many bytes into a topic as the operator, whom no quota holds."""
    address = row.address
    sender = Producer(
        {
            "bootstrap.servers": address.admin_brokers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": address.admin_username,
            "sasl.password": address.admin_password,
            # A batch is fetched whole, however small the fetch: they are as small as the fetches are.
            "batch.size": 1_000,
        }
    )
    value = b"y" * 900
    for number in range(size // len(value)):
        sender.produce(topic, value, partition=number % partitions)
        if number % 1000 == 0:
            sender.poll(0)
            sender.flush(30)
    assert sender.flush(60) == 0


def test_every_plan_s_rates_are_kept_to_and_reached_on_one_broker_and_on_three(
    running: Callable[[SharedCluster], list[tuple[Pace, Run]]], three: SharedCluster
) -> None:
    one = SharedCluster.objects.get(from_settings=True)
    paces = run_together([*running(one), *running(three)])
    for pace in paces:
        print(pace)  # noqa: T201 - the numbers, for whoever looks
    for pace in paces:
        assert pace.in_time <= pace.allowed, f"{pace}: {pace.in_time:,} of {pace.allowed:,.0f} bytes"
        if pace.name.startswith("produce"):
            assert pace.sustained >= 0.85 * pace.quota, pace
            assert pace.throttled, pace
        else:
            assert pace.sustained >= 0.3 * pace.quota, pace
