"""An operator opens a customer's dashboard: to look, for a reason, and without being able to change anything."""

from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_protect

from operators import audit as operators_audit
from operators.doors import OperatorRequest, operator_page
from operators.roles import Role as OperatorRole
from provisioning import audit
from provisioning.models import Resource
from provisioning.services import service_of
from provisioning.states import LIVE_STATES
from sso import sessions
from sso.models import Role

SESSION_SECONDS = 3_600


def may_open(resource: Resource) -> bool:
    """Whether there is a dashboard to look at."""
    return resource.state in LIVE_STATES


@csrf_protect
@operator_page(OperatorRole.SUPPORT, OperatorRole.OPERATOR, OperatorRole.SECURITY, methods=("POST",))
def open_dashboard(request: OperatorRequest, uuid: UUID) -> HttpResponse:
    """Start a read-only session of an hour and go to the dashboard; both audits tell of it."""
    resource = Resource.objects.select_related("plan").filter(uuid=uuid).first()
    if resource is None:
        raise Http404
    reason = request.POST.get("reason", "").strip()
    if not reason or not may_open(resource):
        messages.error(
            request, "Give a reason." if not reason else "This resource has no dashboard any more."
        )
        return HttpResponseRedirect(reverse("operators:resource", args=[uuid]))
    actor = operators_audit.actor(request.user)
    with transaction.atomic():
        token = sessions.start_session(
            resource,
            role=Role.OPERATOR,
            user_id=actor,
            app_hint=resource.app_name[:60],
            replaces=request.COOKIES.get(sessions.cookie_name(uuid), ""),
            seconds=SESSION_SECONDS,
        )
        audit.record("dashboard.opened", resource=resource, actor=actor)
        operators_audit.record(
            "dashboard.opened", operator=request.user, obj=resource, reason=reason, request=request
        )
    response = HttpResponseRedirect(service_of(resource).dashboard_url(resource))
    sessions.set_cookie(response, uuid, token)
    return response
