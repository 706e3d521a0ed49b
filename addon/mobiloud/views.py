"""This service's first pages."""

import uuid as uuids

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse

from addon.mobiloud.app_config import app_address
from addon.mobiloud.capabilities import Capability, can
from addon.mobiloud.doors import site_page
from addon.mobiloud.models import Site
from addon.mobiloud.sites import site_of
from billing.charges import month_so_far
from sso.dashboard import Estimate, render_overview
from sso.doors import DashboardRequest, dashboard_page, only


@only("GET")
@dashboard_page("mobiloud")
def overview(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The first page: it asks for the website, and afterwards tells where things stand."""
    resource = request.dashboard.resource
    site = site_of(resource)
    return render_overview(
        request,
        "mobiloud/overview.html",
        estimate=Estimate(month_so_far(resource).cents),
        site=site,
        app_address=app_address(site) if site else "",
        live=can(resource, Capability.LIVE_APP),
        website=resource.options.get("website", ""),
    )


@site_page
def configure(request: DashboardRequest, site: Site) -> HttpResponse:
    """The first of the configuration's pages."""
    return HttpResponseRedirect(reverse("mobiloud:configure-menu", args=[request.dashboard.resource.uuid]))
