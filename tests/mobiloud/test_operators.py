"""The operators' queue: who sees it, the way of a submission, mail at each change, and the package."""

import io
import json
import zipfile

import pytest
from django.test import Client

from addon.mobiloud.models import Submission, SubmissionState, Upload
from addon.mobiloud.review import MOVES
from mail.models import Mail
from operators.models import Event
from operators.roles import Role
from provisioning.models import AuditEvent
from tests.mobiloud.answers import fill, save, submit
from tests.mobiloud.conftest import Customer
from tests.support.operators import operator_client

pytestmark = pytest.mark.django_db
QUEUE = "/admin/app-submissions/"


@pytest.fixture
def submitted(paying: Customer) -> Customer:
    """A customer who has submitted, with a secret among the answers."""
    fill(paying)
    save(paying, {"admin_needed": "yes", "admin_url": "https://www.example.com/admin", "admin_user": "root"})
    save(paying, {"admin_password": "tiger-and-lion"})
    assert submit(paying).status_code == 200
    return paying


def number(customer: Customer) -> int:
    return Submission.objects.get(site=customer.site).pk


def move(client: Client, customer: Customer, to: str, *, was: str = "", reason: str = "") -> str:
    """Move it, and return what the page says then."""
    was = was or Submission.objects.get(pk=number(customer)).state
    path = f"{QUEUE}{number(customer)}/"
    assert client.post(f"{path}move", {"was": was, "to": to, "reason": reason}).status_code == 303
    return client.get(path).content.decode()


def state(customer: Customer) -> str:
    return str(Submission.objects.get(site=customer.site).state)


def test_the_queue_shows_what_was_handed_in_to_those_who_may_see_it(
    submitted: Customer, customer: Customer
) -> None:
    assert Client().get(QUEUE).status_code == 302
    assert operator_client(Role.FINANCE, username="fred").get(QUEUE).status_code == 403
    client = operator_client(Role.SUPPORT, username="sue")
    page = client.get(QUEUE).content.decode()
    assert submitted.site.website in page
    assert "ada@example.com" in client.get(f"{QUEUE}?state=submitted&q=ada").content.decode()
    assert "Nothing here" in client.get(f"{QUEUE}?state=live").content.decode()
    assert "App submissions to review" in client.get("/admin/").content.decode()
    shown = client.get(f"{QUEUE}{number(submitted)}/").content.decode()
    for words in ("Fine Teas Ltd", "Ada Lovelace", "starter", "Revision 1", "set, in the export only"):
        assert words in shown
    assert "tiger-and-lion" not in shown
    assert client.get(f"{QUEUE}{number(submitted)}/upload/{Upload.objects.get().pk}").status_code == 200
    assert "SHA-256" in client.get(f"{QUEUE}{number(submitted)}/certificate").content.decode()
    for action in ("move", "export"):
        assert client.post(f"{QUEUE}{number(submitted)}/{action}").status_code == 403


def test_a_submission_goes_its_way_with_a_mail_at_each_step(submitted: Customer) -> None:
    client = operator_client(Role.OPERATOR)
    Mail.objects.all().delete()
    for to in ("in_review", "building", "in_store_review", "live"):
        page = move(client, submitted, to)
        assert "the customer is written to" in page
        assert state(submitted) == to
        assert SubmissionState(to).label in submitted.get("publish/").content.decode()
    assert Mail.objects.count() == 8
    assert set(Mail.objects.values_list("to", flat=True)) == {"ada.apps@example.com", "ada@example.com"}
    subjects = list(Mail.objects.order_by("pk").values_list("subject", flat=True))
    assert subjects[0] == "Your mobile app: in review"
    assert subjects[-1] == "Your mobile app: live"
    assert Event.objects.filter(action="mobiloud.submission_moved").count() == 4
    told = AuditEvent.objects.filter(event="mobiloud.state_changed").order_by("pk")
    assert [event.detail["state"] for event in told] == ["in_review", "building", "in_store_review", "live"]


def test_only_the_ways_of_the_table_are_open(submitted: Customer) -> None:
    client = operator_client(Role.OPERATOR)
    for start in SubmissionState:
        for to in (*SubmissionState, "nonsense"):
            if start == SubmissionState.DRAFT or to == start or to in MOVES[start]:
                continue
            Submission.objects.update(state=start)
            assert "no way to that state" in move(client, submitted, to, reason="x")
            assert state(submitted) == start


def test_two_operators_at_once_do_not_overtake_each_other(submitted: Customer) -> None:
    client = operator_client(Role.OPERATOR)
    Mail.objects.all().delete()
    move(client, submitted, "in_review", was="submitted")
    assert "by now" in move(client, submitted, "changes_requested", was="submitted", reason="x")
    move(client, submitted, "in_review", was="submitted")
    assert state(submitted) == "in_review"
    assert Mail.objects.count() == 2


def test_reopening_needs_a_reason_and_unlocks_the_form(submitted: Customer) -> None:
    client = operator_client(Role.OPERATOR)
    assert "Say what the customer is to change" in move(client, submitted, "changes_requested")
    assert state(submitted) == "submitted"
    move(client, submitted, "changes_requested", reason="The icon shows another brand.")
    assert "The icon shows another brand." in submitted.get("publish/").content.decode()
    assert "The icon shows another brand." in Mail.objects.order_by("-pk")[0].text
    submitted.save("settings", {"label": "After the change", "links": []})
    assert save(submitted, {"company": "Finer Teas Ltd"}).json()["saved"]
    assert submit(submitted).status_code == 200
    again = Submission.objects.get()
    assert again.revision is not None
    assert (again.state, again.revision.number) == ("submitted", 2)


def test_notes_are_the_operators_own(submitted: Customer) -> None:
    client = operator_client(Role.SUPPORT)
    path = f"{QUEUE}{number(submitted)}/"
    client.post(f"{path}note", {"text": "Called, no answer <b>"})
    client.post(f"{path}note", {"text": "  "})
    client.post(f"{path}assign")
    page = client.get(path).content.decode()
    assert "Called, no answer &lt;b&gt;" in page
    assert "olga: take it over" in page
    assert "Called" not in submitted.get("publish/").content.decode()
    assert Submission.objects.get().notes.filter(told=False).count() == 1


def test_the_package_has_everything_and_secrets_only_when_asked_for(submitted: Customer) -> None:
    frozen = submitted.configuration
    submitted.save("settings", {"label": "Saved after it was handed in", "links": []})
    submitted.move_to("elite")
    client = operator_client(Role.OPERATOR)
    path = f"{QUEUE}{number(submitted)}/export"
    packages = [client.post(path, fields) for fields in ({}, {"secrets": "yes"})]
    archives = [zipfile.ZipFile(io.BytesIO(answer.getvalue())) for answer in packages]
    assert {name.partition("/")[0] for name in archives[0].namelist()} == {
        "submission.json",
        "configuration.json",
        "graphics",
        "signature-certificate.html",
    }
    plain, whole = (json.loads(archive.read("submission.json")) for archive in archives)
    assert plain["answers"]["access"]["admin_password"] is True
    assert whole["answers"]["access"]["admin_password"] == "tiger-and-lion"
    assert (whole["plan_when_submitted"], whole["plan_now"]) == ("starter", "elite")
    assert "live_app" in whole["capabilities_now"]
    assert whole["configuration_revision"] == 1
    assert json.loads(archives[0].read("configuration.json")) == frozen != submitted.configuration
    events = Event.objects.filter(action="mobiloud.exported").order_by("pk")
    assert [event.after for event in events] == [{"with_secrets": False}, {"with_secrets": True}]


def test_a_removed_add_on_is_left_alone(submitted: Customer) -> None:
    client = operator_client(Role.OPERATOR)
    submitted.remove()
    page = move(client, submitted, "in_review")
    assert "The add-on was removed." in page
    assert state(submitted) == "submitted"
    assert client.post(f"{QUEUE}{number(submitted)}/export").status_code == 302
