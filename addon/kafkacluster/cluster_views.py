"""The pages about quotas and replication."""

import uuid as uuids
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from addon.kafkacluster.doors import cluster_page, limits_of, tenant_of
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.quickstart import advice
from addon.kafkacluster.rates import RANGES, Live, Point, Range, history, live_rate
from addon.kafkacluster.replication import replication_of
from addon.kafkacluster.topic_pages import room_of
from sso.doors import DashboardRequest, dashboard_page, only
from sso.frame import render_page


@only("GET")
@dashboard_page("kafkacluster")
def quotas(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Rates now and before, and what the plan's other limits have room for. Asks Postgres only."""
    tenant, limits = tenant_of(request), limits_of(request)
    context = {
        **_live_context(request, tenant),
        "ranges": RANGES,
        "room": room_of(tenant, limits),
        "recommended": recommended_settings(limits),
    }
    return render_page(request, "kafkacluster/quotas.html", context)


@only("GET")
@dashboard_page("kafkacluster", touch=False)
def live(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The part of the quotas page that changes by itself; asking for it does not keep the session alive."""
    return render(request, "kafkacluster/live.html", _live_context(request, tenant_of(request)))


@cluster_page
def replication(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Where the copies of every partition are, and whether they are in sync."""
    tenant = tenant_of(request)
    return render_page(
        request, "kafkacluster/replication.html", {"tenant": tenant, "replication": replication_of(tenant)}
    )


def recommended_settings(limits: Limits) -> list[tuple[str, str]]:
    """Client settings with which a plan's rates are used evenly, the same as in the programs under Getting started.

    A throttled fetch is answered empty, so a consumer that asks for much at once gets less than its quota. librdkafka
    takes such a small `fetch.max.bytes` only together with a `message.max.bytes` that is no larger.
    """
    advised = advice(limits)
    return [
        ("batch.size", str(advised.batch)),
        ("linger.ms", "100"),
        ("delivery.timeout.ms", "300000"),
        ("fetch.max.bytes", str(advised.fetch)),
        ("max.partition.fetch.bytes", str(advised.fetch)),
        ("message.max.bytes", f"{advised.fetch} (consumers on librdkafka)"),
    ]


def _live_context(request: DashboardRequest, tenant: Tenant) -> dict[str, Any]:
    limits, seen = limits_of(request), live_rate(tenant)
    chosen = next((each for each in RANGES if each.slug == request.GET.get("range")), RANGES[0])
    points = history(tenant, chosen)
    return {
        "chosen": chosen,
        "points": [point for point in reversed(points) if point.produce_max or point.consume_max],
        "chart": _chart(points, chosen),
        "resource": request.dashboard.resource,
        "plan": request.dashboard.plan,
        "live": seen,
        "sides": _sides(
            seen, produce=limits.produce_bytes_per_second, consume=limits.consume_bytes_per_second
        ),
    }


def _sides(seen: Live, *, produce: int, consume: int) -> list[dict[str, Any]]:
    rate = seen.rate
    return [
        {
            "label": label,
            "limit": limit,
            "rate": None if value is None else round(value),
            # The delay fades later than the rate: nobody is slowed who sends nothing.
            "throttle_ms": delay if value else 0,
        }
        for label, limit, value, delay in (
            (
                "Produce",
                produce,
                rate.produce if rate else None,
                round(rate.produce_throttle_ms) if rate else 0,
            ),
            (
                "Consume",
                consume,
                rate.consume if rate else None,
                round(rate.consume_throttle_ms) if rate else 0,
            ),
        )
    ]


def _chart(points: list[Point], chosen: Range) -> dict[str, Any]:
    return {
        "step": chosen.step,
        "at": [int(point.starts_at.timestamp()) for point in points],
        "produce": [point.produce for point in points],
        "produce_max": [point.produce_max for point in points],
        "consume": [point.consume for point in points],
        "consume_max": [point.consume_max for point in points],
        "throttled": [point.throttled_percent for point in points],
    }
