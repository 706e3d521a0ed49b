"""An advisory in a real browser: two operators bring it from draft to sent, and an affected customer answers."""

import os
from collections.abc import Callable

from playwright.sync_api import Page, expect

from operators.roles import Role
from tests.support.browser import Door, Visitor
from tests.support.stack import Stack, until

Operator = Callable[[Role, str], Visitor]


class Counted:
    """Presses buttons and links of a page, and keeps which."""

    def __init__(self, page: Page, clicks: list[str]) -> None:
        self.page, self.clicks = page, clicks

    def press(self, name: str, *, role: str = "button") -> None:
        """One click, on what has this name."""
        found = self.page.locator("summary", has_text=name) if role == "summary" else None
        (found or self.page.get_by_role(role, name=name, exact=True)).click()  # type: ignore[arg-type]
        self.clicks.append(name)


def fine(visitor: Visitor, name: str) -> None:
    """The page fits and is accessible on a desk and on a phone."""
    visitor.assert_fine_on_desk_and_phone()
    if folder := os.environ.get("SCREENSHOTS"):
        for width in (1280, 390):
            visitor.page.set_viewport_size({"width": width, "height": 860})
            for scheme in ("light", "dark"):
                visitor.page.emulate_media(color_scheme=scheme)
                visitor.page.wait_for_timeout(250)
                visitor.page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)
        visitor.page.set_viewport_size({"width": 1280, "height": 860})
        visitor.page.emulate_media(color_scheme="light")


def test_two_operators_bring_a_draft_to_its_sending_in_under_ten_clicks_and_a_customer_answers(
    stack: Stack, door: Door, visit: Callable[..., Visitor], operator: Operator
) -> None:
    addon = door.add("inference", "nova-lite")
    olga, rita = operator(Role.SECURITY, "olga"), operator(Role.SECURITY, "rita")
    clicks: list[str] = []
    writer, reviewer = Counted(olga.page, clicks), Counted(rita.page, clicks)

    page = olga.page
    page.goto(f"{stack.web_url}/admin/advisories/new/")
    page.get_by_label("Title").fill("Keys in a log file")
    page.get_by_label("CVSS 3.1 or 4.0 vector").fill("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H")
    page.get_by_label("Summary").fill("Keys of inference were written to a log.")
    page.get_by_label("How to check whether you are affected").fill("Every key is affected.")
    page.get_by_label("Step 1").fill("Rotate the key.")
    writer.press("A list of resources", role="summary")
    uploaded = {"name": "affected.csv", "mimeType": "text/csv", "buffer": f"id,name\n{addon.id},x\n".encode()}
    page.get_by_label("Or a file with them").set_input_files(uploaded)  # type: ignore[arg-type]
    expect(page.get_by_label("Resource uuids")).to_have_value(addon.id)
    expect(page.locator("[data-scope-count]")).to_contain_text("1 resource affected now")
    fine(olga, "form")
    writer.press("Save draft")
    writer.press("Submit for review")
    expect(page.get_by_text("a second operator has to approve it")).to_be_visible()
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)

    rita.page.goto(f"{stack.web_url}/admin/advisories/")
    reviewer.press("Keys in a log file", role="link")
    fine(rita, "review")
    reviewer.press("Approve")
    reviewer.press("Send…")
    reviewer.press("Send now")
    expect(rita.page.get_by_text("Sending has begun.")).to_be_visible()
    assert len(clicks) < 10, clicks
    # The page follows the sending by itself: what comes after it can be chosen now.
    expect(rita.page.get_by_role("button", name="Write an update")).to_be_visible(timeout=60_000)
    fine(rita, "sent")

    visitor = visit()
    page = visitor.come_through(door, addon)
    banner = page.get_by_role("region", name="Notices")
    expect(banner).to_contain_text("Critical security notice: Keys in a log file")
    banner.get_by_role("button", name="Acknowledge").click()
    expect(banner).to_contain_text("it stays here until it is mitigated")
    banner.get_by_role("link", name="What to do now").click()
    expect(page.get_by_text("Rotate the key.")).to_be_visible()
    fine(visitor, "security")
    banner.get_by_role("button", name="Mark mitigated").click()
    expect(banner).to_have_count(0)
    until(lambda: stack.rows("SELECT mitigated_by FROM advisories_affected WHERE mitigated_by <> ''"))


def test_a_customer_s_report_is_answered_and_what_is_cleared_is_public(
    stack: Stack, door: Door, visit: Callable[..., Visitor], operator: Operator
) -> None:
    visitor = visit()
    addon = door.add("inference", "nova-lite")
    page = visitor.come_through(door, addon)
    page.get_by_role("link", name="Contacts", exact=True).click()
    page.get_by_label("E-mail address").fill("security@example.com")
    page.get_by_role("button", name="Add security contact").click()
    expect(page.get_by_role("button", name="Remove security@example.com")).to_be_visible()
    fine(visitor, "contacts")
    page.get_by_role("link", name="Security", exact=True).click()
    page.get_by_label("Subject").fill("Is CVE-2026-0001 about us?")
    page.get_by_label("What have you seen?").fill("A scanner says so.")
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_role("heading", name="Is CVE-2026-0001 about us?")).to_be_visible()

    support = operator(Role.SUPPORT, "sam")
    desk = support.page
    desk.goto(f"{stack.web_url}/admin/vulnerability-reports/")
    fine(support, "reports")
    desk.get_by_role("link", name="Is CVE-2026-0001 about us?").click()
    desk.get_by_label("Answer").fill("It is not: the library is not in use.")
    desk.get_by_role("button", name="Send answer").click()
    expect(desk.get_by_text("Answer sent to")).to_be_visible()
    fine(support, "report")
    desk.goto(f"{stack.web_url}/admin/vulnerability-reports/new/")
    fine(support, "report-form")
    desk.goto(f"{stack.web_url}/admin/mail/mail/?q=developer@example.com")
    expect(desk.get_by_role("link", name="Is CVE-2026-0001 about us?").first).to_be_visible()
    fine(support, "mails")
    desk.goto(f"{stack.web_url}/admin/mail/mail/?q=report:")
    desk.get_by_role("link", name="Is CVE-2026-0001 about us?").first.click()
    expect(desk.get_by_text("the library is not in use")).to_be_visible()
    fine(support, "mail")

    page.reload()
    expect(page.get_by_text("It is not: the library is not in use.")).to_be_visible()
    page.goto(f"{stack.web_url}/advisories/")
    fine(visitor, "public")
