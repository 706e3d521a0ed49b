"""MobiLoud's configuration in a real browser: by mouse, by keyboard alone, on a phone, and in two tabs."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Addon, Door, Visitor, follow
from tests.support.website import Website

Visit = Callable[..., Visitor]


@pytest.fixture
def addon(door: Door, shop: Website) -> Addon:
    """An add-on whose website may be on this machine."""
    shop.headers.clear()
    return door.add("mobiloud", "test")


def revision_of(door: Door, addon: Addon) -> dict[str, Any]:
    """The newest configuration in the database."""
    rows = door.stack.rows(
        "SELECT v.content FROM mobiloud_revision v JOIN mobiloud_site s ON s.id = v.site_id AND s.revision = v.number "
        "JOIN provisioning_resource r ON r.id = s.resource_id WHERE r.uuid = %s",
        addon.id,
    )
    found: dict[str, Any] = json.loads(rows[0]["content"])
    return found


def name_website(page: Page, shop: Website) -> None:
    page.get_by_label("Website URL").fill(shop.url)
    follow(page, page.get_by_role("button", name="Save", exact=True), "**/configure/menu/")


def test_by_mouse_from_the_first_page_to_a_configured_app(
    door: Door, visit: Visit, addon: Addon, shop: Website
) -> None:
    page = visit().come_through(door, addon)
    name_website(page, shop)
    preview = page.locator("[data-preview]")
    expect(preview.frame_locator("iframe").get_by_role("heading", name="Fine Teas")).to_be_visible()
    expect(preview.locator("[data-preview-state]")).to_have_text("Saved")

    page.get_by_role("button", name="Add tab").click()
    row = page.locator("[data-row]").nth(1)
    row.get_by_label("Label").fill("News")
    row.get_by_label("URL").fill(f"{shop.url}news")
    row.get_by_role("button", name="Icon of News: none").click()
    page.get_by_role("searchbox").fill("news")
    page.get_by_role("button", name="news", exact=True).click()
    expect(preview.locator("[data-preview-state]")).to_have_text("Unsaved changes")
    expect(preview.locator(".phone-tab")).to_have_text(["Home", "News"])
    first, second = page.locator("[data-handle]").nth(0), page.locator("[data-handle]").nth(1)
    second.drag_to(first)
    expect(preview.locator(".phone-tab")).to_have_text(["News", "Home"])
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-save-state]")).to_have_text("Saved as revision 2")
    assert [tab["label"] for tab in revision_of(door, addon)["menu"]["tabs"]] == ["News", "Home"]
    assert revision_of(door, addon)["menu"]["tabs"][0]["icon"] == "news"

    follow(page, page.get_by_role("link", name="Colors"), "**/configure/colors/")
    page.get_by_label("Active tab", exact=True).fill("#EEEEEE")
    expect(page.locator('[data-contrast="tab_active"]')).to_contain_text("Hard to read")
    page.get_by_label("Active tab: pick", exact=True).fill("#004488")
    expect(page.get_by_label("Active tab", exact=True)).to_have_value("#004488")
    expect(page.locator('[data-contrast="tab_active"]')).to_be_empty()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-save-state]")).to_have_text("Saved as revision 3")
    follow(page, page.get_by_role("link", name="History").first, "**/history/")
    expect(page.locator(".revisions > li")).to_have_count(3)
    page.get_by_role("button", name="Roll back to revision 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("[data-toasts]")).to_contain_text("this is revision 4 now")
