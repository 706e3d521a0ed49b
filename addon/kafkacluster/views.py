"""This service's dashboard pages."""

import uuid as uuids

from django.http import HttpResponse

from addon.kafkacluster.doors import cluster_page, limits_of, tenant_of
from addon.kafkacluster.models import Topic
from addon.kafkacluster.quickstart import CLIENTS, advice, program
from billing.charges import month_so_far
from sso.dashboard import Estimate, render_overview
from sso.doors import DashboardRequest, dashboard_page, only
from sso.frame import render_page


@only("GET")
@dashboard_page("kafkacluster")
def overview(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """The first page."""
    resource = request.dashboard.resource
    return render_overview(
        request,
        "kafkacluster/overview.html",
        estimate=Estimate(month_so_far(resource).cents),
        prefix=tenant_of(request).prefix,
    )


@cluster_page
def start(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Getting started: the programs of one client, with a topic of the tenant's own. It asks no cluster."""
    tenant, limits = tenant_of(request), limits_of(request)
    topics = list(Topic.objects.filter(tenant=tenant).values_list("name", flat=True))
    wanted = request.GET.get("topic", "")
    topic = wanted if wanted in topics else next(iter(topics), f"{tenant.prefix}orders")
    slug = request.GET.get("client", "")
    client = next((each for each in CLIENTS if each.slug == slug), CLIENTS[0])
    context = {
        "tenant": tenant,
        "limits": limits,
        "topics": topics,
        "topic": topic,
        "clients": CLIENTS,
        "program": program(tenant, limits, client=client, topic=topic, group=f"{tenant.prefix}readers"),
        "advice": advice(limits),
        "environment_commands": environment_commands(request.dashboard.app_name),
    }
    return render_page(request, "kafkacluster/start.html", context)


def environment_commands(app: str) -> str:
    """What sets the config vars in a shell of one's own machine."""
    return (
        "for name in BROKERS USERNAME PASSWORD SASL_METHOD; do\n"
        f'  export KAFKACLUSTER_$name="$(heroku config:get KAFKACLUSTER_$name -a {app})"\n'
        "done"
    )
