"""What the services tell comes into the ledger once: requests with their tokens, and the bytes of Kafka's hours."""

import threading
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from addon.inference import feed, rollup
from addon.inference.models import Outcome, UsageEvent
from addon.kafkacluster.models import SharedCluster, Tenant, Throughput
from billing import feeds
from billing.ledger import used_between
from billing.models import UsageFeed, UsageRecord
from provisioning.catalogue import sync_plans
from provisioning.models import Resource
from provisioning.services import AddonService, UsageBatch, all_services
from tests.support.partner import Partner, at_once

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def caller(plans: None) -> Resource:
    return Partner("inference").provisioned()


@pytest.fixture
def at_once_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the seconds that are given to clocks that step."""
    monkeypatch.setattr(feed, "KNOWN_UNTIL", rollup.KNOWN_UNTIL.replace("'5 seconds'", "'0 seconds'"))


def values(resource: Resource, *, tokens: int) -> dict[str, Any]:
    """The columns of an answer of now."""
    return {
        "id": uuid.uuid4(),
        "resource": resource,
        "at": timezone.now(),
        "model": "nova-lite",
        "region": "us",
        "input_tokens": tokens,
        "output_tokens": 2 * tokens,
        "outcome": Outcome.COMPLETE,
        "first_milliseconds": 1,
        "milliseconds": 2,
    }


def answered(resource: Resource, *, tokens: int = 10, age: float = 60, **fields: Any) -> UsageEvent:
    """An answer `age` seconds ago, written then."""
    at = timezone.now() - timedelta(seconds=age)
    return UsageEvent.objects.create(
        **{**values(resource, tokens=tokens), "at": at, "recorded_at": at, **fields}
    )


def total(resource: Resource) -> dict[str, int]:
    now = timezone.now()
    found = used_between([resource.pk], begin=now - timedelta(days=100), end=now + HOUR)
    return {unit: quantity for (_, unit), quantity in found.items()}


def collect(slug: str) -> int | None:
    return feeds.collect_service(all_services()[slug])


def test_tokens_and_search_units_of_every_answer_come_once(caller: Resource) -> None:
    for number in range(1, 6):
        answered(caller, tokens=number)
    answered(caller, tokens=0, model="cohere-rerank-3-5", search_units=7)
    assert collect("inference") == 11
    assert collect("inference") == 0
    assert total(caller) == {"input_tokens": 15, "output_tokens": 30, "search_units": 7}


def test_batches_follow_each_other_until_everything_is_read(
    caller: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "READ_MOST", 6)
    for number in range(20):
        answered(caller, tokens=1, age=100 + number // 4)
    assert collect("inference") == 40
    assert total(caller) == {"input_tokens": 20, "output_tokens": 40}


def test_an_answer_thought_interrupted_is_corrected_when_the_truth_is_known(
    caller: Resource, at_once_known: None
) -> None:
    event = answered(caller, tokens=50, outcome=Outcome.INTERRUPTED, estimated=True, streamed=True)
    collect("inference")
    UsageEvent.objects.filter(pk=event.pk).update(output_tokens=0, outcome=Outcome.COMPLETE)
    assert collect("inference") == 1
    assert total(caller) == {"input_tokens": 50, "output_tokens": 0}


def test_the_bytes_of_each_hour_that_is_over_come_once(plans: None) -> None:
    tenant = kafka_tenant()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for back, looks in ((0, 9_000), (1, 700), (3, 50), (60, 3)):
        passing(tenant, hour - back * HOUR, produce=looks, consume=2 * looks)
    before = UsageRecord.objects.count()
    collect("kafkacluster")
    over = 700 if timezone.now() - hour >= timedelta(minutes=2) else 0
    assert total(tenant.resource) == {
        "bytes_in": 10 * (53 + over),
        "bytes_out": 20 * (53 + over),
    }
    assert collect("kafkacluster") == 0
    # A look that came late makes its hour be told anew, and only the difference is written.
    Throughput.objects.filter(starts_at=hour - 3 * HOUR).update(produce_sum=55)
    UsageFeed.objects.update(mark=(hour - 2 * HOUR).isoformat())
    assert collect("kafkacluster") == 1
    assert total(tenant.resource)["bytes_in"] == 10 * (58 + over)
    assert UsageRecord.objects.count() > before


def test_estimated_rates_count_for_the_minute_between_two_looks(plans: None) -> None:
    tenant = kafka_tenant(metrics_urls="")
    passing(
        tenant, timezone.now().replace(minute=0, second=0, microsecond=0) - 5 * HOUR, produce=4, consume=0
    )
    collect("kafkacluster")
    assert total(tenant.resource) == {"bytes_in": 240}


def kafka_tenant(metrics_urls: str = "http://metrics.invalid") -> Tenant:
    resource = Partner("kafkacluster").provisioned()
    name = uuid.uuid4().hex[:12]
    cluster = SharedCluster.objects.create(
        name=f"feed-{name}",
        regions=["us"],
        brokers="b:1",
        admin_brokers="b:2",
        metrics_urls=metrics_urls,
        capacity_bytes_per_second=1,
        capacity_stored_bytes=1,
    )
    return Tenant.objects.create(resource=resource, cluster=cluster, username=name, prefix=f"{name}.")


def passing(tenant: Tenant, starts_at: datetime, *, produce: int, consume: int) -> None:
    Throughput.objects.create(
        tenant=tenant,
        seconds=3600,
        starts_at=starts_at,
        samples=1,
        produce_sum=produce,
        produce_max=produce,
        consume_sum=consume,
        consume_max=consume,
        throttled=0,
    )


def test_a_service_that_fails_holds_up_no_other_and_loses_nothing(
    caller: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(caller)

    def broken(self: AddonService, *, since: str, most: int) -> UsageBatch:
        raise ValueError("planted")

    kafka = all_services()["kafkacluster"]
    monkeypatch.setattr(type(kafka), "read_usage", broken)
    assert feeds.collect_usage().records == {"inference": 2, "kafkacluster": 0}
    assert UsageFeed.objects.get(source="kafkacluster").mark == ""


@pytest.mark.django_db(transaction=True)
def test_two_collectors_at_once_read_a_feed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sync_plans(all_services().values())
    caller = Partner("inference").provisioned()
    for number in range(30):
        answered(caller, tokens=1, age=60 + number)
    found = at_once([lambda: collect("inference")] * 4)
    assert sum(number or 0 for number in found) == 60
    assert total(caller) == {"input_tokens": 30, "output_tokens": 60}


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_is_not_committed_yet_is_not_passed_over(at_once_known: None) -> None:
    sync_plans(all_services().values())
    caller = Partner("inference").provisioned()
    written, looked = threading.Event(), threading.Event()

    def slow_commit() -> None:
        with transaction.atomic():
            UsageEvent.objects.create(**values(caller, tokens=1))
            written.set()
            assert looked.wait(30)

    def look() -> None:
        assert written.wait(30)
        UsageEvent.objects.create(**values(caller, tokens=1))
        try:
            assert collect("inference") == 0
        finally:
            looked.set()

    at_once([slow_commit, look])
    assert collect("inference") == 4
    assert total(caller)["input_tokens"] == 2
