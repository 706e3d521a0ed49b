"""What the pages of this dashboard share: whose site it is, and how a script's request is refused."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.urls import reverse

from addon.mobiloud.documents import Unfit, parse_value
from addon.mobiloud.models import Site
from addon.mobiloud.revisions import Conflict
from addon.mobiloud.sites import site_of
from provisioning.services import Refusal
from sso.doors import DashboardRequest, dashboard_page, member_required, only, refuse, wants_json

Answer = Mapping[str, Any]
SitePage = Callable[..., HttpResponse]
SiteAction = Callable[..., Answer]
_STATUS = {
    "address_unknown": 404,
    "revision_unknown": 404,
    "section_unknown": 404,
    "upload_unknown": 404,
    "revision_conflict": 409,
    "submission_locked": 409,
    "plan_does_not_include": 403,
    "ending": 410,
    "upload_too_large": 413,
}


def site_page(view: SitePage) -> SitePage:
    """Let a view be a page about the site: GET, behind the door. Without a site the first page asks for one."""

    @only("GET")
    @dashboard_page("mobiloud")
    @wraps(view)
    def guarded(request: DashboardRequest, uuid: UUID, *args: Any, **kwargs: Any) -> HttpResponse:
        site = site_of(request.dashboard.resource)
        if site is None:
            return HttpResponseRedirect(f"{reverse('mobiloud:overview', args=[uuid])}#website")
        try:
            return view(request, site, *args, **kwargs)
        except Refusal as refusal:
            return refused(request, refusal)

    return guarded


def site_action(view: SiteAction) -> SitePage:
    """Let a function be what a button does: POST, members only; scripts get JSON, refusals as `{"id", "message"}`."""

    @only("POST")
    @dashboard_page("mobiloud")
    @member_required
    @wraps(view)
    def guarded(request: DashboardRequest, uuid: UUID, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer = view(request, _site(request), *args, **kwargs)
        except Refusal as refusal:
            return refused(request, refusal)
        return done(request, answer)

    return guarded


def done(request: DashboardRequest, answer: Answer) -> HttpResponse:
    """What was done: JSON for scripts; for a form sent without one, the page it leads to."""
    if wants_json(request):
        return JsonResponse(answer)
    back = HttpResponseRedirect(
        answer.get("url") or request.dashboard.service.dashboard_url(request.dashboard.resource)
    )
    back.status_code = 303
    return back


def refused(request: DashboardRequest, refusal: Refusal) -> HttpResponse:
    """The answer to what cannot be done: JSON for scripts, with what they need to go on, else a page."""
    status = _STATUS.get(refusal.code, 422)
    if wants_json(request):
        answer: dict[str, Any] = {"id": refusal.code, "message": refusal.message}
        if isinstance(refusal, Unfit):
            answer["problems"] = [problem.as_json() for problem in refusal.problems]
        if isinstance(refusal, Conflict):
            answer["current"] = current_json(refusal)
        return JsonResponse(answer, status=status)
    return refuse(
        request,
        status=status,
        code=refusal.code,
        title="This was not done",
        text=refusal.message,
        action_url=request.dashboard.service.dashboard_url(request.dashboard.resource),
        action_label="Back to the dashboard",
    )


def current_json(conflict: Conflict) -> dict[str, Any]:
    """What was saved in the meantime, for the choice between the two."""
    current = conflict.current
    configuration = current.configuration
    return {
        "revision": current.number,
        "author": current.author,
        "at": current.created_at.isoformat(),
        "value": configuration[conflict.section] if conflict.section else current.content,
        "configuration": configuration,
    }


def number(data: QueryDict, name: str) -> int:
    """A whole number from a form; Refusal for anything else."""
    text = data.get(name, "")
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise Refusal("Reload the page and try again.", code="form")
    return int(text)


def value(data: QueryDict, name: str) -> Any:
    """A JSON value from a form; Unfit for anything else."""
    return parse_value(data.get(name, ""))


def _site(request: DashboardRequest) -> Site:
    site = site_of(request.dashboard.resource)
    if site is None:
        raise Refusal("Enter your website first.", code="no_website")
    return site
