"""Customers' reports and questions about possible vulnerabilities: intake, clocks, triage, recorded answers."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from advisories.drafting import next_number
from advisories.models import Advisory, Report, ReportMessage, ReportState, Severity
from mail import outbox
from operators import audit
from provisioning import audit as ground
from provisioning.models import Resource
from provisioning.services import Refusal

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ANSWER_WITHIN = timedelta(hours=24)
TRIAGE_WITHIN = timedelta(hours=72)
TEXT_MOST = 20_000
OPEN_REPORTS_MOST = 20
_NEXT = {
    ReportState.NEW: {
        ReportState.TRIAGED,
        ReportState.CONFIRMED,
        ReportState.NOT_AFFECTED,
        ReportState.CLOSED,
    },
    ReportState.TRIAGED: {ReportState.CONFIRMED, ReportState.NOT_AFFECTED, ReportState.CLOSED},
    ReportState.CONFIRMED: {ReportState.NOT_AFFECTED, ReportState.CLOSED},
    ReportState.NOT_AFFECTED: {ReportState.CONFIRMED, ReportState.CLOSED},
    ReportState.CLOSED: {ReportState.TRIAGED},
}


@transaction.atomic
def receive(
    *,
    reporter: str,
    subject: str,
    text: str,
    resource: Resource | None = None,
    operator: "User | None" = None,
    received_at: datetime | None = None,
) -> Report:
    """Take a report in, from a resource's dashboard or by an operator for somebody who wrote or called.

    The clocks run from `received_at` (now). The reporter gets a mail with the number and what to expect. Refusal when
    something is missing, or one resource has very many open.
    """
    subject, text, reporter = " ".join(subject.split())[:200], text.strip(), reporter.strip()
    if not subject or not text:
        raise Refusal("Say what it is about, and what you have seen.", code="incomplete")
    if len(text) > TEXT_MOST:
        raise Refusal("The text is too long: at most 20,000 characters.", code="too_long")
    try:
        validate_email(reporter)
    except ValidationError:
        raise Refusal("Enter the e-mail address of the reporter.", code="not_an_address") from None
    if resource is not None:
        Resource.objects.select_for_update(of=("self",)).get(pk=resource.pk)
        still_open = Report.objects.filter(resource=resource).exclude(state=ReportState.CLOSED).count()
        if still_open >= OPEN_REPORTS_MOST and operator is None:
            raise Refusal(
                "Many reports of this add-on are open. Write to us about those first.", code="too_many"
            )
    since = received_at or timezone.now()
    report = Report.objects.create(
        number=next_number("VR", Report),
        resource=resource,
        reporter=reporter,
        subject=subject,
        received_at=since,
        answer_due_at=since + ANSWER_WITHIN,
        triage_due_at=since + TRIAGE_WITHIN,
    )
    ReportMessage.objects.create(report=report, author=reporter, from_us=False, text=text)
    if operator:
        audit.record("report.received", operator=operator, obj=report)
    else:
        ground.record("vulnerability_report.sent", resource=resource, actor=reporter, report=report.number)
    _mail(
        report,
        "received",
        f"Thank you for writing to us about {subject!r}.\n\nIt has the number {report.number}. A person answers within "
        f"{ANSWER_WITHIN.total_seconds() / 3600:.0f} hours, and we tell you what our investigation found within "
        f"{TRIAGE_WITHIN.total_seconds() / 3600:.0f} hours. To add something, answer this mail and name the number.",
    )
    return report


@transaction.atomic
def answer(report_id: int, *, operator: "User", text: str, internal: bool = False) -> ReportMessage:
    """Write an answer, which is mailed to the reporter and stops its clock, or a note for operators alone."""
    report = Report.objects.select_for_update(of=("self",)).get(pk=report_id)
    text = text.strip()
    if not text or len(text) > TEXT_MOST:
        raise Refusal("Write an answer of at most 20,000 characters.", code="incomplete")
    message = ReportMessage.objects.create(
        report=report, author=operator.get_username(), from_us=True, is_internal=internal, text=text
    )
    if not internal:
        report.answered_at = report.answered_at or timezone.now()
        report.save(update_fields=["answered_at"])
        _mail(report, f"answer-{message.pk}", text)
    audit.record("report.noted" if internal else "report.answered", operator=operator, obj=report)
    return message


@transaction.atomic
def add_from_reporter(report_id: int, *, reporter: str, text: str) -> ReportMessage:
    """What the reporter adds in the dashboard; a closed report is opened again."""
    report = Report.objects.select_for_update(of=("self",)).get(pk=report_id)
    text = text.strip()
    if not text or len(text) > TEXT_MOST:
        raise Refusal("Write something, of at most 20,000 characters.", code="incomplete")
    if report.state == ReportState.CLOSED:
        report.state, report.closed_at = ReportState.TRIAGED, None
        report.save(update_fields=["state", "closed_at"])
    return ReportMessage.objects.create(report=report, author=reporter[:320], from_us=False, text=text)


@transaction.atomic
def triage(
    report_id: int,
    *,
    operator: "User",
    state: str,
    severity: str = "",
    advisory_number: str = "",
    reason: str = "",
) -> Report:
    """Move a report on and link it to an advisory. Leaving `new` stops the triage clock. Refusal for a wrong turn."""
    report = Report.objects.select_for_update(of=("self",)).get(pk=report_id)
    before = {"state": report.state, "severity": report.severity}
    target = ReportState(state)
    if target != report.state and target not in _NEXT[ReportState(report.state)]:
        raise Refusal(
            f"A report that is {report.get_state_display().lower()} cannot become that.", code="wrong_turn"
        )
    if target == ReportState.CLOSED and report.answered_at is None:
        raise Refusal("Answer the report before you close it.", code="unanswered")
    if advisory_number:
        found = Advisory.objects.filter(number__iexact=advisory_number.strip()).first()
        if found is None:
            raise Refusal(f"There is no advisory {advisory_number}.", code="no_such_advisory")
        report.advisory = found
    now = timezone.now()
    report.severity = Severity(severity) if severity else report.severity
    if target != ReportState.NEW:
        report.triaged_at = report.triaged_at or now
    report.closed_at = now if target == ReportState.CLOSED else None
    report.state = target
    report.save()
    audit.record(
        "report.triaged",
        operator=operator,
        obj=report,
        reason=reason,
        before=before,
        after={"state": report.state, "severity": report.severity, "advisory": advisory_number},
    )
    return report


def late_reports() -> int:
    """How many open reports have an overdue answer or triage."""
    now, left = timezone.now(), Report.objects.exclude(state=ReportState.CLOSED)
    unanswered = left.filter(answered_at=None, answer_due_at__lt=now)
    return (unanswered | left.filter(triaged_at=None, triage_due_at__lt=now)).count()


def _mail(report: Report, what: str, text: str) -> None:
    outbox.post(
        key=f"report:{report.number}:{what}",
        kind="vulnerability-report",
        to=report.reporter,
        subject=f"{report.number}: {report.subject}",
        text=f"{text}\n\n{report.number}\n",
        reply_to=settings.SECURITY_CONTACT,
    )
