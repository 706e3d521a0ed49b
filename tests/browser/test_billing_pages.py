"""The pages about money in a real browser: a customer's month, and an operator who answers a question about March.

"What did we earn on kafkacluster in March, and why does the payout differ?" is answered from the pages alone.
"""

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from operators.roles import Role
from tests.support.browser import Addon, Door, Visitor
from tests.support.stack import Stack

Visit = Callable[..., Visitor]

# Lives of resources in March 2026, which no stand-in Heroku can make today.
HISTORY = """
from datetime import UTC, datetime
from provisioning.models import Plan, PlanPeriod, Resource
import uuid
march = lambda day, hour=0: datetime(2026, 3, day, hour, tzinfo=UTC)
lives = {
    "kafka-steady": [("basic-1", march(1), None)],
    "kafka-moved": [("basic-0", march(1), march(16, 12)), ("basic-1", march(16, 12), None)],
    "kafka-left": [("basic-1", march(1), march(16, 12))],
    "kafka-unpaid": [("starter", march(1), None)],
}
for name, parts in lives.items():
    plans = [Plan.objects.get(service="kafkacluster", slug=slug) for slug, _, _ in parts]
    ended = parts[-1][2] is not None
    made = Resource.objects.create(
        uuid=uuid.uuid4(), service="kafkacluster", plan=plans[-1], name=name, app_name=f"app-of-{name}", region="us",
        state="deprovisioned",
    )
    for plan, (_, starts, ends) in zip(plans, parts):
        PlanPeriod.objects.create(
            resource=made, plan=plan, price_cents=plan.price_cents, starts_at=starts, ends_at=ends or march(31, 23)
            if ended else ends or datetime(2026, 4, 1, tzinfo=UTC),
        )
"""
PAYOUT = """Add-on,Billing month,Payout
kafka-steady,2026-03,$70.00
kafka-moved,2026-03,$70.00
kafka-left,2026-03,$70.00
kafka-unheard-of,2026-03,$3.50
"""


def shot(page: Page, name: str) -> None:
    """Keep what the browser shows, where a person wants to look at it."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def fine(visitor: Visitor, name: str) -> None:
    """The page fits and is accessible on a desk and on a phone."""
    visitor.assert_fine_on_desk_and_phone()
    shot(visitor.page, name)
    if os.environ.get("SCREENSHOTS"):
        visitor.page.set_viewport_size({"width": 390, "height": 860})
        visitor.page.emulate_media(color_scheme="dark")
        visitor.page.wait_for_timeout(300)
        shot(visitor.page, f"{name}-phone")
        visitor.page.set_viewport_size({"width": 1280, "height": 860})
        visitor.page.emulate_media(color_scheme="light")


@pytest.fixture
def finance(operator: Callable[[Role, str], Visitor]) -> Visitor:
    """An operator of the role Finance, signed in."""
    return operator(Role.FINANCE, "flora")


def test_an_operator_answers_what_was_earned_in_march_and_why_the_payout_differs(
    stack: Stack, finance: Visitor
) -> None:
    stack.manage("shell", "--command", HISTORY)
    page = finance.page
    page.goto(f"{stack.web_url}/admin/")
    page.get_by_role("link", name="Revenue", exact=True).first.click()
    page.locator("select[name=month]").select_option("2026-03")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("An estimate up to now")).to_be_visible()

    # Heroku's share first, then March is closed.
    for service in ("inference", "kafkacluster", "mobiloud"):
        page.locator("select[name=service]").select_option(service)
        page.locator("input[name=since]").fill("2026-03")
        page.locator("input[name=percent]").fill("70")
        page.get_by_role("button", name="Set share").click()
        expect(page.get_by_text(f"Our share of {service} is 70 %")).to_be_visible()
    fine(finance, "revenue-open")
    page.get_by_role("button", name="Close March 2026…").click()
    shot(page, "close-dialog")
    page.get_by_label("to confirm").fill("2026-03")
    page.get_by_role("button", name="Close the month").click()
    expect(page.get_by_text("March 2026 is being closed")).to_be_visible()
    # What the worker does every quarter of a minute.
    stack.manage("shell", "--command", "from billing.closing import close_requested; close_requested()")
    page.reload()
    expect(page.get_by_text("4 statements are frozen")).to_be_visible()
    fine(finance, "revenue-closed")

    # The payout comes in.
    page.get_by_role("link", name="Payouts", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Heroku partner payout")
    page.get_by_label("Column of the resource").fill("Add-on")
    page.get_by_label("Column of the month").fill("Billing month")
    page.get_by_label("Column of the amount").fill("Payout")
    page.get_by_role("button", name="Save format").click()
    for answer in ("4 of 4 rows were new", "This file was imported before"):
        page.get_by_label("CSV file").set_input_files(
            {"name": "march.csv", "mimeType": "text/csv", "buffer": PAYOUT.encode()}
        )
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.get_by_text(answer)).to_be_visible()
    fine(finance, "payouts")

    # What did we earn on kafkacluster in March?
    page.get_by_role("link", name="Revenue", exact=True).click()
    page.get_by_role("link", name="March 2026", exact=True).click()
    page.get_by_role("link", name="KafkaCluster", exact=True).click()
    earned = page.locator("section", has=page.get_by_role("heading", name="What we earned"))
    # 100 + 60 + 50 + 5 dollars, of which 70 % are ours; Heroku paid for three of the four.
    expect(earned).to_contain_text("$215.00")
    expect(earned).to_contain_text("$150.50")
    expect(earned).to_contain_text("$210.00")
    expect(earned).to_contain_text("+$59.50")
    fine(finance, "service-month")

    # And why does the payout differ?
    page.get_by_role("link", name="Why the payout differs").click()
    why = page.locator("section", has=page.get_by_role("heading", name="Why it differs"))
    expect(why.get_by_role("row", name="Differs")).to_contain_text("+$63.00")
    expect(why.get_by_role("row", name="Missing there")).to_contain_text("-$3.50")
    expect(why).to_contain_text("1 row of March 2026 name no resource and no service of ours, $3.50 in all")
    left = page.get_by_role("article").filter(has_text="kafka-left")
    expect(left).to_contain_text(
        "The amount is that of 31.0 days on Basic-1; our statement counts 15.5 days."
    )
    moved = page.get_by_role("article").filter(has_text="kafka-moved")
    expect(moved).to_contain_text("Heroku counted plan Basic-1 for the whole month")
    fine(finance, "payout")
    moved.get_by_label("What explains it").fill("Heroku did not know of the plan change; ticket 42")
    moved.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("article").filter(has_text="ticket 42")).to_contain_text("resolved")

    # Down to one resource and its periods.
    page.get_by_role("article").filter(has_text="kafka-moved").get_by_role("link").click()
    statement = page.locator("section", has=page.get_by_role("heading", name="Statement"))
    expect(statement.get_by_role("row", name="Basic-0")).to_contain_text("$10.00")
    expect(statement.get_by_role("row", name="Basic-1")).to_contain_text("$50.00")
    fine(finance, "resource-month")
    with page.expect_download() as download:
        page.get_by_role("link", name="KafkaCluster", exact=True).click()
        page.get_by_role("link", name="Statements as CSV").click()
    assert "kafka-moved" in download.value.path().read_text()


USE = """
import uuid
from datetime import timedelta
from django.utils import timezone
from billing.ledger import ingest
from provisioning.models import PlanPeriod, Resource
from provisioning.services import UsageReading
resource = Resource.objects.get(uuid="{uuid}")
now = timezone.now()
PlanPeriod.objects.filter(resource=resource).update(starts_at=now - timedelta(days=70))
readings = []
for day in range(70):
    at = now - timedelta(days=day)
    for unit, size in (("input_tokens", 900_000), ("output_tokens", 250_000)):
        readings.append(UsageReading(uuid.uuid4(), resource.pk, at, unit, size + day * 13_331))
ingest("inference", readings)
"""


def used_addon(door: Door) -> Addon:
    """An inference add-on of seventy days with some use on each."""
    addon = door.add("inference", "nova-pro")
    door.stack.manage("shell", "--command", USE.format(uuid=addon.id))
    return addon


def test_a_customer_sees_the_month_so_far_its_use_and_sets_a_budget(door: Door, visit: Visit) -> None:
    addon = used_addon(door)
    visitor = visit()
    page = visitor.come_through(door, addon)
    page.get_by_role("link", name="Billing", exact=True).click()
    expect(page.get_by_text("This month so far", exact=True)).to_be_visible()
    expect(page.locator("[data-usage-chart] canvas")).to_have_count(1)
    page.get_by_text("Every day as a table").click()
    expect(page.locator(".plain-table tbody tr").first).to_be_visible()
    fine(visitor, "customer")

    page.get_by_label("Dollars a month").fill("lots")
    page.keyboard.press("Enter")
    expect(page.locator("[data-problem]").first).to_contain_text("Give dollars above 0")
    page.get_by_label("Dollars a month").fill("1.00")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Budget", exact=True)).to_be_visible()
    door.stack.manage("shell", "--command", "from billing.thresholds import check_all; check_all()")
    page.reload()
    expect(page.get_by_role("region", name="Notices")).to_contain_text("Budget")
    fine(visitor, "customer-budget")
    with page.expect_download() as download:
        page.get_by_role("link", name="Every month as CSV").click()
    assert "estimate" in download.value.path().read_text()
    page.locator("select[name=month]").select_option(index=1)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("[data-usage-chart] canvas")).to_have_count(1)


def test_a_service_that_meters_nothing_says_so(door: Door, visit: Visit) -> None:
    visitor = visit()
    page = visitor.come_through(door, door.add("mobiloud", "starter"))
    page.get_by_role("link", name="Billing", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing is metered")).to_be_visible()
    expect(page.get_by_text("come to $")).to_be_visible()
