"""HTTP's door for customers and everybody: the page of a resource, the public pages, security.txt."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from advisories import customer, exports, reports
from advisories.models import Advisory, Report, VersionState
from provisioning.services import Refusal
from sso.doors import DashboardRequest, dashboard_page, member_required, only, refuse, wants_json
from sso.frame import render_page
from sso.rotation import rotation_view, start_rotation


@only("GET")
@dashboard_page()
def security(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """The advisories about a resource, and its people's reports."""
    resource = request.dashboard.resource
    issues = request.dashboard.service.issues_credentials
    listed = Report.objects.filter(resource=resource).prefetch_related("messages").order_by("-pk")[:50]
    return render_page(
        request,
        "advisories/security.html",
        {
            "advisories": customer.advisories_of(resource),
            "rotation": rotation_view(resource) if issues else None,
            "reports": [
                (report, [one for one in report.messages.all() if not one.is_internal]) for report in listed
            ],
            "answer_hours": int(reports.ANSWER_WITHIN.total_seconds() // 3600),
        },
    )


def action(view: Callable[..., str]) -> Callable[..., HttpResponse]:
    """A button's address: POST, members only; JSON for the page's script, else back to the page."""

    @only("POST")
    @dashboard_page()
    @member_required
    def guarded(request: DashboardRequest, uuid: UUID, **given: Any) -> HttpResponse:
        page = reverse("advisories:security", args=[uuid])
        try:
            message = view(request, **given)
        except Refusal as refusal:
            return refuse(
                request,
                status=422,
                code=refusal.code,
                title="This was not done",
                text=refusal.message,
                action_url=page,
                action_label="Back to Security",
            )
        if wants_json(request):
            return JsonResponse({"message": message, "url": page})
        back = HttpResponseRedirect(page)
        back.status_code = 303
        return back

    return guarded


@action
def acknowledge(request: DashboardRequest, number: str) -> str:
    """Somebody has read the advisory."""
    new = customer.answer(
        request.dashboard.resource, number=number, actor=request.dashboard.session.actor, mitigated=False
    )
    return f"{number} acknowledged." if new else f"{number} was acknowledged before."


@action
def mitigated(request: DashboardRequest, number: str) -> str:
    """Somebody has done what the advisory asks for."""
    new = customer.answer(
        request.dashboard.resource, number=number, actor=request.dashboard.session.actor, mitigated=True
    )
    return f"{number} marked mitigated." if new else f"{number} was mitigated before."


@action
def rotate(request: DashboardRequest, number: str) -> str:
    """Rotate the credentials, where that is the remedy; a second click finds the first one's rotation."""
    resource = request.dashboard.resource
    actor = request.dashboard.session.actor
    start = start_rotation(
        resource.pk, replaces=request.POST.get("replaces", ""), revoke_now=False, actor=actor
    )
    customer.answer(resource, number=number, actor=actor, mitigated=False)
    return "Rotation started." if start.started else "The rotation is under way."


@action
def report(request: DashboardRequest) -> str:
    """Take a report about a possible vulnerability in."""
    found = reports.receive(
        reporter=request.dashboard.session.email,
        subject=request.POST.get("subject", ""),
        text=request.POST.get("text", ""),
        resource=request.dashboard.resource,
    )
    return f"Report {found.number} received. We answered by mail what happens next."


@action
def add_to_report(request: DashboardRequest, number: str) -> str:
    """Add to one's report."""
    found = Report.objects.filter(resource=request.dashboard.resource, number=number).first()
    if found is None:
        raise Refusal("There is no such report.", code="no_such_report")
    reports.add_from_reporter(
        found.pk, reporter=request.dashboard.session.email, text=request.POST.get("text", "")
    )
    return "Added to the report."


# --- for everybody ------------------------------------------------------------------------------------------------
@only("GET")
def public(request: HttpRequest) -> HttpResponse:
    """The advisories that are cleared for everybody."""
    listed = [(one, _newest(one)) for one in customer.public_advisories()]
    return render(
        request, "advisories/public.html", {"advisories": listed, "contact": settings.SECURITY_CONTACT}
    )


@only("GET")
def public_one(request: HttpRequest, number: str) -> HttpResponse:
    """One of them."""
    advisory = _public(number)
    return render(
        request,
        "advisories/public_one.html",
        {
            "advisory": advisory,
            "version": _newest(advisory),
            "versions": advisory.versions.filter(state=VersionState.PUBLISHED).order_by("-number"),
        },
    )


@only("GET")
def public_csaf(request: HttpRequest, number: str) -> HttpResponse:
    """One of them as CSAF 2.0."""
    return JsonResponse(exports.csaf(_public(number)), json_dumps_params={"indent": 2})


@only("GET")
def public_osv(request: HttpRequest, number: str) -> HttpResponse:
    """One of them as OSV."""
    return JsonResponse(exports.osv(_public(number)), json_dumps_params={"indent": 2})


@only("GET")
def feed(request: HttpRequest) -> HttpResponse:
    """All of them as an Atom feed."""
    return HttpResponse(
        exports.atom(customer.public_advisories()), content_type="application/atom+xml; charset=utf-8"
    )


@only("GET")
def security_txt(request: HttpRequest) -> HttpResponse:
    """RFC 9116: where to report a vulnerability."""
    # Far enough that a copy stays good for months, within the year that the RFC recommends; the same for a day.
    expires = (timezone.now() + timedelta(days=180)).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        f"Contact: mailto:{settings.SECURITY_CONTACT}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {settings.BASE_URL}/.well-known/security.txt",
    ]
    if settings.SECURITY_POLICY_URL:
        lines.append(f"Policy: {settings.SECURITY_POLICY_URL}")
    if settings.SECURITY_ENCRYPTION_URL:
        lines.append(f"Encryption: {settings.SECURITY_ENCRYPTION_URL}")
    return HttpResponse("".join(f"{line}\n" for line in lines), content_type="text/plain; charset=utf-8")


def _public(number: str) -> Advisory:
    found = Advisory.objects.filter(number=number, is_public=True, published_at__isnull=False).first()
    if found is None:
        raise Http404
    return found


def _newest(advisory: Advisory) -> Any:
    return advisory.versions.filter(state=VersionState.PUBLISHED).order_by("number").last()
