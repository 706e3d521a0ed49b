"""An operator's pages in a real browser: signing in from nothing, and every kind of page on a desk and on a phone."""

import base64
import json
from collections.abc import Callable

import pytest

from operators import second_factor
from tests.support.browser import Door, Visitor
from tests.support.stack import Stack

PAGES = (
    "/admin/",
    "/admin/account/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/operators/event/",
    "/admin/provisioning/resource/",
    "/admin/kafkacluster/tenant/",
    "/admin/password_change/",
)


@pytest.fixture(scope="module")
def password(stack: Stack) -> str:
    """The first operator's, as the command prints it."""
    told: str = json.loads(stack.manage("create_operator", "wanda", "--json"))["password"]
    return told


def test_an_operator_signs_in_from_nothing_and_every_page_is_fit_to_be_used(
    visit: Callable[..., Visitor], stack: Stack, door: Door, password: str
) -> None:
    addon = door.add("inference", "nova-lite")
    visitor = visit()
    page = visitor.page
    page.goto(f"{stack.web_url}/admin/")
    visitor.assert_accessible()
    page.get_by_label("Username").fill("wanda")
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.get_by_text("Set up your second factor").wait_for()
    visitor.assert_accessible()
    page.get_by_text("No camera?").click()
    secret = base64.b32decode((page.locator("#secret").text_content() or "").replace(" ", ""))
    page.get_by_label("Code", exact=True).fill(second_factor.current_code(secret))
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("Keep your recovery codes").wait_for()
    visitor.assert_accessible()
    page.get_by_text("I have kept them").click()
    page.locator("[name=new_password1]").fill("a horse stapled to batteries")
    page.locator("[name=new_password2]").fill("a horse stapled to batteries")
    visitor.assert_accessible()
    page.get_by_role("button", name="Set password").click()
    page.get_by_role("heading", name="Overview").wait_for()
    for path in (*PAGES, f"/admin/resources/{addon.id}/"):
        page.goto(f"{stack.web_url}{path}")
        visitor.assert_fine_on_desk_and_phone()
