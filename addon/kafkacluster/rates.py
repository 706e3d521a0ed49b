"""Live rates of every tenant and their history, from the brokers' own metrics.

Each broker's exporter tells, for every user, the byte rates that its quotas are enforced by (a sliding average over the
quota windows, some seconds) and by how much it slows the user down; a tenant's rate is the sum over the brokers. They
are looked at every `SAMPLE_SECONDS` and added up into minutes and hours. A user that sends nothing for an hour is in no
metrics: that is no traffic, not an error. Without exporters the produce rate is estimated from the growth of the logs,
and the consume rate is not known.
"""

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import requests
import structlog
from django.db import connection
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from addon.kafkacluster.cluster import connect
from addon.kafkacluster.models import LiveRate, SharedCluster, Tenant, Throughput
from addon.kafkacluster.topic_rates import keep_topic_rates, read_topic_rates
from provisioning.models import Operation
from provisioning.services import Fault
from provisioning.states import OperationState

log = structlog.get_logger(__name__)

SAMPLE_SECONDS = 10.0
FRESH_SECONDS = 45.0
"""Rates that are older say nothing about now."""

SCRAPE_SECONDS = 2.0
MINUTE, HOUR = 60, 3600
KEPT = {MINUTE: timedelta(days=2), HOUR: timedelta(days=92)}
_SIDES = {"Produce": "produce", "Fetch": "consume"}


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What a user does now: bytes per second, and how long its requests are held back on average, in milliseconds.

    `consume` is None where it is not known.
    """

    produce: float = 0.0
    consume: float | None = 0.0
    produce_throttle_ms: float = 0.0
    consume_throttle_ms: float = 0.0

    @property
    def throttled(self) -> bool:
        """Whether clients are being slowed."""
        return self.produce_throttle_ms > 0 or self.consume_throttle_ms > 0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.throttled and not self.produce and not self.consume


def read_metrics(texts: Iterable[str]) -> dict[str, Rate]:
    """Each user's rate from what the brokers' exporters told: rates add up, the longest delay counts."""
    found: dict[str, Rate] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            if family.name not in ("kafka_user_byte_rate", "kafka_user_throttle_milliseconds"):
                continue
            for sample in family.samples:
                side = _SIDES.get(sample.labels["request"])
                # Kafka tells NaN where nothing happened within the windows.
                if side is None or not math.isfinite(sample.value) or sample.value < 0:
                    continue
                user = sample.labels["user"]
                rate = found.get(user, Rate())
                if family.name == "kafka_user_byte_rate":
                    found[user] = replace(rate, **{side: getattr(rate, side) + sample.value})
                else:
                    name = f"{side}_throttle_ms"
                    found[user] = replace(rate, **{name: max(getattr(rate, name), sample.value)})
    return found


def scrape(urls: Iterable[str]) -> list[str]:
    """What the exporters that answer tell; those that do not are left out."""

    def ask(url: str) -> str | None:
        try:
            answer = requests.get(url, timeout=SCRAPE_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            log.warning("kafka_rates.exporter_away", url=url, error=type(error).__name__)
            return None
        return answer.text

    addresses = list(urls)
    if not addresses:
        return []
    with ThreadPoolExecutor(len(addresses)) as threads:
        return [text for text in threads.map(ask, addresses) if text is not None]


def sample_rates() -> None:
    """Look at every cluster once: which brokers are up, and what each tenant does now."""
    for row in SharedCluster.objects.all():
        _look_at_brokers(row)
        urls = [url.strip() for url in row.metrics_urls.split(",") if url.strip()]
        if texts := scrape(urls):
            keep_topic_rates(row, read_topic_rates(texts))
            keep(row, read_metrics(texts), estimated=False)


def _look_at_brokers(row: SharedCluster) -> None:
    try:
        with connect(row.address) as cluster:
            up = len(cluster.broker_ids())
    except Fault as error:
        log.warning("kafka_rates.cluster_away", cluster=row.name, error=str(error))
        up = 0
    SharedCluster.objects.filter(pk=row.pk).update(brokers_up=up, brokers_seen_at=timezone.now())
    if up > (row.brokers_up or 0):
        _go_on(row)


def _go_on(row: SharedCluster) -> None:
    """Let what waits for this cluster be tried now that a broker is back: the pauses between tries have grown long."""
    waiting = Operation.objects.filter(resource__kafka_tenant__cluster=row, state=OperationState.PENDING)
    waiting.filter(next_attempt_at__gt=timezone.now()).update(next_attempt_at=timezone.now())


def keep(row: SharedCluster, rates: dict[str, Rate], *, estimated: bool) -> None:
    """Keep what the users of a cluster do now, by user name, as their live rates and in their history."""
    now = timezone.now()
    tenants = dict(
        Tenant.objects.filter(cluster=row, removed_at=None, username__in=rates).values_list("username", "pk")
    )
    LiveRate.objects.filter(tenant__cluster=row).exclude(tenant__in=tenants.values()).delete()
    fields = ("at", "produce", "consume", "produce_throttle_ms", "consume_throttle_ms", "estimated")
    LiveRate.objects.bulk_create(
        [
            LiveRate(
                tenant_id=key,
                at=now,
                produce=round(rate.produce),
                consume=None if rate.consume is None else round(rate.consume),
                produce_throttle_ms=round(rate.produce_throttle_ms),
                consume_throttle_ms=round(rate.consume_throttle_ms),
                estimated=estimated,
            )
            for user, rate in rates.items()
            if (key := tenants.get(user)) is not None
        ],
        update_conflicts=True,
        unique_fields=["tenant"],
        update_fields=list(fields),
    )
    _add_up(
        {tenants[user]: rate for user, rate in rates.items() if user in tenants and not rate.is_idle}, now
    )
    SharedCluster.objects.filter(pk=row.pk).update(rates_at=now)


def _add_up(rates: dict[int, Rate], at: datetime) -> None:
    """Add one look into the minute and the hour of each tenant, in one statement."""
    if not rates:
        return
    columns: list[tuple[object, ...]] = []
    for seconds in (MINUTE, HOUR):
        starts_at = datetime.fromtimestamp(at.timestamp() // seconds * seconds, tz=at.tzinfo)
        columns += [
            (tenant, seconds, starts_at, round(rate.produce), round(rate.consume or 0), rate.throttled)
            for tenant, rate in rates.items()
        ]
    tenant, seconds_, starts, produce, consume, throttled = map(list, zip(*columns, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO kafkacluster_throughput AS kept (tenant_id, seconds, starts_at, samples, produce_sum,
                produce_max, consume_sum, consume_max, throttled)
            SELECT tenant, seconds, starts_at, 1, produce, produce, consume, consume, throttled::int
              FROM unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::boolean[])
                   AS seen (tenant, seconds, starts_at, produce, consume, throttled)
            ON CONFLICT (tenant_id, seconds, starts_at) DO UPDATE SET
                samples = kept.samples + 1,
                produce_sum = kept.produce_sum + excluded.produce_sum,
                produce_max = greatest(kept.produce_max, excluded.produce_max),
                consume_sum = kept.consume_sum + excluded.consume_sum,
                consume_max = greatest(kept.consume_max, excluded.consume_max),
                throttled = kept.throttled + excluded.throttled
            """,
            [tenant, seconds_, starts, produce, consume, throttled],
        )


def purge() -> int:
    """Delete the history that is older than what is kept; returns how many rows."""
    now, deleted = timezone.now(), 0
    for seconds, kept in KEPT.items():
        deleted += Throughput.objects.filter(seconds=seconds, starts_at__lt=now - kept).delete()[0]
    return deleted


# --- looking at them ----------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Live:
    """A tenant's rates now, for people. `rate` is None where they are not known, and `at` is then the last time."""

    rate: Rate | None
    at: datetime | None
    estimated: bool = False


def live_rate(tenant: Tenant) -> Live:
    """What the tenant does now, from the last look."""
    seen = tenant.cluster.rates_at
    if not are_known(tenant.cluster):
        return Live(rate=None, at=seen)
    row = LiveRate.objects.filter(tenant=tenant).first()
    if row is None:
        estimated = not tenant.cluster.metrics_urls
        return Live(rate=Rate(consume=None if estimated else 0.0), at=seen, estimated=estimated)
    return Live(
        rate=Rate(
            produce=row.produce,
            consume=row.consume,
            produce_throttle_ms=row.produce_throttle_ms,
            consume_throttle_ms=row.consume_throttle_ms,
        ),
        at=row.at,
        estimated=row.estimated,
    )


def are_known(row: SharedCluster) -> bool:
    """Whether the last look at a cluster's rates is fresh enough to tell what is going on now."""
    # Estimates come with the minute's count.
    fresh_for = FRESH_SECONDS if row.metrics_urls else 3 * MINUTE
    return row.rates_at is not None and (timezone.now() - row.rates_at).total_seconds() <= fresh_for


@dataclass(frozen=True, kw_only=True)
class Point:
    """One stretch of the history: average and highest rates in bytes per second, and how much of it was slowed."""

    starts_at: datetime
    produce: int
    produce_max: int
    consume: int
    consume_max: int
    throttled_percent: int


@dataclass(frozen=True, kw_only=True)
class Range:
    """A length of history and the stretches it is shown in."""

    slug: str
    label: str
    length: timedelta
    kept: int
    step: int


RANGES = (
    Range(slug="hour", label="Hour", length=timedelta(hours=1), kept=MINUTE, step=MINUTE),
    Range(slug="day", label="Day", length=timedelta(days=1), kept=MINUTE, step=10 * MINUTE),
    Range(slug="week", label="Week", length=timedelta(days=7), kept=HOUR, step=HOUR),
    Range(slug="month", label="Month", length=timedelta(days=30), kept=HOUR, step=6 * HOUR),
)


def history(tenant: Tenant, chosen: Range) -> list[Point]:
    """The tenant's rates over a range until now, oldest first, without gaps: a stretch without rows had no traffic.

    A look without traffic leaves no row, so averages count every look that was due in a stretch.
    """
    now = timezone.now()
    last = now.timestamp() // chosen.step * chosen.step
    first = last - chosen.length.total_seconds() + chosen.step
    rows = Throughput.objects.filter(
        tenant=tenant, seconds=chosen.kept, starts_at__gte=datetime.fromtimestamp(first, tz=now.tzinfo)
    )
    stretches: dict[float, list[Throughput]] = {}
    for row in rows:
        stretches.setdefault(row.starts_at.timestamp() // chosen.step * chosen.step, []).append(row)
    return [
        _point(
            datetime.fromtimestamp(start, tz=now.tzinfo),
            stretches.get(start, []),
            seconds=min(chosen.step, max(SAMPLE_SECONDS, now.timestamp() - start)),
        )
        for start in (first + number * chosen.step for number in range(int((last - first) / chosen.step) + 1))
    ]


def _point(starts_at: datetime, rows: list[Throughput], *, seconds: float) -> Point:
    looks = max(seconds / SAMPLE_SECONDS, float(sum(row.samples for row in rows)), 1.0)
    return Point(
        starts_at=starts_at,
        produce=round(sum(row.produce_sum for row in rows) / looks),
        produce_max=max((row.produce_max for row in rows), default=0),
        consume=round(sum(row.consume_sum for row in rows) / looks),
        consume_max=max((row.consume_max for row in rows), default=0),
        throttled_percent=round(100 * sum(row.throttled for row in rows) / looks),
    )
