"""This service's dashboard pages."""

import uuid as uuids
from typing import Any

from django.http import HttpResponse

from addon.inference.config import inference_url
from addon.inference.quickstart import KEY_MASK, export_commands, samples
from addon.inference.recent import recent_requests
from addon.inference.reports import DEFAULT_RANGE, RANGES, usage_report
from billing.charges import month_so_far
from sso.dashboard import Estimate, render_overview
from sso.doors import DashboardRequest, dashboard_page, only
from sso.frame import render_page


@only("GET")
@dashboard_page("inference")
def overview(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The first page."""
    dashboard = request.dashboard
    charge = month_so_far(dashboard.resource)
    return render_overview(
        request,
        "inference/overview.html",
        estimate=Estimate(charge.cents, note="Plan fee only; usage comes on top."),
        export_commands=export_commands(dashboard.app_name),
        example_request=samples(dashboard.plan)["curl"].code,
    )


@only("GET")
@dashboard_page("inference")
def usage(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Requests, tokens, errors and latency over time, and the limits."""
    return _usage(request)


@only("GET")
@dashboard_page("inference", touch=False)
def usage_refresh(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The usage page as an open one fetches it by itself."""
    return _usage(request)


def _usage(request: DashboardRequest) -> HttpResponse:
    dashboard = request.dashboard
    chosen = RANGES.get(request.GET.get("range", ""), RANGES[DEFAULT_RANGE])
    report = usage_report(dashboard.resource, chosen)
    return render_page(
        request,
        "inference/usage.html",
        {
            "ranges": RANGES.values(),
            "report": report,
            "total": report.total,
            "chart_data": report.as_json(),
            "meters": dashboard.service.usage_summary(dashboard.resource),
            "is_rerank": dashboard.plan.limits["model_kind"] == "rerank",
        },
    )


@only("GET")
@dashboard_page("inference")
def requests(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The latest requests."""
    dashboard, before = request.dashboard, request.GET.get("before", "")
    errors_only = request.GET.get("show") == "errors"
    page = recent_requests(
        dashboard.resource,
        errors_only=errors_only,
        before=int(before) if before.isdecimal() and len(before) < 17 else None,
    )
    return render_page(
        request,
        "inference/requests.html",
        {
            "page": page,
            "errors_only": errors_only,
            "before": before,
            "is_rerank": dashboard.plan.limits["model_kind"] == "rerank",
        },
    )


@only("GET")
@dashboard_page("inference")
def quickstart(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The first request in several languages, with the add-on's own values."""
    dashboard = request.dashboard
    found = samples(dashboard.plan)
    sample = found.get(request.GET.get("language", ""), found["curl"])
    return render_page(
        request,
        "inference/quickstart.html",
        {
            **_values(request),
            "samples": found.values(),
            "sample": sample,
            "key_mask": KEY_MASK,
            "export_commands": export_commands(dashboard.app_name),
        },
    )


@only("GET")
@dashboard_page("inference")
def playground(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """A form that asks the model, by the session instead of a key."""
    kind = request.dashboard.plan.limits["model_kind"]
    return render_page(
        request,
        f"inference/playground_{kind}.html",
        {**_values(request), "endpoint": f"/dashboard/{uuid}/playground/{kind}"},
    )


def _values(request: DashboardRequest) -> dict[str, Any]:
    dashboard = request.dashboard
    return {"url": inference_url(dashboard.resource.region), "model": dashboard.plan.slug}
