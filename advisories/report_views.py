"""HTTP's door for operators: customers' reports about possible vulnerabilities."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from advisories import reports
from advisories.models import Advisory, Report, ReportState, Severity
from operators.doors import OperatorRequest, operator_page, render_operator_page
from operators.roles import Role
from provisioning.models import Resource
from provisioning.services import Refusal

_ROLES = (Role.SECURITY, Role.SUPPORT)


@operator_page(*_ROLES)
def listed(request: OperatorRequest) -> HttpResponse:
    """The reports, open ones first, the one that is due next at the top."""
    found = Report.objects.select_related("resource", "advisory")
    open_ones = found.exclude(state=ReportState.CLOSED).order_by("answered_at", "answer_due_at")
    return render_operator_page(
        request,
        "advisories/reports.html",
        {
            "open": open_ones[:200],
            "closed": found.filter(state=ReportState.CLOSED)[:50],
            "now": timezone.now(),
        },
    )


@operator_page(*_ROLES, methods=("GET", "POST"))
def new(request: OperatorRequest) -> HttpResponse:
    """Take a report in for somebody who wrote or called."""
    problem = ""
    if request.method == "POST":
        try:
            report = reports.receive(
                reporter=request.POST.get("reporter", ""),
                subject=request.POST.get("subject", ""),
                text=request.POST.get("text", ""),
                resource=_resource(request.POST.get("resource", "")),
                operator=request.user,
            )
            return HttpResponseRedirect(reverse("advisories:report", args=[report.number]))
        except Refusal as refusal:
            problem = refusal.message
    return render_operator_page(
        request,
        "advisories/report_form.html",
        {"problem": problem, "posted": request.POST},
        status=422 if problem else 200,
    )


@operator_page(*_ROLES, methods=("GET", "POST"))
def one(request: OperatorRequest, number: str) -> HttpResponse:
    """A report with its clocks, what was said, and the forms to answer and to triage."""
    report = get_object_or_404(Report.objects.select_related("resource", "advisory"), number=number)
    if request.method == "POST":
        try:
            _act(request, report)
        except Refusal as refusal:
            messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("advisories:report", args=[number]))
    return render_operator_page(
        request,
        "advisories/report.html",
        {
            "report": report,
            "said": report.messages.all(),
            "states": ReportState.choices,
            "severities": Severity.choices,
            "advisories": Advisory.objects.all()[:50],
            "now": timezone.now(),
        },
    )


def _act(request: OperatorRequest, report: Report) -> None:
    posted = request.POST
    if posted.get("what") == "triage":
        state, severity = posted.get("state", ""), posted.get("severity", "")
        if state not in ReportState.values or (severity and severity not in Severity.values):
            raise Refusal("Choose a state.", code="bad_state")
        reports.triage(
            report.pk,
            operator=request.user,
            state=state,
            severity=severity,
            advisory_number=posted.get("advisory", ""),
            reason=posted.get("reason", ""),
        )
        messages.success(request, "Noted.")
        return
    internal = posted.get("what") == "note"
    reports.answer(report.pk, operator=request.user, text=posted.get("text", ""), internal=internal)
    messages.success(request, "Noted." if internal else f"Answer sent to {report.reporter}.")


def _resource(text: str) -> Resource | None:
    text = text.strip()
    if not text:
        return None
    try:
        found = Resource.objects.filter(uuid=UUID(text)).first()
    except ValueError:
        found = Resource.objects.filter(name=text).first()
    if found is None:
        raise Refusal(f"There is no resource {text[:80]}.", code="no_such_resource")
    return found
