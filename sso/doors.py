"""Who may see a dashboard page: the decorators of every service's views, and what those get who may not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control

from provisioning.models import Plan, Resource
from provisioning.services import AddonService, service_of
from provisioning.states import GONE_STATES, ResourceState
from sso import frame
from sso.models import DashboardSession, Role
from sso.sessions import find_session

_JSON_PATHS = "/dashboard/"


@dataclass(frozen=True)
class Dashboard:
    """Whose dashboard is open, and who looks at it."""

    resource: Resource
    service: AddonService
    session: DashboardSession

    @property
    def plan(self) -> Plan:
        """The resource's plan: every resource with a dashboard has one."""
        if self.resource.plan is None:
            raise ValueError(f"resource {self.resource.uuid} has no plan")
        return self.resource.plan

    @property
    def role(self) -> Role:
        """What the session may do."""
        return Role(self.session.role)

    @property
    def is_member(self) -> bool:
        """Whether the session may reveal and change things."""
        return self.role is Role.MEMBER

    @property
    def is_operator(self) -> bool:
        """Whether one of us looks."""
        return self.role is Role.OPERATOR

    @property
    def app_name(self) -> str:
        """The app: as read from Heroku, else as the login named it; may be empty."""
        return self.resource.app_name or self.session.app_hint


class DashboardRequest(HttpRequest):
    """A request that a session of the resource has come with."""

    dashboard: Dashboard


View = Callable[..., HttpResponse]


def wants_json(request: HttpRequest) -> bool:
    """Whether a script asks: errors are then JSON, `{"id", "message"}`."""
    accept = request.headers.get("Accept", "")
    return request.path.startswith(_JSON_PATHS) or (
        "application/json" in accept and "text/html" not in accept
    )


def refuse(
    request: HttpRequest, *, status: int, code: str, title: str, text: str, **context: Any
) -> HttpResponse:
    """A page (or JSON, for a script) that says why not, and leads back to Heroku."""
    if wants_json(request):
        response: HttpResponse = JsonResponse({"id": code, "message": text}, status=status)
    else:
        heroku = {"action_url": settings.HEROKU_DASHBOARD_URL, "action_label": "Go to Heroku"}
        values = {**heroku, "title": title, "text": text, "status": status, **context}
        response = render(request, "error.html", values, status=status)
    if status == 401:
        response["WWW-Authenticate"] = 'Heroku-SSO realm="dashboard"'
    patch_cache_control(response, no_store=True, private=True)
    return response


def refuse_without_session(request: HttpRequest) -> HttpResponse:
    """401, the same whether or not there is such a resource."""
    return refuse(
        request,
        status=401,
        code="session_needed",
        title="Open this dashboard through Heroku",
        text="Your session has ended, or this browser has not opened this add-on yet. "
        "In the Heroku Dashboard, choose the add-on on your app's Resources tab, or run heroku addons:open.",
        icon="lock",
    )


def refuse_ended(request: HttpRequest, resource: Resource) -> HttpResponse:
    """410 for a resource that was removed or never came to be."""
    service = service_of(resource)
    name = service.name
    if resource.state == ResourceState.FAILED:
        title = f"{name} could not be provisioned"
        text = "Nothing is charged for it. Remove the add-on from your app and add it again."
    else:
        title = f"This {name} add-on was removed"
        text = (
            "Its credentials no longer work and its dashboard is closed. "
            "To use it again, add the add-on to your app once more."
        )
        text = f"{text} {service.removed_note}".rstrip()
    return refuse(request, status=410, code="resource_ended", title=title, text=text, icon="trash")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form or script without the page's CSRF token (Django's CSRF_FAILURE_VIEW)."""
    return refuse(
        request,
        status=403,
        code="page_expired",
        title="Please open this page again",
        text="This page has expired. Reload it, or open the add-on again from your Heroku dashboard.",
        icon="refresh",
    )


def only(method: str) -> Callable[[View], View]:
    """Answer other methods with 405, as a page or as JSON."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == method or (method == "GET" and request.method == "HEAD"):
                return view(request, *args, **kwargs)
            response = refuse(
                request,
                status=405,
                code="method_not_allowed",
                title="Nothing to see here",
                text="This address belongs to a button of the dashboard.",
            )
            response["Allow"] = method
            return response

        return guarded

    return decorate


def dashboard_page(
    service: str | None = None, *, any_state: bool = False, touch: bool = True
) -> Callable[[View], View]:
    """Let a view answer only for a resource whose session this browser holds, as `request.dashboard`.

    `service` is the slug whose page it is: another service's resource is a 404 there. A resource that is not
    provisioned gets the frame's own progress or failure page instead of the view, unless the view handles
    `any_state`. With `touch` false the request does not keep the session alive: for what a page fetches by
    itself. Answers are never cached.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, uuid: UUID, *args: Any, **kwargs: Any) -> HttpResponse:
            session = find_session(request.COOKIES, uuid, touch=touch)
            if session is None:
                return refuse_without_session(request)
            resource = session.resource
            if service is not None and resource.service != service:
                raise Http404
            if resource.state in GONE_STATES:
                return refuse_ended(request, resource)
            known: DashboardRequest = request  # type: ignore[assignment]
            known.dashboard = Dashboard(resource, service_of(resource), session)
            if session.role == Role.OPERATOR and request.method not in ("GET", "HEAD"):
                return refuse(
                    request,
                    status=403,
                    code="read_only",
                    title="You look at this as an operator",
                    text="Nothing can be changed from here. Use the operators' pages.",
                    icon="lock",
                )
            if resource.state == ResourceState.PROVISIONED or any_state:
                response = view(known, uuid, *args, **kwargs)
            else:
                response = frame.render_unready(known)
            patch_cache_control(response, no_store=True, private=True)
            return response

        return guarded

    return decorate


def member_required(view: View) -> View:
    """Keep viewers out of what reveals or changes something. Goes below `dashboard_page`."""

    @wraps(view)
    def guarded(request: DashboardRequest, uuid: UUID, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.dashboard.is_member:
            return refuse(
                request,
                status=403,
                code="identity_needed",
                title="Heroku did not say who you are",
                text="You can look at this dashboard, but not reveal or change anything. "
                "Open it again from your Heroku dashboard.",
                icon="lock",
            )
        return view(request, uuid, *args, **kwargs)

    return guarded
