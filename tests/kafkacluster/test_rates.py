"""The plan's rate is what a tenant gets, measured with a client that sends as fast as it may."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from addon.kafkacluster.cluster import Cluster
from tests.kafkacluster.conftest import Customer

pytestmark = pytest.mark.django_db

SECONDS = 25.0
WINDOW_SECONDS = 5.0
"""The local broker's quota window: what may be sent at once before the first delay."""

VALUE = b"x" * 500
BATCH_BYTES = 4_000


def test_a_producer_stays_within_its_plan_and_reaches_most_of_it(
    customer: Callable[..., Customer], cluster: Cluster
) -> None:
    shop = customer(plan="starter")
    quota = 8_000
    topic = shop.topic(cluster)
    delivered: list[tuple[float, int]] = []
    over = False
    throttled: list[float] = []
    producer = Producer(
        shop.client(
            **{
                "batch.size": BATCH_BYTES,
                "linger.ms": 50,
                "compression.type": "none",
                "throttle_cb": lambda event: throttled.append(event.throttle_time),
            }
        )
    )
    began = time.monotonic()

    def report(error: object, message: object) -> None:
        assert error is None or over
        delivered.append((time.monotonic() - began, len(VALUE)))

    while time.monotonic() - began < SECONDS:
        if len(producer) < 40:
            producer.produce(topic, VALUE, on_delivery=report)
        producer.poll(0 if len(producer) < 40 else 0.05)
    over = True
    in_time = sum(size for at, size in delivered if at <= SECONDS)
    # What is still waiting for its turn is no longer wanted.
    producer.purge()
    producer.flush(0)
    assert in_time <= quota * (SECONDS + WINDOW_SECONDS)
    assert in_time >= 0.85 * quota * (SECONDS - WINDOW_SECONDS)
    # Once the burst is paid for, the rate itself is the plan's.
    later = sum(size for at, size in delivered if 2 * WINDOW_SECONDS <= at <= SECONDS)
    assert later <= quota * (SECONDS - 2 * WINDOW_SECONDS) * 1.1 + BATCH_BYTES
    assert max(throttled) > 0
