"""Rates now and before, as the brokers themselves measure and enforce them, told in words when clients are slowed."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from confluent_kafka import Consumer, Producer
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from addon.kafkacluster import rates
from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.cluster_views import recommended_settings
from addon.kafkacluster.config import kafka_environment
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import LiveRate, LiveTopicRate, SharedCluster, Tenant, Throughput
from addon.kafkacluster.rates import RANGES, Rate, history, keep, live_rate, read_metrics, sample_rates
from addon.kafkacluster.topic_pages import list_topics
from addon.kafkacluster.topic_rates import TopicRate, keep_topic_rates, read_topic_rates
from addon.kafkacluster.usage import count_usage
from provisioning import operations
from provisioning.services import PlanSpec, all_services, service_of
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.test_topics import make
from tests.support.partner import Partner, run_operations
from tests.support.sso import log_in

pytestmark = pytest.mark.django_db
New = Callable[..., Customer]
HOUR_RANGE, DAY_RANGE, WEEK_RANGE, MONTH_RANGE = RANGES
TOLD = """\
# TYPE kafka_user_byte_rate gauge
kafka_user_byte_rate{{request="Produce",user="t1"}} {produce}
kafka_user_byte_rate{{request="Fetch",user="t1"}} 500.5
kafka_user_byte_rate{{request="Request",user="t1"}} 7
# TYPE kafka_user_throttle_milliseconds gauge
kafka_user_throttle_milliseconds{{request="Produce",user="t1"}} {throttle}
kafka_user_throttle_milliseconds{{request="Fetch",user="t1"}} NaN
# TYPE kafka_topic_byte_rate gauge
kafka_topic_byte_rate{{direction="In",topic="t1.orders"}} 12.5
kafka_topic_byte_rate{{direction="Out",topic="t1.orders"}} NaN
kafka_topic_byte_rate{{direction="Out",topic="t1.clicks"}} 0.3
kafka_topic_byte_rate{{direction="Sideways",topic="t1.orders"}} 7
"""


def test_a_user_s_rates_add_up_over_the_brokers_and_the_longest_delay_counts() -> None:
    texts = [TOLD.format(produce=1000, throttle=20), TOLD.format(produce=2000.25, throttle="NaN")]
    assert read_metrics(texts) == {
        "t1": Rate(produce=3000.25, consume=1001.0, produce_throttle_ms=20, consume_throttle_ms=0)
    }
    assert read_metrics(texts)["t1"].throttled
    assert not read_metrics(texts[1:])["t1"].throttled
    assert read_metrics([]) == {}


def test_a_topic_s_rates_add_up_over_the_brokers_and_one_that_fades_has_no_traffic() -> None:
    text = TOLD.format(produce=1, throttle=1)
    assert read_topic_rates([text, text]) == {"t1.orders": TopicRate(produce=25.0, consume=0.0)}
    assert read_topic_rates([]) == {}


def test_the_brokers_own_metrics_tell_what_a_client_does_and_that_it_is_slowed(
    customer: New, client: Client
) -> None:
    shop, quiet = customer(plan="starter"), customer()
    topic, unused = make(shop), make(shop, "unused")
    producer = Producer(shop.client(**{"batch.size": 4000, "compression.type": "none"}))
    for _ in range(200):
        producer.produce(topic, b"x" * 500)
    deadline = time.monotonic() + 40
    live = live_rate(shop.tenant)
    while time.monotonic() < deadline and not (
        live.rate and live.rate.throttled and LiveTopicRate.objects.exists()
    ):
        producer.poll(0.2)
        sample_rates()
        live = live_rate(Tenant.objects.select_related("cluster").get(pk=shop.tenant.pk))
    producer.purge()
    producer.flush(0)
    assert live.rate
    assert live.rate.produce_throttle_ms > 0
    # The very number that the broker enforces: a burst fills the window, and never more than twice over.
    assert 4_000 < live.rate.produce < 40_000
    assert live.rate.consume == 0
    assert not live.estimated
    idle = live_rate(Tenant.objects.select_related("cluster").get(pk=quiet.tenant.pk))
    assert idle.rate == Rate()
    assert Throughput.objects.filter(tenant=shop.tenant, seconds=60, throttled__gte=1).exists()
    meters = {meter.label: meter.used for meter in service_of(shop.resource).usage_summary(shop.resource)}
    assert meters["Produce"] == round(live.rate.produce)
    assert SharedCluster.objects.get().brokers_up == 1

    seen = {view.row.name: view.rate for view in list_topics(Tenant.objects.get(pk=shop.tenant.pk))}
    assert seen[unused] == TopicRate()
    busy = seen[topic]
    assert busy
    assert (busy.produce > 100, busy.consume) == (True, 0)
    assert log_in(client, shop.resource).status_code == 302
    page = reverse("kafkacluster:topics", args=[shop.resource.uuid])
    told = client.get(page).content.decode()
    assert "0 B/s out" in told
    assert told.count("no traffic") == 1
    SharedCluster.objects.update(rates_at=timezone.now() - timedelta(minutes=5))
    told = client.get(page).content.decode()
    assert "no traffic" not in told
    assert told.count('<span class="muted">not known</span>') == 2


def test_a_topic_s_rate_that_is_over_or_of_nobody_s_is_not_kept(customer: New) -> None:
    shop = customer()
    topic, row = make(shop), shop.tenant.cluster
    keep_topic_rates(row, {topic: TopicRate(produce=9), "somebody.s": TopicRate(produce=9)})
    keep_topic_rates(row, {topic: TopicRate(produce=8.4, consume=3)})
    kept = LiveTopicRate.objects.get()
    assert (kept.topic.name, kept.produce, kept.consume) == (topic, 8, 3)
    keep_topic_rates(row, {})
    assert not LiveTopicRate.objects.exists()


def test_what_waits_for_a_cluster_is_tried_as_soon_as_a_broker_is_back(
    plans: None, broker_away: Callable[[bool], None]
) -> None:
    resource = Partner("kafkacluster").provisioned()
    operation = resource.operations.get()
    broker_away(True)
    operations.run(operation.pk)
    later = timezone.now() + timedelta(minutes=5)
    resource.operations.update(next_attempt_at=later)
    for _ in range(2):
        sample_rates()
        assert resource.operations.get().next_attempt_at == later
    broker_away(False)
    sample_rates()
    assert resource.operations.get().next_attempt_at <= timezone.now()
    # Not again and again while it is up: then something else is wrong.
    resource.operations.update(next_attempt_at=later)
    sample_rates()
    assert resource.operations.get().next_attempt_at == later


@pytest.fixture
def hanging_exporter() -> Iterator[str]:
    """The address of an exporter that answers with an error."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()


def test_exporters_that_do_not_answer_leave_the_rates_unknown_not_zero(
    customer: New, hanging_exporter: str
) -> None:
    shop = customer()
    SharedCluster.objects.update(metrics_urls=f"{hanging_exporter},http://127.0.0.1:1/metrics")
    sample_rates()
    live = live_rate(Tenant.objects.select_related("cluster").get(pk=shop.tenant.pk))
    assert (live.rate, live.at) == (None, None)
    assert {
        m.used for m in service_of(shop.resource).usage_summary(shop.resource) if m.unit == "bytes/s"
    } == {None}
    SharedCluster.objects.update(rates_at=timezone.now() - timedelta(seconds=rates.FRESH_SECONDS + 1))
    live = live_rate(Tenant.objects.select_related("cluster").get(pk=shop.tenant.pk))
    assert live.rate is None
    assert live.at is not None


def test_one_broker_s_exporter_that_is_away_leaves_the_others(hanging_exporter: str) -> None:
    own = kafka_environment().metrics_urls
    assert len(rates.scrape([own, hanging_exporter])) == 1
    assert "jmx_scrape_error 0.0" in requests.get(own, timeout=5).text


def test_without_exporters_the_produce_rate_is_an_estimate_and_the_consume_rate_unknown(
    customer: New, cluster: Cluster
) -> None:
    shop = customer(plan="basic-0")
    topic = shop.topic(cluster)
    SharedCluster.objects.update(metrics_urls="")
    count_usage()
    Tenant.objects.update(usage_at=timezone.now() - timedelta(seconds=10))
    for _ in range(3):
        assert shop.send(topic, b"x" * 10_000) is None
    count_usage()
    live = live_rate(Tenant.objects.select_related("cluster").get(pk=shop.tenant.pk))
    assert live.estimated
    assert live.rate
    assert 2_000 < live.rate.produce < 3_500
    assert live.rate.consume is None
    # What retention or a purge took away is no negative rate.
    Tenant.objects.update(usage_at=timezone.now() - timedelta(seconds=10), stored_bytes=10**9)
    count_usage()
    live = live_rate(Tenant.objects.select_related("cluster").get(pk=shop.tenant.pk))
    assert live.rate
    assert live.rate.produce == 0


NOON = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)


def test_looks_are_added_up_into_minutes_and_hours_without_gaps(
    customer: New, clock: Callable[[datetime], None]
) -> None:
    shop = customer()
    user, row = shop.user, shop.tenant.cluster
    for minutes, produce, throttle in ((0, 600, 0), (0, 1200, 5), (1, 6000, 0), (90, 60, 0)):
        clock(NOON - timedelta(minutes=minutes))
        keep(row, {user: Rate(produce=produce, consume=10, produce_throttle_ms=throttle)}, estimated=False)
    # Nothing to tell leaves no row.
    keep(row, {user: Rate()}, estimated=False)
    assert Throughput.objects.filter(tenant=shop.tenant, seconds=60).count() == 3
    clock(NOON + timedelta(seconds=50))
    points = history(shop.tenant, HOUR_RANGE)
    assert len(points) == 60
    assert points[-1].starts_at == NOON.replace(second=0)
    # Two looks in a minute of which 55 seconds are over: the others saw nothing.
    assert (points[-1].produce_max, points[-1].produce) == (1200, round(1800 / 5.5))
    assert points[-1].throttled_percent == round(100 / 5.5)
    assert (points[-2].produce_max, points[-2].produce) == (6000, 1000)
    assert {point.produce_max for point in points[:-2]} == {0}
    assert [len(history(shop.tenant, each)) for each in RANGES] == [60, 144, 168, 120]
    assert max(point.produce_max for point in history(shop.tenant, WEEK_RANGE)) == 6000
    assert sum(point.produce_max > 0 for point in history(shop.tenant, DAY_RANGE)) == 3
    assert history(shop.tenant, MONTH_RANGE)[-1].consume_max == 10


def test_old_history_goes_and_a_removed_tenant_s_goes_with_it(
    customer: New, clock: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, now = customer(), timezone.now
    for age in (timedelta(days=100), timedelta(days=3), timedelta()):
        clock(now() - age)
        keep(shop.tenant.cluster, {shop.user: Rate(produce=1)}, estimated=False)
    assert rates.purge() == 3
    assert sorted(Throughput.objects.values_list("seconds", flat=True)) == [60, 3600, 3600]
    monkeypatch.setattr(timezone, "now", now)
    Partner("kafkacluster").delete(shop.resource.uuid)
    run_operations(shop.resource)
    assert not Throughput.objects.exists()
    assert not LiveRate.objects.exists()


def test_a_user_that_is_no_tenant_of_this_cluster_is_not_kept(customer: New) -> None:
    shop = customer()
    keep(shop.tenant.cluster, {"somebody": Rate(produce=9), shop.user: Rate(produce=8)}, estimated=False)
    assert LiveRate.objects.get().produce == 8
    keep(shop.tenant.cluster, {}, estimated=False)
    assert not LiveRate.objects.exists()


def test_the_quotas_page_tells_what_is_known_in_words(customer: New, client: Client) -> None:
    shop = customer(plan="starter")
    assert log_in(client, shop.resource).status_code == 302
    page = reverse("kafkacluster:quotas", args=[shop.resource.uuid])
    fragment = reverse("kafkacluster:live", args=[shop.resource.uuid])
    assert "The rates are not known at the moment" in client.get(page).content.decode()
    row = shop.tenant.cluster
    keep(row, {}, estimated=False)
    assert "0 B/s of 8 kB/s" in client.get(fragment).content.decode()
    rate = Rate(produce=8_000, consume=4_000, produce_throttle_ms=1_500)
    keep(row, {shop.user: rate}, estimated=False)
    for address in (page, fragment):
        told = client.get(address, {"range": "week"}).content.decode()
        assert "8 kB/s of 8 kB/s" in told
        assert told.count("Clients are being slowed, nothing is lost.") == 1
        assert "holds each produce request back for 1.5 s on average" in told
    assert "No traffic in the last" not in client.get(page).content.decode()
    SharedCluster.objects.update(metrics_urls="")
    keep(row, {shop.user: Rate(produce=10, consume=None)}, estimated=True)
    told = client.get(fragment).content.decode()
    assert "<strong>Estimated</strong> from how fast your stored data grows" in told
    assert "Not known: this cluster has no metrics of what is consumed" in told


@pytest.mark.parametrize("plan", all_services()["kafkacluster"].plans, ids=lambda plan: plan.slug)
def test_a_client_takes_the_settings_that_are_recommended_for_each_plan(plan: PlanSpec) -> None:
    settings = dict(recommended_settings(Limits.read(plan.limits)))
    numbers = {name: value.split(" ")[0] for name, value in settings.items()}
    producing = ("batch.size", "linger.ms", "delivery.timeout.ms")
    Producer({name: numbers[name] for name in producing})
    consuming = {name: value for name, value in numbers.items() if name not in producing}
    Consumer({"group.id": "any", **consuming}).close()
