"""What billing reads of the tenants' rates: bytes in and out of each hour that is over.

A rate is looked at every `SAMPLE_SECONDS` (every minute where it is estimated from the logs' growth), so an hour's
bytes are the sum of its looks times that: what the brokers enforce quotas by, not a count of single messages.
"""

import uuid
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from addon.kafkacluster.models import Throughput
from addon.kafkacluster.rates import HOUR, MINUTE, SAMPLE_SECONDS
from provisioning.limits import limits_of
from provisioning.models import Resource
from provisioning.services import Meter, UsageBatch, UsageReading, UsageUnit

UNITS = (UsageUnit("bytes_in", "Bytes in", "bytes"), UsageUnit("bytes_out", "Bytes out", "bytes"))
SETTLED = timedelta(minutes=2)
"""After its end an hour may still get a look that was under way."""

LOOKED_BACK = timedelta(hours=2)
"""Hours before the mark that are told again: a look that came later than that still counts."""

AT_ONCE = timedelta(hours=24)
_EVENTS = uuid.UUID("0ce8d1ab-4f52-4c1f-9d0b-6f0f1a0f7f36")
_HOUR = timedelta(hours=1)


def read_usage(*, since: str) -> UsageBatch:
    """The hours that ended after the mark, those of a day at once; the mark is the last hour's beginning."""
    last = (timezone.now() - _HOUR - SETTLED).replace(minute=0, second=0, microsecond=0)
    hours = Throughput.objects.filter(seconds=HOUR, starts_at__lte=last)
    if since:
        begin = datetime.fromisoformat(since) - LOOKED_BACK
    else:
        first = hours.order_by("starts_at").first()
        if first is None:
            return UsageBatch((), since)
        begin = first.starts_at
    upper = min(last, begin + AT_ONCE)
    readings = []
    rows = hours.filter(starts_at__gte=begin, starts_at__lte=upper).select_related("tenant__cluster")
    for row in rows.order_by("starts_at", "tenant_id"):
        seconds = SAMPLE_SECONDS if row.tenant.cluster.metrics_urls else MINUTE
        event = uuid.uuid5(_EVENTS, f"{row.tenant_id}:{row.starts_at.isoformat()}")
        readings += [
            UsageReading(event, row.tenant.resource_id, row.starts_at, unit.name, round(total * seconds))
            for unit, total in zip(UNITS, (row.produce_sum, row.consume_sum), strict=True)
            if total
        ]
    return UsageBatch(readings, upper.isoformat(), more=upper < last)


def usage_peaks(resource: Resource, *, since: datetime) -> list[Meter]:
    """The highest rates of a look since a moment, by whole hours."""
    limits = limits_of(resource)
    begin = since.replace(minute=0, second=0, microsecond=0)
    peaks = Throughput.objects.filter(
        tenant__resource=resource, seconds=HOUR, starts_at__gte=begin
    ).aggregate(produce=Max("produce_max"), consume=Max("consume_max"))
    return [
        Meter(f"{label} rate at its highest", limits[key], "bytes/s", used=peaks[name] or 0, key=key)
        for key, name, label in (
            ("produce_bytes_per_second", "produce", "Produce"),
            ("consume_bytes_per_second", "consume", "Consume"),
        )
        if key in limits
    ]
