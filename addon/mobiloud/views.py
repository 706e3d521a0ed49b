"""This service's dashboard pages."""

import uuid as uuids

from django.http import HttpResponse

from billing.charges import month_so_far
from sso.dashboard import Estimate, render_overview
from sso.doors import DashboardRequest, dashboard_page, only


@only("GET")
@dashboard_page("mobiloud")
def overview(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The first page."""
    resource = request.dashboard.resource
    return render_overview(
        request,
        "mobiloud/overview.html",
        estimate=Estimate(month_so_far(resource).cents),
        website=resource.options.get("website", ""),
    )
