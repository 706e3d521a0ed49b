"""This service's dashboard pages."""

import uuid as uuids

from django.http import HttpResponse

from addon.kafkacluster.models import Tenant
from addon.kafkacluster.quickstart import producer_example
from billing.charges import month_so_far
from sso.dashboard import Estimate, render_overview
from sso.doors import DashboardRequest, dashboard_page, only


@only("GET")
@dashboard_page("kafkacluster")
def overview(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The first page."""
    resource = request.dashboard.resource
    tenant = Tenant.objects.select_related("cluster").get(resource=resource)
    return render_overview(
        request,
        "kafkacluster/overview.html",
        estimate=Estimate(month_so_far(resource).cents),
        prefix=tenant.prefix,
        producer_example=producer_example(tenant),
    )
