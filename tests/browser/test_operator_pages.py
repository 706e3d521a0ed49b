"""An operator's pages in a real browser: signing in from nothing, and every page at two widths and in both themes."""

import re
import subprocess
import sys
from collections.abc import Callable
from json import loads

import pytest
from playwright.sync_api import Page

from operators import second_factor
from tests.support.browser import Visitor
from tests.support.stack import PROJECT, Stack

PAGES = (
    "/admin/",
    "/admin/account/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/operators/event/",
    "/admin/provisioning/resource/",
    "/admin/kafkacluster/tenant/",
    "/admin/password_change/",
    "/admin/app-submissions/",
)


def shot(page: Page, name: str) -> None:
    """Keep what the browser shows, where a person wants to look at it."""
    import os

    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.fixture(scope="module")
def password(stack: Stack) -> str:
    """The first operator's, as the command prints it."""
    done = subprocess.run(
        [sys.executable, "manage.py", "create_operator", "olga", "--json"],
        cwd=PROJECT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told: str = loads(done.stdout)["password"]
    return told


def test_an_operator_signs_in_from_nothing_and_every_page_is_fit_to_be_used(
    visit: Callable[..., Visitor], stack: Stack, password: str
) -> None:
    visitor = visit()
    page = visitor.page
    page.goto(f"{stack.web_url}/admin/")
    shot(page, "sign-in")
    visitor.assert_accessible()
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.get_by_text("Set up your second factor").wait_for()
    shot(page, "set-up")
    visitor.assert_accessible()
    page.get_by_text("No camera?").click()
    import base64

    secret = base64.b32decode((page.locator("#secret").text_content() or "").replace(" ", ""))
    page.get_by_label("Code", exact=True).fill(second_factor.current_code(secret))
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("Keep your recovery codes").wait_for()
    shot(page, "recovery-codes")
    visitor.assert_accessible()
    page.get_by_text("I have kept them").click()
    page.get_by_label("New password", exact=True).fill("a horse stapled to batteries")
    page.get_by_label(re.compile("confirmation")).fill("a horse stapled to batteries")
    shot(page, "new-password")
    visitor.assert_accessible()
    page.get_by_role("button", name="Set password").click()
    page.get_by_role("heading", name="Overview").wait_for()
    state = page.context.storage_state()
    for width in (1280, 390):
        for dark in (False, True):
            looker = visit(width=width, dark=dark, storage_state=state)
            for number, path in enumerate(PAGES):
                looker.page.goto(f"{stack.web_url}{path}")
                shot(looker.page, f"{number}-{width}-{'dark' if dark else 'light'}")
                looker.assert_fits()
                looker.assert_accessible()
