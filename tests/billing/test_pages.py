"""The customer's and the operators' pages about money, by the requests that browsers send."""

import csv
import io
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from billing import csv_files, shares
from billing.closing import close_month, close_requested, request_close
from billing.ledger import ingest
from billing.models import Budget, Correction, MonthClose, PayoutFile, Resolution
from billing.months import Month
from operators.models import Event
from operators.roles import Role
from provisioning.models import AuditEvent, Plan, PlanPeriod, Resource
from provisioning.services import UsageReading, all_services
from tests.support.operators import operator_client
from tests.support.partner import Partner
from tests.support.sso import log_in

pytestmark = pytest.mark.django_db
TODAY = datetime.now(tz=UTC)
MARCH = Month(TODAY.year if TODAY.month > 4 else TODAY.year - 1, 3)
"""The last March that is over for a month."""


@pytest.fixture
def finance(settings: Settings, plans: None) -> Client:
    """An operator of the role Finance. Signed in before the clock is set: codes and sessions go by it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return operator_client(Role.FINANCE)


@pytest.fixture
def kafka(plans: None) -> Resource:
    """On Basic-0 all through March, and Basic-1 from its sixteenth day."""
    made = Partner("kafkacluster").provisioned(name="=cmd|calc")
    made.plan_periods.all().delete()
    moved = MARCH.start + timedelta(days=15, hours=12)
    for slug, starts, ends in (("basic-0", MARCH.start, moved), ("basic-1", moved, None)):
        plan = Plan.objects.get(service="kafkacluster", slug=slug)
        PlanPeriod.objects.create(
            resource=made, plan=plan, price_cents=plan.price_cents, starts_at=starts, ends_at=ends
        )
    return made


def set_shares() -> None:
    for slug in all_services():
        shares.set_share(service=slug, since=MARCH, percent=Decimal(70), actor="finance")


def rows(answer: object) -> list[list[str]]:
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.reader(io.StringIO(text)))


# --- operators ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", [Role.SUPPORT, Role.OPERATOR, Role.SECURITY])
def test_other_roles_are_kept_out(settings: Settings, plans: None, role: Role) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    client = operator_client(role)
    for path in (
        "revenue/",
        "payouts/",
        "revenue.csv",
        f"{MARCH}/kafkacluster/",
        f"{MARCH}/kafkacluster/payout/",
    ):
        assert client.get(f"/admin/money/{path}").status_code == 403
    for path in ("share", f"{MARCH}/close", "payouts/format", f"{MARCH}/kafkacluster/payout/resolve"):
        assert client.post(f"/admin/money/{path}").status_code == 403
    assert Client().get("/admin/money/revenue/").status_code == 302


def test_a_month_from_share_to_close_to_statement(finance: Client, kafka: Resource) -> None:
    page = finance.get(f"/admin/money/revenue/?month={MARCH}").content.decode()
    assert "Set our share for" in page
    for slug in all_services():
        answer = finance.post("/admin/money/share", {"service": slug, "since": str(MARCH), "percent": "70"})
        assert answer.status_code == 302
    assert shares.share_of("kafkacluster", MARCH) == 70
    assert "Month to close" in finance.get("/admin/").content.decode()
    page = finance.get(f"/admin/money/revenue/?month={MARCH}").content.decode()
    assert f"Type <strong>{MARCH}</strong> to confirm" in page
    finance.post(f"/admin/money/{MARCH}/close", {"confirmation": "yes"})
    assert not MonthClose.objects.exists()
    finance.post(f"/admin/money/{MARCH}/close", {"confirmation": str(MARCH)})
    assert "Being closed since" in finance.get(f"/admin/money/revenue/?month={MARCH}").content.decode()
    assert close_requested() == [MARCH]
    page = finance.get(f"/admin/money/{MARCH}/kafkacluster/").content.decode()
    # Half a month of 20 and half of 100 dollars; 70 % of it is ours.
    assert "$60.00" in page
    assert "$42.00" in page
    page = finance.get(f"/admin/money/{MARCH}/resource/{kafka.uuid}/").content.decode()
    assert "$50.00" in page
    assert "16 Mar 12:00:00" in page
    assert set(Event.objects.values_list("action", flat=True)) >= {"billing.set_share", "billing.close_month"}


def test_a_payout_is_imported_explained_and_resolved(finance: Client, kafka: Resource) -> None:
    set_shares()
    request_close(MARCH, actor="finance")
    close_month(MARCH)
    finance.post(
        "/admin/money/payouts/format",
        {"name": "Heroku", "resource": "Add-on", "month": "Month", "amount": "Paid", "amount_in": "dollars"},
    )
    page = finance.get("/admin/money/payouts/").content.decode()
    number = page.partition('<option value="')[2].partition('"')[0]
    content = f"Add-on,Month,Paid\n{kafka.uuid},{MARCH},70.00\n".encode()
    for _ in range(2):
        upload = SimpleUploadedFile("march.csv", content)
        finance.post("/admin/money/payouts/", {"format": number, "file": upload})
    assert PayoutFile.objects.count() == 1
    page = finance.get(f"/admin/money/{MARCH}/kafkacluster/payout/").content.decode()
    assert "+$28.00" in page
    assert "Heroku counted plan Basic-1 for the whole month" in page
    finance.post(
        f"/admin/money/{MARCH}/kafkacluster/payout/resolve",
        {"reference": str(kafka.uuid), "expected": "4200", "paid": "7000", "note": "Told Heroku"},
    )
    assert Resolution.objects.get().note == "Told Heroku"
    assert "Told Heroku" in finance.get(f"/admin/money/{MARCH}/kafkacluster/payout/").content.decode()
    page = finance.get(f"/admin/money/{MARCH}/kafkacluster/").content.decode()
    assert "Paid beyond what we expected" in page


def test_a_correction_is_booked_with_its_reason(finance: Client, kafka: Resource) -> None:
    set_shares()
    request_close(MARCH, actor="finance")
    close_month(MARCH)
    path = f"/admin/money/{MARCH}/resource/{kafka.uuid}/correct"
    finance.post(path, {"dollars": "-5,0,0x", "reason": "why"})
    finance.post(path, {"dollars": "-5.00", "reason": ""})
    assert not Correction.objects.exists()
    finance.post(path, {"dollars": "-5.00", "reason": "An outage"})
    assert Correction.objects.get().gross_cents == -500
    assert Event.objects.get(action="billing.correct").reason == "An outage"


def test_exports_are_audited_and_hold_no_formula(finance: Client, kafka: Resource) -> None:
    set_shares()
    request_close(MARCH, actor="finance")
    close_month(MARCH)
    found = rows(finance.get(f"/admin/money/{MARCH}/kafkacluster/statements.csv"))
    assert found[1][2] == "'=cmd|calc"
    assert found[1][5:] == ["60.00", "0.00", "60.00", "42.00"]
    revenue = rows(finance.get("/admin/money/revenue.csv"))
    march = next(row for row in revenue if row[:2] == [str(MARCH), "kafkacluster"])
    assert march[revenue[0].index("gross")] == "60.00"
    assert march[revenue[0].index("net")] == "42.00"
    assert rows(finance.get(f"/admin/money/{MARCH}/kafkacluster/payout.csv"))[1][4] == "missing_there"
    assert Event.objects.filter(action="billing.export").count() == 3


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1"])
def test_a_text_that_could_run_is_disarmed(text: str) -> None:
    assert csv_files.safe(text) == f"'{text}"


def test_a_text_that_cannot_run_and_a_number_stay() -> None:
    assert [csv_files.safe(value) for value in ("a=1", 5, None, "")] == ["a=1", 5, "", ""]


def test_addresses_of_no_month_and_no_service_are_not_found(finance: Client) -> None:
    for path in ("2026-13/kafkacluster/", "0000-01/kafkacluster/", f"{MARCH}/nothing/"):
        assert finance.get(f"/admin/money/{path}").status_code == 404
    assert finance.get("/admin/money/revenue/?month=nonsense").status_code == 200


# --- customers ----------------------------------------------------------------------------------------------
def test_a_customer_sees_the_month_so_far_and_downloads_it(
    ready: Callable[..., Resource], client: Client
) -> None:
    resource = ready("inference")
    now = datetime.now(tz=UTC)
    ingest("inference", [UsageReading(uuid.uuid4(), resource.pk, now, "output_tokens", 5_000_000)])
    log_in(client, resource)
    page = client.get(f"/billing/{resource.uuid}/").content.decode()
    assert "estimate" in page
    assert "$1.20" in page  # five million at 24 cents
    assert "5,000,000" in page
    found = rows(client.get(f"/billing/{resource.uuid}/usage.csv"))
    assert found[1][1:] == ["hour", "output_tokens", "5000000"]
    history = rows(client.get(f"/billing/{resource.uuid}/history.csv"))
    assert ["estimate", "1.20"] in [[row[1], row[4]] for row in history]
    assert AuditEvent.objects.filter(resource=resource, event="billing.exported").count() == 2


@pytest.mark.parametrize(("text", "cents"), [("12.50", 1_250), ("$1,000", 100_000), ("", None)])
def test_a_budget_is_set_and_removed(
    ready: Callable[..., Resource], client: Client, text: str, cents: int | None
) -> None:
    resource = ready("inference")
    log_in(client, resource)
    assert client.post(f"/dashboard/{resource.uuid}/budget", {"dollars": text}).status_code == 200
    row = Budget.objects.filter(resource=resource).first()
    assert (row.cents if row else None) == cents


@pytest.mark.parametrize("text", ["0", "-1", "1.005", "many", "NaN", "1e30"])
def test_a_budget_that_is_none_is_refused(ready: Callable[..., Resource], client: Client, text: str) -> None:
    resource = ready("inference")
    log_in(client, resource)
    assert client.post(f"/dashboard/{resource.uuid}/budget", {"dollars": text}).status_code == 422
    assert not Budget.objects.exists()


def test_another_resources_billing_is_closed(ready: Callable[..., Resource], client: Client) -> None:
    mine, other = ready("inference"), ready("inference")
    log_in(client, mine)
    for path in ("", "usage.csv", "history.csv"):
        assert client.get(f"/billing/{other.uuid}/{path}").status_code == 401
    assert client.post(f"/dashboard/{other.uuid}/budget", {"dollars": "1"}).status_code == 401
