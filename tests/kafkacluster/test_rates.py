"""A plan's rates are what a tenant gets: over a minute, on one broker and on three, all plans in the same minute.

The minute is mostly waiting, so the first test here begins it, the others of this service run meanwhile, and the last
one looks at it; `conftest.py` orders them.
"""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from addon.kafkacluster import topics
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import SharedCluster
from tests.kafkacluster.conftest import Customer, operator_client
from tests.kafkacluster.pace import Minute, Pace, Runner

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
New = Callable[..., Customer]
PRODUCERS = ("free", "starter", "basic-0", "basic-1")
CONSUMERS = ("free", "basic-0")
MINUTES = 3
"""A machine that stood still keeps clients from their rates, whatever the broker allows: those get another minute.

That no rate is exceeded holds in every minute.
"""


class Measure:
    """The clients of every plan, and their first minute once it has begun."""

    def __init__(self) -> None:
        self.runners: list[Runner] = []
        self.first: Minute | None = None

    def begin(self, runners: Callable[[], list[Runner]]) -> None:
        """Let the first minute begin, unless it has."""
        if self.first is None:
            self.runners = runners()
            self.first = Minute(self.runners)


@pytest.fixture(scope="session")
def measure() -> Iterator[Measure]:
    """The one measure of a run."""
    made = Measure()
    yield made
    if made.first:
        made.first.end()


@pytest.fixture
def begun(customer: New, three: SharedCluster, measure: Measure) -> Measure:
    """The measure, begun: its tenants outlive the test on the brokers, which is all that their clients need."""
    one = SharedCluster.objects.get(from_settings=True)
    measure.begin(lambda: [*runners_on(one, customer), *runners_on(three, customer)])
    return measure


def runners_on(row: SharedCluster, customer: New) -> list[Runner]:
    """Clients of every plan on a cluster, ready to go."""
    SharedCluster.objects.update(state="closed")
    SharedCluster.objects.filter(pk=row.pk).update(state="open")
    brokers, runners = row.broker_count, list[Runner]()
    for plan in PRODUCERS:
        shop = customer(plan=plan)
        runners.append(
            Runner(
                name=f"produce, {plan}, {brokers} broker(s)",
                kind="produce",
                login=shop.client(),
                topic=topic_of(shop, 3),
                partitions=3,
                quota=limits_of(shop).produce_bytes_per_second,
            )
        )
    for plan in CONSUMERS:
        shop = customer(plan=plan)
        quota, topic = limits_of(shop).consume_bytes_per_second, topic_of(shop, 3)
        fetch = max(1_024, quota // brokers // 2)
        # A batch is fetched whole, however small the fetch: they are smaller than the fetches are.
        fill(row, topic, partitions=3, size=quota * 75, batch=max(1_000, fetch // 4))
        runners.append(
            Runner(
                name=f"consume, {plan}, {brokers} broker(s)",
                kind="consume",
                login=shop.client(),
                topic=topic,
                partitions=3,
                quota=quota,
                group=f"{shop.tenant.prefix}readers",
                fetch=fetch,
            )
        )
    return runners


def limits_of(shop: Customer) -> Limits:
    assert shop.resource.plan
    return Limits.of(shop.resource)


def topic_of(shop: Customer, partitions: int) -> str:
    """A topic made as the dashboard does."""
    change = topics.create_topic(
        shop.resource.pk, own_name="orders", partitions=partitions, settings={}, actor="test"
    )
    assert change.done
    return change.name


def fill(row: SharedCluster, topic: str, *, partitions: int, size: int, batch: int) -> None:
    """Put so many bytes into a topic in batches of so many, as the operator, whom no quota holds."""
    sender = Producer({**operator_client(row.address), "batch.size": batch, "linger.ms": 50})
    value = b"y" * 900
    for number in range(size // len(value)):
        sender.produce(topic, value, partition=number % partitions)
        if number % 1000 == 0:
            sender.poll(0)
            assert sender.flush(60) == 0
    assert sender.flush(60) == 0


def test_clients_of_every_plan_begin_to_produce_and_consume(begun: Measure) -> None:
    assert len(begun.runners) == 2 * (len(PRODUCERS) + len(CONSUMERS))


def test_every_plan_s_rates_are_kept_to_and_reached_on_one_broker_and_on_three(begun: Measure) -> None:
    assert begun.first
    paces = begun.first.paces()
    for left in range(MINUTES, 0, -1):
        for pace in paces:
            print(pace)  # noqa: T201 - the numbers, for whoever looks
            assert pace.in_time <= pace.allowed, f"{pace}: {pace.in_time:,} of {pace.allowed:,.0f} bytes"
        slow = {pace.name for pace in paces if not reaches_its_quota(pace)}
        if not slow:
            return
        assert left > 1, f"in none of {MINUTES} minutes: {', '.join(str(p) for p in paces if p.name in slow)}"
        again = Minute([runner for runner in begun.runners if runner.name in slow])
        try:
            paces = again.paces()
        finally:
            again.end()


def reaches_its_quota(pace: Pace) -> bool:
    """A consumer's fetches are as large as its quota lets through at once, so that it waits between them."""
    if pace.name.startswith("produce"):
        return pace.throttled and pace.sustained >= 0.85 * pace.quota
    return pace.sustained >= 0.3 * pace.quota
