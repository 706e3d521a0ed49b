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
MINUTES = 3
"""A machine that stood still keeps clients from their rates, whatever the broker allows: then one more is looked at.

That no rate is exceeded holds in every minute.
"""


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
            fetch = max(1_024, quota // brokers // 2)
            # A batch is fetched whole, however small the fetch: they are smaller than the fetches are.
            fill(row, topic, partitions=3, size=quota * 75, batch=max(1_000, fetch // 4))
            group = f"{shop.tenant.prefix}readers"
            run = consumer(shop.client(), topic, partitions=3, group=group, fetch=fetch)
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


def fill(row: SharedCluster, topic: str, *, partitions: int, size: int, batch: int) -> None:
    """Put so many bytes into a topic in batches of so many, as the operator, whom no quota holds."""
    address = row.address
    sender = Producer(
        {
            "bootstrap.servers": address.admin_brokers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": address.admin_username,
            "sasl.password": address.admin_password,
            "batch.size": batch,
            "linger.ms": 50,
        }
    )
    value = b"y" * 900
    for number in range(size // len(value)):
        sender.produce(topic, value, partition=number % partitions)
        if number % 1000 == 0:
            sender.poll(0)
            assert sender.flush(60) == 0
    assert sender.flush(60) == 0


def test_every_plan_s_rates_are_kept_to_and_reached_on_one_broker_and_on_three(
    running: Callable[[SharedCluster], list[tuple[Pace, Run]]], three: SharedCluster
) -> None:
    one = SharedCluster.objects.get(from_settings=True)
    runs = [*running(one), *running(three)]
    slow: list[Pace] = []
    for _ in range(MINUTES):
        paces = run_together([(Pace(pace.name, pace.quota), run) for pace, run in runs])
        for pace in paces:
            print(pace)  # noqa: T201 - the numbers, for whoever looks
            assert pace.in_time <= pace.allowed, f"{pace}: {pace.in_time:,} of {pace.allowed:,.0f} bytes"
        slow = [pace for pace in paces if not reaches_its_quota(pace)]
        if not slow:
            break
    assert not slow, f"in none of {MINUTES} minutes: {', '.join(map(str, slow))}"


def reaches_its_quota(pace: Pace) -> bool:
    """A consumer's fetches are as large as its quota lets through at once, so that it waits between them."""
    if pace.name.startswith("produce"):
        return pace.throttled and pace.sustained >= 0.85 * pace.quota
    return pace.sustained >= 0.3 * pace.quota
