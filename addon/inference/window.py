"""How much of a resource's limits the last 60 seconds have used, as the gateway's limiter sees it."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db.models import Count, F, Sum
from django.utils import timezone

from addon.inference.models import UsageEvent
from provisioning.models import Resource

WINDOW_SECONDS = 60
_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.3, socket_timeout=0.3)


@dataclass(frozen=True)
class WindowUse:
    """Requests and tokens of the last 60 seconds; what running requests may still use is among the tokens."""

    requests: int
    tokens: int


def window_use(resource: Resource) -> WindowUse:
    """The use of the resource's present plan; from the rows of finished answers while Redis is away."""
    if resource.plan is None:
        return WindowUse(0, 0)
    try:
        return _of_limiter(f"{resource.pk}:{resource.plan.slug}")
    except redis.RedisError:
        return _of_rows(resource)


def _of_limiter(window: str) -> WindowUse:
    # The keys and what they hold are described in gateway/admit.lua. Entries that are too old lie there until the next
    # request, so they are left out here.
    since = (time.time() - WINDOW_SECONDS) * 1_000_000
    log, tokens = (f"inference:{{{window}}}:{name}" for name in ("requests", "tokens"))
    ids: list[Any] = _redis.zrangebyscore(log, since, "+inf")
    if not ids:
        return WindowUse(0, 0)
    amounts: list[Any] = _redis.hmget(tokens, ids)
    return WindowUse(len(ids), sum(int(amount or 0) for amount in amounts))


def _of_rows(resource: Resource) -> WindowUse:
    since = timezone.now() - timedelta(seconds=WINDOW_SECONDS)
    found = UsageEvent.objects.filter(resource=resource, at__gt=since).aggregate(
        requests=Count("pk"), tokens=Sum(F("input_tokens") + F("output_tokens"))
    )
    return WindowUse(found["requests"], found["tokens"] or 0)
