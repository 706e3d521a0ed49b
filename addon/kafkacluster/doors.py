"""What the pages of this dashboard share: whose tenant it is, and the answers when a cluster or a rule says no."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from uuid import UUID

import structlog
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse

from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant
from provisioning.services import Fault, Refusal
from sso.doors import DashboardRequest, dashboard_page, member_required, only, refuse, wants_json
from sso.frame import render_page

log = structlog.get_logger(__name__)

AWAY = "The Kafka cluster does not answer at the moment. Your data is safe; try again in a minute."
_STATUS = {"topic_unknown": 404, "group_unknown": 404, "ending": 410, "group_active": 409, "busy": 429}


@dataclass(frozen=True)
class Done:
    """What an action says when it is done, and the page that shows it; empty: the page it was started from."""

    message: str
    url: str = ""


def tenant_of(request: DashboardRequest) -> Tenant:
    """The tenant whose dashboard is open, with its cluster."""
    return Tenant.objects.select_related("cluster", "resource__plan").get(resource=request.dashboard.resource)


def limits_of(request: DashboardRequest) -> Limits:
    """What the resource of the open dashboard may use."""
    return Limits.of(request.dashboard.resource)


Page = Callable[..., HttpResponse]
Action = Callable[..., Done]


def cluster_page(view: Page) -> Page:
    """Let a view be a page that asks the cluster: GET, behind the door, and an honest page when nothing answers."""

    @only("GET")
    @dashboard_page("kafkacluster")
    @wraps(view)
    def guarded(request: DashboardRequest, uuid: UUID, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, uuid, *args, **kwargs)
        except Fault as fault:
            log.warning("kafka_page.cluster_away", page=view.__name__, error=str(fault))
            return render_page(request, "kafkacluster/away.html", {"message": AWAY}, status=503)
        except Refusal as refusal:
            return _refused(request, refusal)

    return guarded


def action(view: Action) -> Page:
    """Let a function be a button's address: POST, members only; JSON for the page's script, else a redirect.

    What is refused is told with `{"id", "message"}` or as a page. A cluster that does not answer is 503.
    """

    @only("POST")
    @dashboard_page("kafkacluster")
    @member_required
    @wraps(view)
    def guarded(request: DashboardRequest, uuid: UUID, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            done = view(request, uuid, *args, **kwargs)
        except Refusal as refusal:
            return _refused(request, refusal)
        except Fault as fault:
            log.warning("kafka_action.cluster_away", action=view.__name__, error=str(fault))
            return refuse(
                request,
                status=503,
                code="cluster_away",
                title="The Kafka cluster does not answer",
                text=f"{AWAY} Nothing was changed.",
                icon="plug-off",
            )
        if wants_json(request):
            return JsonResponse({"message": done.message, "url": done.url})
        back = HttpResponseRedirect(
            done.url or request.dashboard.service.dashboard_url(request.dashboard.resource)
        )
        back.status_code = 303
        return back

    return guarded


def _refused(request: DashboardRequest, refusal: Refusal) -> HttpResponse:
    return refuse(
        request,
        status=_STATUS.get(refusal.code, 422),
        code=refusal.code,
        title="This was not done",
        text=refusal.message,
        action_url=request.dashboard.service.dashboard_url(request.dashboard.resource),
        action_label="Back to the dashboard",
    )
