"""Rows as the gateway writes them, and what they amount to, worked out without the code under test."""

import random
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from addon.inference.latency import BOUNDS, BUCKETS
from addon.inference.models import Outcome, Period, RequestFailure, UsageEvent, UsageTotal
from provisioning.models import Resource
from tests.provisioning.conftest import plans
from tests.support.partner import Partner

__all__ = ["plans"]

COLUMNS = (
    *("requests", "hung_up", "broken", "refused", "limited", "failed"),
    *("input_tokens", "output_tokens", "cached_tokens", "search_units", "peak_requests", "peak_tokens"),
)
Key = tuple[int, str, datetime, str]


@pytest.fixture
def resource(plans: None) -> Resource:
    """A provisioned chat resource."""
    return Partner("inference").provisioned(plan="nova-lite")


@pytest.fixture
def other(plans: None) -> Resource:
    """Another one, of another model."""
    return Partner("inference").provisioned(plan="nova-pro")


def event(resource: Resource, at: datetime, **fields: Any) -> UsageEvent:
    """A row of one answer, not yet stored."""
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "resource": resource,
        "at": at,
        "model": "nova-lite",
        "region": "us",
        "input_tokens": 10,
        "output_tokens": 5,
        "outcome": Outcome.COMPLETE,
        "first_milliseconds": 20,
        "milliseconds": 100,
    }
    return UsageEvent(**{**values, **fields})


def failure(resource: Resource, at: datetime, **fields: Any) -> RequestFailure:
    """A row of one error, not yet stored."""
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "resource": resource,
        "at": at,
        "model": "nova-lite",
        "status": 429,
        "code": "rate_limit_exceeded",
        "milliseconds": 1,
    }
    return RequestFailure(**{**values, **fields})


@pytest.fixture
def record() -> Callable[..., None]:
    """Store rows of both kinds, as the gateway does: with the database's own time of recording."""

    def store(*rows: UsageEvent | RequestFailure) -> None:
        UsageEvent.objects.bulk_create([row for row in rows if isinstance(row, UsageEvent)])
        RequestFailure.objects.bulk_create([row for row in rows if isinstance(row, RequestFailure)])

    return store


def some_rows(
    resources: list[Resource], *, number: int, since: datetime, length: timedelta, seed: int
) -> list[UsageEvent | RequestFailure]:
    """Rows of every kind at random times."""
    chance = random.Random(seed)
    rows: list[UsageEvent | RequestFailure] = []
    for _ in range(number):
        resource = chance.choice(resources)
        at = since + chance.random() * length
        if chance.random() < 0.2:
            status = chance.choice([400, 404, 429, 500, 503])
            rows.append(failure(resource, at, status=status, repeats=chance.randint(1, 3)))
            continue
        first = int(chance.lognormvariate(5, 2))
        rows.append(
            event(
                resource,
                at,
                model=chance.choice(["nova-lite", "nova-pro"]),
                outcome=chance.choice(list(Outcome)),
                input_tokens=chance.randint(0, 5000),
                output_tokens=chance.randint(0, 900),
                cached_tokens=chance.randint(0, 50),
                search_units=chance.randint(0, 2),
                streamed=chance.random() < 0.5,
                first_milliseconds=first,
                milliseconds=first + int(chance.lognormvariate(6, 2)),
            )
        )
    return rows


def counted() -> dict[Key, dict[str, Any]]:
    """What the stored rows amount to in every period."""
    minutes: dict[Key, dict[str, Any]] = defaultdict(empty)
    for row in UsageEvent.objects.all():
        start = row.at.astimezone(UTC).replace(second=0, microsecond=0)
        one = minutes[row.resource_id, "minute", start, row.model]
        one["requests"] += 1
        one["hung_up"] += row.outcome == Outcome.HUNG_UP
        one["broken"] += row.outcome in (Outcome.FAILED, Outcome.INTERRUPTED)
        for name in ("input_tokens", "output_tokens", "cached_tokens", "search_units"):
            one[name] += getattr(row, name)
        one["durations"][bucket(row.milliseconds)] += 1
        if row.streamed:
            one["first_bytes"][bucket(row.first_milliseconds)] += 1
    for error in RequestFailure.objects.all():
        start = error.at.astimezone(UTC).replace(second=0, microsecond=0)
        one = minutes[error.resource_id, "minute", start, error.model]
        kind = "limited" if error.status == 429 else "failed" if error.status >= 500 else "refused"
        one[kind] += error.repeats
    for one in minutes.values():
        one["peak_requests"] = one["requests"]
        one["peak_tokens"] = one["input_tokens"] + one["output_tokens"]
    found = dict(minutes)
    for period in ("hour", "day"):
        sums: dict[Key, dict[str, Any]] = defaultdict(empty)
        for (resource_id, _, start, model), one in minutes.items():
            begin = start.replace(minute=0) if period == "hour" else start.replace(minute=0, hour=0)
            total = sums[resource_id, period, begin, model]
            for name in COLUMNS:
                add = max if name.startswith("peak") else int.__add__
                total[name] = add(total[name], one[name])
            for name in ("durations", "first_bytes"):
                total[name] = [a + b for a, b in zip(total[name], one[name], strict=True)]
        found |= sums
    return found


def stored() -> dict[Key, dict[str, Any]]:
    """The totals as they are stored."""
    names = (*COLUMNS, "durations", "first_bytes")
    return {
        (row.resource_id, row.period, row.start, row.model): {name: getattr(row, name) for name in names}
        for row in UsageTotal.objects.all()
    }


def empty() -> dict[str, Any]:
    """A total of nothing."""
    return {**dict.fromkeys(COLUMNS, 0), "durations": [0] * BUCKETS, "first_bytes": [0] * BUCKETS}


def bucket(milliseconds: int) -> int:
    """The bucket of a time."""
    return sum(milliseconds >= bound for bound in BOUNDS)


def requests_in(period: Period) -> int:
    """The requests of all totals of one period."""
    return sum(row.requests for row in UsageTotal.objects.filter(period=period))
