"""This service's dashboard pages."""

import uuid as uuids

from django.http import HttpResponse

from addon.inference.quickstart import example_request, export_commands
from billing.charges import month_so_far
from sso.dashboard import Estimate, render_overview
from sso.doors import DashboardRequest, dashboard_page, only


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
        example_request=example_request(dashboard.plan),
    )
