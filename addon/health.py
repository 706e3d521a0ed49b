"""Whether this process is alive, whether it can serve, and its metrics."""

import hmac
import os
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from addon.kafkacluster.placement import cluster_health
from mail.metrics import MailCollector
from provisioning.metrics import DatabaseCollector
from provisioning.models import Heartbeat
from provisioning.sweep import HEARTBEAT

SWEEP_LATE_SECONDS = 60.0
_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5)


def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers; asks nothing else."""
    return JsonResponse({"status": "alive"})


def readyz(request: HttpRequest) -> JsonResponse:
    """What this process depends on.

    503 only without Postgres. Without Redis, a sweeper or a Kafka broker what is accepted is still kept and done later,
    so the answer is 200 with `"status": "degraded"`: taking the web away would lose what it can still do.
    """
    checks = {"database": _database(), "redis": _broker()}
    known = checks["database"]["ok"]
    checks["sweeper"] = _sweeper() if known else {"ok": False, "detail": "unknown"}
    checks["kafka"] = cluster_health() if known else {"ok": False, "detail": "unknown"}
    if not checks["database"]["ok"]:
        status = "unavailable"
    else:
        status = "ready" if all(check["ok"] for check in checks.values()) else "degraded"
    return JsonResponse({"status": status, "checks": checks}, status=503 if status == "unavailable" else 200)


def _database() -> dict[str, Any]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return {"ok": False, "detail": type(error).__name__}
    return {"ok": True}


def _broker() -> dict[str, Any]:
    try:
        _redis.ping()
    except redis.RedisError as error:
        return {"ok": False, "detail": type(error).__name__}
    return {"ok": True}


def _sweeper() -> dict[str, Any]:
    beat = Heartbeat.objects.filter(name=HEARTBEAT).first()
    if beat is None:
        return {"ok": False, "detail": "has not run yet"}
    age = (timezone.now() - beat.at).total_seconds()
    return {"ok": age < SWEEP_LATE_SECONDS, "seconds_since_last_run": round(age, 1)}


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text: what Postgres knows, and what the processes of this web server have counted.

    With `METRICS_TOKEN` for its bearer, without it for this machine only; others see a 404.
    """
    if settings.METRICS_TOKEN:
        presented = request.headers.get("Authorization", "").encode()
        allowed = hmac.compare_digest(presented, f"Bearer {settings.METRICS_TOKEN}".encode())
    else:
        allowed = request.META.get("REMOTE_ADDR") in ("127.0.0.1", "::1") and not request.headers.get(
            "X-Forwarded-For"
        )
    if not allowed:
        return JsonResponse({"id": "not_found", "message": "There is nothing here."}, status=404)
    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    registry.register(MailCollector())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        # One process alone: a development server, a test.
        registry.register(REGISTRY)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
