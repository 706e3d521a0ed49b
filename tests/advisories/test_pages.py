"""The pages of customers and operators, by HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from advisories import reports
from advisories.models import Advisory, Affected, Report, ReportState
from mail.models import Mail
from operators.roles import Role
from provisioning.models import Resource
from provisioning.services import Refusal
from tests.advisories.conftest import owner
from tests.support.operators import operator_client, sign_in
from tests.support.sso import EMAIL, dashboard_path

pytestmark = pytest.mark.django_db

FORM = {
    "title": "Keys in a log file",
    "kind": "exposure",
    "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
    "summary": "Keys were written to a log.",
    "contact": "security@example.com",
    "how_to_check": "All are affected.",
    "step_text": ["Rotate the key.", ""],
    "step_command": ["heroku addons:open inference", ""],
    "step_deadline": ["2026-12-01", ""],
    "timeline": "2026-11-20 14:05 We were told.",
    "services": ["inference"],
    "remedy_is_rotation": "yes",
}


def press(client: Client, advisory: Advisory, name: str, **data: str) -> str:
    """Push a button of the advisory's page; what the page then says."""
    answer = client.post(f"/admin/advisories/{advisory.number}/do/{name}/", data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_two_operators_bring_a_draft_to_its_sending(
    resource: Resource, olga: User, rita: User, woken: Any
) -> None:
    owner(resource)
    writes, reviews = sign_in(olga), sign_in(rita)
    assert writes.post("/admin/advisories/new/", FORM).status_code == 302
    advisory = Advisory.objects.get()
    assert "You wrote this version" in press(writes, advisory, "submit")
    assert "a second operator has to review it" in press(writes, advisory, "approve")
    assert "Waits for your review" in reviews.get(f"/admin/advisories/{advisory.number}/").content.decode()
    assert "Approved" in press(reviews, advisory, "approve")
    assert "Sending has begun" in press(writes, advisory, "send")
    assert Affected.objects.get().resource == resource
    assert "no version in the works" in press(writes, advisory, "send")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cvss_vector": "CVSS:3.1/AV:Q"}, "no valid CVSS vector"),
        ({"step_deadline": ["soon", ""]}, "no date"),
        ({"cves": "CVE-1"}, "no CVE id"),
        ({"uuids": "x"}, "no resource"),
        ({"timeline": "today"}, "Begin each line"),
    ],
)
def test_a_form_that_does_not_hold_says_why_and_keeps_what_was_written(
    olga: User, change: dict[str, Any], said: str
) -> None:
    answer = sign_in(olga).post("/admin/advisories/new/", {**FORM, **change})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert said in page
    assert "Keys were written to a log." in page
    assert not Advisory.objects.exists()


def test_the_scope_is_counted_live_with_a_sample(resource: Resource, other: Resource, olga: User) -> None:
    client = sign_in(olga)
    found = client.post("/admin/advisories/scope/", {"services": ["inference"]}).json()
    assert (found["count"], len(found["sample"])) == (2, 2)
    assert client.post("/admin/advisories/scope/", {}).json()["count"] == 0
    assert client.post("/admin/advisories/scope/", {"uuids": "x"}).status_code == 422


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.OPERATOR, Role.FINANCE])
def test_other_roles_have_no_advisories(role: Role, sent: Callable[..., Advisory]) -> None:
    advisory, client = sent(), operator_client(role, username="otto")
    for path in ("", "new/", f"{advisory.number}/", f"{advisory.number}/evidence.csv"):
        assert client.get(f"/admin/advisories/{path}").status_code == 403
    assert client.post(f"/admin/advisories/{advisory.number}/do/send/").status_code == 403


def test_a_published_advisory_shows_progress_and_is_exported(
    resource: Resource, sent: Callable[..., Advisory], olga: User
) -> None:
    owner(resource)
    advisory, client = sent(), sign_in(olga)
    Advisory.objects.update(published_at=timezone.now())
    page = client.get(f"/admin/advisories/{advisory.number}/").content.decode()
    assert "Mails sent" in page
    lines = client.get(f"/admin/advisories/{advisory.number}/evidence.csv").content.decode().splitlines()
    assert "owner@example.com" in lines[1]
    assert "Listed for everybody" in press(client, advisory, "make-public")
    assert "being rotated" in press(client, advisory, "rotate", reason="Leaked")


def test_the_banner_stands_until_somebody_answers_and_a_critical_one_until_it_is_mitigated(
    resource: Resource, other: Resource, sent: Callable[..., Advisory], opened: Callable[..., Client]
) -> None:
    about = {"scope": {"uuids": [str(resource.uuid)]}}
    high = sent(about=about)
    critical = sent(about=about, title="Worse", cvss_vector=FORM["cvss_vector"])
    browser, stranger = opened(resource), opened(other)
    path, actions = dashboard_path(resource), f"/dashboard/{resource.uuid}/advisories"

    def banner() -> list[str]:
        page = browser.get(path).content.decode()
        return [
            title for title in ("Critical security notice: Worse", "High security notice") if title in page
        ]

    assert len(banner()) == 2
    assert "security notice" not in stranger.get(dashboard_path(other)).content.decode()
    for advisory in (high, critical):
        assert browser.post(f"{actions}/{advisory.number}/acknowledge").status_code == 200
    assert banner() == ["Critical security notice: Worse"]
    assert high.affected.get().acknowledged_by == EMAIL
    browser.post(f"{actions}/{critical.number}/mitigated")
    assert banner() == []
    page = browser.get(f"/security/{resource.uuid}/").content.decode()
    assert "Rotate the key." in page
    refused = stranger.post(f"/dashboard/{other.uuid}/advisories/{high.number}/acknowledge")
    assert refused.status_code == 422


def test_viewers_see_the_notice_but_answer_nothing(
    resource: Resource,
    sent: Callable[..., Advisory],
    opened: Callable[..., Client],
    viewer_form: dict[str, None],
) -> None:
    advisory, viewer = sent(), opened(resource, **viewer_form)
    page = viewer.get(f"/security/{resource.uuid}/").content.decode()
    assert advisory.number in page
    assert "Mark mitigated" not in page
    answer = viewer.post(f"/dashboard/{resource.uuid}/advisories/{advisory.number}/acknowledge")
    assert answer.status_code == 403


def test_the_remedy_is_offered_in_place(
    ready: Callable[..., Resource], sent: Callable[..., Advisory], opened: Callable[..., Client]
) -> None:
    resource = ready("inference")
    advisory, browser = sent(about={"remedy_is_rotation": True}), opened(resource)
    key = resource.credentials.get(state="active").public_id
    assert key in browser.get(f"/security/{resource.uuid}/").content.decode()
    for expected in ("Rotation started.", "The rotation is under way."):
        answer = browser.post(
            f"/dashboard/{resource.uuid}/advisories/{advisory.number}/rotate", {"replaces": key}
        )
        assert answer.json()["message"] == expected
    assert resource.operations.filter(kind="rotation").count() == 1


# --- reports ------------------------------------------------------------------------------------------------------
def test_a_customer_s_report_has_clocks_answers_and_a_link_to_an_advisory(
    resource: Resource, sent: Callable[..., Advisory], opened: Callable[..., Client]
) -> None:
    browser, support = opened(resource), operator_client(Role.SUPPORT, username="sam")
    path = f"/dashboard/{resource.uuid}/vulnerability-reports"
    assert browser.post(path, {"subject": "", "text": "x"}).status_code == 422
    assert browser.post(path, {"subject": "Odd log", "text": "Keys in the log?"}).status_code == 200
    report = Report.objects.get()
    assert report.answer_due_at - report.received_at == timedelta(hours=24)
    assert Mail.objects.get(kind="vulnerability-report").to == EMAIL
    assert "Odd log" in support.get("/admin/vulnerability-reports/").content.decode()
    there, advisory = f"/admin/vulnerability-reports/{report.number}/", sent()
    support.post(there, {"what": "note", "text": "Looks real."})
    assert Report.objects.filter(answered_at=None).exists()
    closed = support.post(there, {"what": "triage", "state": "closed"}, follow=True)
    assert "Answer the report before" in closed.content.decode()
    support.post(there, {"what": "answer", "text": "It is confirmed, thank you."})
    support.post(
        there, {"what": "triage", "state": "confirmed", "severity": "high", "advisory": advisory.number}
    )
    report.refresh_from_db()
    assert (report.state, report.severity, report.advisory) == (ReportState.CONFIRMED, "high", advisory)
    assert report.answered_at
    assert report.triaged_at
    page = browser.get(f"/security/{resource.uuid}/").content.decode()
    assert "It is confirmed, thank you." in page
    assert "Looks real." not in page
    assert Mail.objects.filter(kind="vulnerability-report", text__contains="It is confirmed").count() == 1


def test_overdue_reports_are_counted_and_a_closed_one_opens_when_the_customer_adds_to_it(
    resource: Resource, olga: User, woken: Any
) -> None:
    report = reports.receive(reporter="ada@example.com", subject="A", text="B", resource=resource)
    assert reports.late_reports() == 0
    Report.objects.update(answer_due_at=timezone.now() - timedelta(minutes=1))
    assert reports.late_reports() == 1
    reports.answer(report.pk, operator=olga, text="No.")
    assert reports.late_reports() == 0
    reports.triage(report.pk, operator=olga, state="closed")
    with pytest.raises(Refusal):
        reports.triage(report.pk, operator=olga, state="new")
    reports.add_from_reporter(report.pk, reporter="ada@example.com", text="But look.")
    report.refresh_from_db()
    assert (report.state, report.closed_at) == (ReportState.TRIAGED, None)


def test_an_operator_takes_a_report_in_for_somebody_who_wrote(resource: Resource) -> None:
    client = operator_client(Role.SUPPORT, username="sam")
    form = {
        "reporter": "eve@example.com",
        "subject": "By mail",
        "text": "Hello",
        "resource": str(resource.uuid),
    }
    assert client.post("/admin/vulnerability-reports/new/", {**form, "resource": "x"}).status_code == 422
    assert client.post("/admin/vulnerability-reports/new/", form).status_code == 302
    assert Report.objects.get().resource == resource
