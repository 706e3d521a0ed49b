"""HTTP's door to single sign-on, to log out, and to what every dashboard's pages ask for."""

import math
from uuid import UUID

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.csrf import csrf_exempt

from provisioning import attempts
from provisioning.services import Refusal, service_of
from sso import sessions
from sso.config_vars import reveal_config_var
from sso.doors import DashboardRequest, dashboard_page, member_required, only, refuse, refuse_ended
from sso.gallery import gallery_context
from sso.login import LoginRefused, ResourceEnded, log_in
from sso.progress import operation_view
from sso.rotation import start_rotation
from sso.tokens import LoginForm

log = structlog.get_logger(__name__)


@csrf_exempt
def login(request: HttpRequest) -> HttpResponse:
    """Heroku's form, posted by the customer's browser: 302 to the dashboard, or 403 without a hint why."""
    if request.method != "POST":
        response = refuse(
            request,
            status=405,
            code="method_not_allowed",
            title="Open the dashboard through Heroku",
            text="This address only takes logins from Heroku. In the Heroku Dashboard, choose the add-on "
            "on your app's Resources tab, or run heroku addons:open.",
            icon="lock",
        )
        response["Allow"] = "POST"
        return response
    form = LoginForm.read(request.POST.dict(), accept_legacy=settings.SSO_ACCEPT_LEGACY)
    try:
        opened = log_in(form, cookies=request.COOKIES)
    except LoginRefused as refusal:
        log.warning("sso.refused", reason=str(refusal), resource=str(form.uuid or ""))
        wait = attempts.take((attempts.SSO, request.META.get("REMOTE_ADDR", "")))
        if wait:
            answer = refuse(
                request,
                status=429,
                code="too_many_attempts",
                title="Too many logins that did not work",
                text="Please wait some minutes, then open the add-on again from your Heroku dashboard.",
                icon="lock",
            )
            answer["Retry-After"] = str(math.ceil(wait))
            return answer
        return refuse(
            request,
            status=403,
            code="login_refused",
            title="This login did not work",
            text="Please open the add-on again from your Heroku dashboard. "
            "If it happens again, tell us the request id below.",
            icon="lock",
        )
    except ResourceEnded as ended:
        log.info("sso.resource_ended", resource=str(ended.resource.uuid), state=ended.resource.state)
        return refuse_ended(request, ended.resource)
    answer = HttpResponseRedirect(service_of(opened.resource).dashboard_url(opened.resource))
    sessions.set_cookie(answer, opened.resource.uuid, opened.token)
    if form.nav_data:
        answer.set_cookie(
            "heroku-nav-data", form.nav_data, secure=sessions.secure(), httponly=True, samesite="Lax"
        )
    patch_cache_control(answer, no_store=True, private=True)
    log.info("sso.opened", resource=str(opened.resource.uuid))
    return answer


@only("POST")
def logout(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """End this browser's session of one resource."""
    return _log_out(request, [sessions.cookie_name(uuid)])


@only("POST")
def logout_everywhere(request: HttpRequest) -> HttpResponse:
    """End every dashboard session of this browser."""
    return _log_out(request, sessions.session_cookies(request.COOKIES))


def _log_out(request: HttpRequest, names: list[str]) -> HttpResponse:
    sessions.end_sessions(request.COOKIES, names)
    answer = HttpResponseRedirect(reverse("sso:logged-out"))
    answer.status_code = 303
    sessions.forget_cookies(answer, names)
    patch_cache_control(answer, no_store=True, private=True)
    return answer


@only("GET")
def logged_out(request: HttpRequest) -> HttpResponse:
    """What is seen after a log-out."""
    return refuse(
        request,
        status=200,
        code="logged_out",
        title="You are logged out",
        text="To come back, open the add-on from your Heroku dashboard.",
        icon="circle-check",
    )


@only("POST")
@dashboard_page(any_state=True)
@member_required
def reveal(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """The value of one secret config var."""
    dashboard = request.dashboard
    try:
        value = reveal_config_var(
            dashboard.resource.pk, name=request.POST.get("name", ""), actor=dashboard.session.actor
        )
    except Refusal as refusal:
        return _json_refusal(refusal)
    return JsonResponse({"name": request.POST["name"], "value": value})


@only("POST")
@dashboard_page(any_state=True)
@member_required
def rotate(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """Start a rotation (202), or show the one that is under way or was just done (200)."""
    dashboard = request.dashboard
    try:
        rotation = start_rotation(
            dashboard.resource.pk,
            replaces=request.POST.get("replaces", ""),
            revoke_now=request.POST.get("revoke_now") == "yes",
            actor=dashboard.session.actor,
        )
    except Refusal as refusal:
        return _json_refusal(refusal)
    answer = {
        "started": rotation.started,
        "operation": operation_view(rotation.operation).as_json(),
        "progress_url": reverse("sso:operation", args=[uuid, rotation.operation.pk]),
    }
    return JsonResponse(answer, status=202 if rotation.started else 200)


@only("GET")
@dashboard_page(any_state=True, touch=False)
def operation(request: DashboardRequest, uuid: UUID, number: int) -> HttpResponse:
    """How far one operation of the resource is."""
    found = request.dashboard.resource.operations.select_related("resource").filter(pk=number).first()
    if found is None:
        return refuse(
            request, status=404, code="not_found", title="Nothing here", text="There is no such operation."
        )
    return JsonResponse(operation_view(found).as_json())


@only("GET")
def gallery(request: HttpRequest) -> HttpResponse:
    """Every component on one page, for those who build pages."""
    if not settings.DESIGN_GALLERY:
        raise Http404
    return render(request, "design/gallery.html", gallery_context())


def _json_refusal(refusal: Refusal) -> HttpResponse:
    status = {"resource_ended": 410, "config_var_unknown": 404}.get(refusal.code, 409)
    return JsonResponse({"id": refusal.code, "message": refusal.message}, status=status)
