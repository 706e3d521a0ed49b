"""MobiLoud from the first page to a submitted app: by keyboard alone, on a phone, offline, and while servers die."""

import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.test_mobiloud_configure import name_website, revision_of
from tests.mobiloud.answers import COMPLETE
from tests.support.browser import Addon, Door, Visitor, follow
from tests.support.stack import PROJECT, Stack, until
from tests.support.website import Website, png

Visit = Callable[..., Visitor]
EDIT_SECONDS = float(os.environ.get("MOBILOUD_EDIT_SECONDS", "8"))
"""How long the two tabs are edited while servers die; half an hour for the long proof."""
EDITS_LEAST = 10
ALL_WIDTHS = "MOBILOUD_ALL_WIDTHS" in os.environ
"""Whether the whole way is gone by keyboard and by mouse on both widths; otherwise each has one of its own."""
DESK, PHONE = 1280, 390
SECTIONS = ("contact", "website", "access", "stores", "analytics", "graphics", "push", "listing", "legal")


def dashboard(door: Door, addon: Addon, page: str) -> str:
    return f"{door.stack.web_url}/mobiloud/{addon.id}/{page}"


def answers_of(door: Door, addon: Addon) -> dict[str, str]:
    """The form's fields in the database."""
    rows = door.stack.rows(
        "SELECT a.name, a.value FROM mobiloud_answer a JOIN mobiloud_submission s ON s.id = a.submission_id "
        "JOIN mobiloud_site t ON t.id = s.site_id JOIN provisioning_resource r ON r.id = t.resource_id "
        "WHERE r.uuid = %s",
        addon.id,
    )
    return {row["name"]: row["value"] for row in rows}


def state_of(door: Door, addon: Addon) -> str:
    rows = door.stack.rows(
        "SELECT s.state FROM mobiloud_submission s JOIN mobiloud_site t ON t.id = s.site_id "
        "JOIN provisioning_resource r ON r.id = t.resource_id WHERE r.uuid = %s",
        addon.id,
    )
    return str(rows[0]["state"])


def all_saved(page: Page) -> None:
    expect(page.locator("[data-autosave-text]")).to_have_text("All changes saved", timeout=60_000)


def sign_in_as_operator(stack: Stack, visitor: Visitor) -> None:
    """Give the visitor the session of an operator who has shown the second factor."""
    lines = "import django; django.setup()\n"
    lines += "from django.conf import settings\nfrom django.test.utils import setup_test_environment\n"
    lines += "from operators.roles import Role\nfrom tests.support.operators import operator_client\n"
    lines += "setup_test_environment()\n"
    lines += f"client = operator_client(Role.OPERATOR, username='opal-{os.urandom(4).hex()}')\n"
    lines += "print(settings.SESSION_COOKIE_NAME, client.cookies[settings.SESSION_COOKIE_NAME].value)\n"
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=PROJECT,
        env={**os.environ, **stack.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    name, value = done.stdout.split()[-2:]
    visitor.page.context.add_cookies([{"name": name, "value": value, "url": stack.web_url}])


class Keys:
    """A person without a mouse."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.page = visitor, visitor.page

    def press(self, target: Locator) -> None:
        """Press a button or a link."""
        self.visitor.tab_to(target)
        self.page.keyboard.press("Enter")

    def put(self, field: Locator, value: str) -> None:
        """Put a value into a field, as its kind takes it."""
        self.visitor.tab_to(field)
        kind = field.evaluate("element => element.type")
        if kind in ("checkbox", "radio"):
            if not field.is_checked():
                self.page.keyboard.press("Space")
        elif kind == "select-one":
            # By arrows: what is typed into a list is forgotten between two keys on a slow machine.
            place = field.evaluate(
                "(element, value) => [...element.options].findIndex((option) => option.value === value)",
                value,
            )
            self.page.keyboard.press("Home")
            for _ in range(place):
                self.page.keyboard.press("ArrowDown")
            expect(field).to_have_value(value)
        else:
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(value)

    def choose_file(self, field: Locator, file: Path) -> None:
        """Open a file field's dialog and take a file there."""
        # Expected before the field is looked for: the page learns of it in another queue than that of keys, and the
        # questions on the way to the field are answered after it has.
        with self.page.expect_file_chooser() as chooser:
            self.press(field)
        chooser.value.set_files(file)

    def sign(self) -> None:
        """Sign with the typed name."""
        self.press(self.page.get_by_role("button", name="Sign the agreement"))


class Mouse(Keys):
    """A person who points at things."""

    def press(self, target: Locator) -> None:
        """Press a button or a link."""
        target.click()

    def put(self, field: Locator, value: str) -> None:
        """Put a value into a field, as its kind takes it."""
        kind = field.evaluate("element => element.type")
        if kind in ("checkbox", "radio"):
            field.check()
        elif kind == "select-one":
            field.select_option(value)
        else:
            field.fill(value)

    def choose_file(self, field: Locator, file: Path) -> None:
        """Press the label, which is what one sees of a file field."""
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("label").filter(has=field).click()
        chooser.value.set_files(file)

    def sign(self) -> None:
        """Draw a signature."""
        self.page.get_by_label("Drawn by hand").check()
        canvas = self.page.get_by_role("img", name="Draw your signature here")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
        self.page.mouse.down()
        for part in (0.3, 0.5, 0.7):
            self.page.mouse.move(
                box["x"] + box["width"] * part, box["y"] + box["height"] * (1 - part), steps=4
            )
        self.page.mouse.up()
        self.page.get_by_role("button", name="Sign the agreement").click()


def submit_app(hand: Keys, door: Door, addon: Addon, icon: Path) -> None:
    """From the Publish page to a submitted app."""
    page = hand.page
    icon.write_bytes(png(1024, 1024))
    page.goto(dashboard(door, addon, "publish/"))
    hand.press(page.get_by_role("button", name="Start App Submission"))
    for slug in SECTIONS:
        page.wait_for_url(f"**/publish/form/{slug}/")
        hand.visitor.assert_fits()
        names = page.locator("[data-answer]").evaluate_all("found => found.map((field) => field.name)")
        for name in names:
            if name in COMPLETE:
                hand.put(page.locator(f'[name="{name}"]'), COMPLETE[name])
        if slug == "graphics":
            hand.choose_file(page.get_by_label("App icon: choose a file"), icon)
            expect(page.locator('[data-upload-kind="app_icon"] .uploads li')).to_have_count(1)
        if slug == "legal":
            hand.sign()
            expect(page.get_by_text("Signed by Ada Lovelace")).to_be_visible()
            # The button that had the focus is not what it was.
            expect(page.get_by_role("link", name="Download the certificate")).to_be_focused()
        hand.press(page.locator(".form-nav .btn-primary"))
    page.wait_for_url("**/publish/")
    stored = answers_of(door, addon)
    assert {name: stored.get(name) for name in COMPLETE} == COMPLETE
    hand.press(page.get_by_role("button", name="Submit"))
    expect(page.get_by_role("link", name="Certificate of your signature")).to_be_visible()
    expect(page.get_by_role("heading", name="Your app submission")).to_be_focused()
    hand.visitor.assert_fits()
    assert state_of(door, addon) == "submitted"


@pytest.mark.parametrize("width", [DESK, PHONE] if ALL_WIDTHS else [DESK])
def test_the_whole_way_by_keyboard_alone(
    door: Door, visit: Visit, shop: Website, tmp_path: Path, width: int
) -> None:
    shop.headers.clear()
    addon = door.add("mobiloud", "starter")
    visitor = visit(width=width)
    page = visitor.come_through(door, addon)
    keys, hand = page.keyboard, Keys(visitor)
    # The first page begins in the field that it asks for.
    expect(page.get_by_label("Website URL")).to_be_focused()
    keys.type(shop.url)
    keys.press("Enter")
    page.wait_for_url("**/configure/menu/")

    hand.press(page.get_by_role("button", name="Add tab"))
    keys.type("News")
    keys.press("Tab")
    keys.type(f"{shop.url}news")
    keys.press("Alt+ArrowUp")
    expect(page.locator("[data-announce]")).to_have_text("News is now 1 of 2")
    row = page.locator("[data-row]").first
    keys.press("Shift+Tab")
    keys.press("Shift+Tab")
    expect(row.locator("[data-pick-icon]")).to_be_focused()
    keys.press("Enter")
    keys.type("newspaper")
    keys.press("Control+A")
    keys.type("news")
    keys.press("Enter")
    expect(row.locator("[data-pick-icon]")).to_be_focused()
    hand.press(row.get_by_role("button", name="Move News down"))
    expect(page.locator("[data-announce]")).to_have_text("News is now 2 of 2")
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.locator("[data-save-state]")).to_have_text("Saved as revision 2")
    assert [tab["label"] for tab in revision_of(door, addon)["menu"]["tabs"]] == ["Home", "News"]
    submit_app(hand, door, addon, tmp_path / "icon.png")

    operator = visit()
    sign_in_as_operator(door.stack, operator)
    operator.page.goto(f"{door.stack.web_url}/admin/app-submissions/")
    operator.assert_fits()
    operator.assert_accessible()
    # The newest: other tests may have submitted the same website.
    follow(operator.page, operator.page.get_by_role("link", name=shop.url).last, "**/app-submissions/*/")
    operator.assert_fits()
    operator.assert_accessible()
    operator.page.get_by_label("Move to").select_option("in_review")
    operator.page.get_by_role("button", name="Move and write to the customer").click()
    expect(operator.page.get_by_text("the customer is written to")).to_be_visible()
    page.reload()
    expect(page.locator('[data-state="current"]')).to_contain_text("In review")


@pytest.mark.parametrize("width", [DESK, PHONE] if ALL_WIDTHS else [PHONE])
def test_the_whole_way_by_mouse(door: Door, visit: Visit, shop: Website, tmp_path: Path, width: int) -> None:
    shop.headers.clear()
    addon = door.add("mobiloud", "starter")
    visitor = visit(width=width)
    page = visitor.come_through(door, addon)
    name_website(page, shop)
    visitor.assert_fits()
    page.get_by_role("button", name="Add tab").click()
    row = page.locator("[data-row]").nth(1)
    row.get_by_label("Label").fill("News")
    row.get_by_label("URL").fill(f"{shop.url}news")
    row.get_by_role("button", name="Icon of News: none").click()
    page.get_by_role("searchbox").fill("news")
    page.get_by_role("button", name="news", exact=True).click()
    row.get_by_role("button", name="Move News up").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-save-state]")).to_have_text("Saved as revision 2")
    assert [tab["label"] for tab in revision_of(door, addon)["menu"]["tabs"]] == ["News", "Home"]
    submit_app(Mouse(visitor), door, addon, tmp_path / "icon.png")
    page.get_by_label("Day and time (UTC)").fill(
        (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT10:00")
    )
    page.get_by_role("button", name="Schedule the call").click()
    expect(page.get_by_text("We call on")).to_be_visible()
    visitor.assert_accessible()


def test_every_page_fits_a_phone_and_is_accessible_in_light_and_dark(
    door: Door, visit: Visit, shop: Website
) -> None:
    shop.headers.clear()
    addon = door.add("mobiloud", "starter")
    visitor = visit(width=390, dark=True, has_touch=True)
    page = visitor.come_through(door, addon)
    visitor.assert_accessible()
    name_website(page, shop)
    wide = visit()
    wide.come_through(door, addon)
    pages = [f"configure/{name}/" for name in ("menu", "colors", "notifications", "settings", "advanced")]
    for number, path in enumerate([*pages, "history/", "publish/"]):
        for one in (visitor, wide):
            one.page.goto(dashboard(door, addon, path))
            one.page.wait_for_load_state("networkidle")
            one.assert_fits()
            # Each page in both themes, each width on some: they differ in layout, not in what is there.
            if (one is visitor) == bool(number % 2):
                one.assert_accessible()
    follow(page, page.get_by_role("button", name="Start App Submission"), "**/publish/form/contact/")
    for number, slug in enumerate(SECTIONS):
        for one in (visitor, wide):
            one.page.goto(dashboard(door, addon, f"publish/form/{slug}/"))
            one.assert_fits()
            if (one is visitor) == bool(number % 2):
                one.assert_accessible()
    page.goto(dashboard(door, addon, "configure/menu/"))
    page.locator("[data-pick-icon]").first.tap()
    expect(page.get_by_role("dialog", name="Pick an icon")).to_be_visible()
    visitor.assert_fits()
    visitor.assert_accessible()


def test_a_site_that_refuses_frames_gets_an_honest_placeholder(
    door: Door, visit: Visit, shop: Website
) -> None:
    shop.headers["X-Frame-Options"] = "DENY"
    try:
        page = visit().come_through(door, door.add("mobiloud", "test"))
        name_website(page, shop)
        preview = page.locator("[data-preview]")
        expect(preview.locator(".phone-placeholder")).to_contain_text("cannot be shown here")
        expect(preview.locator("iframe")).to_have_count(0)
        preview.get_by_label("Showing").select_option("settings")
        expect(preview.locator("[data-sheet]")).to_contain_text("Settings")
        preview.get_by_label("Device").select_option("iphone-se")
        preview.get_by_label("Appearance").select_option("dark")
        expect(preview.locator("[data-phone]")).to_have_attribute("data-look", "dark")
    finally:
        shop.headers.clear()


def test_two_tabs_get_a_conflict_and_a_choice_and_the_editor_is_in_step(
    door: Door, visit: Visit, shop: Website
) -> None:
    shop.headers.clear()
    addon = door.add("mobiloud", "test")
    visitor = visit()
    one = visitor.come_through(door, addon)
    name_website(one, shop)
    one.goto(dashboard(door, addon, "configure/settings/"))
    two = one.context.new_page()
    two.goto(dashboard(door, addon, "configure/settings/"))
    for page, label in ((one, "Theirs"), (two, "Mine")):
        page.get_by_label("Menu label").fill(label)
        page.get_by_role("button", name="Save", exact=True).click()
        if page is one:
            expect(one.locator("[data-save-state]")).to_have_text("Saved as revision 2")
    dialog = two.get_by_role("dialog", name="Changed in the meantime")
    expect(dialog.locator("[data-theirs]")).to_contain_text("Theirs")
    expect(dialog.locator("[data-mine]")).to_contain_text("Mine")
    dialog.get_by_role("button", name="Save mine on top").click()
    expect(two.locator("[data-save-state]")).to_have_text("Saved as revision 3")

    one.goto(dashboard(door, addon, "configure/advanced/"))
    editor = one.get_by_role("textbox", name="Configuration as JSON")
    expect(editor).to_contain_text("Mine")
    editor.focus()
    one.keyboard.press("Control+Home")
    one.keyboard.press("End")
    one.keyboard.insert_text('"own": {"kept": true}, "colors": 7, ')
    expect(one.locator("[data-problem-list]")).to_contain_text("Line")
    one.get_by_role("button", name="Save", exact=True).click()
    expect(one.locator("[data-problem]").first).not_to_be_empty()
    editor.focus()
    one.keyboard.press("Control+Z")
    expect(editor).not_to_contain_text('"colors": 7')
    one.keyboard.press("Control+Home")
    one.keyboard.press("End")
    one.keyboard.insert_text('"own": {"kept": true}, ')
    one.keyboard.press("Control+S")
    expect(one.locator("[data-save-state]")).to_have_text("Saved as revision 4")
    assert revision_of(door, addon)["own"] == {"kept": True}
    two.goto(dashboard(door, addon, "configure/settings/"))
    two.get_by_label("Menu label").fill("From the form")
    two.get_by_role("button", name="Save", exact=True).click()
    expect(two.locator("[data-save-state]")).to_have_text("Saved as revision 5")
    assert revision_of(door, addon)["own"] == {"kept": True}


def test_with_a_key_the_preview_is_appetize_s_embed(door: Door, visit: Visit, shop: Website) -> None:
    shop.headers.clear()
    # A stand-in for Appetize: like its player it takes `params` and starts an app that loads the configuration.
    shop.pages[
        "/embed/public123"
    ] = b"""<!doctype html><html lang="en"><title>Embed</title><p id="said"></p><script>
      const params = JSON.parse(new URLSearchParams(location.search).get("params"));
      fetch(params.configurationUrl).then((answer) => answer.json()).then((told) => {
        document.getElementById("said").textContent = `${told.revision} ${told.configuration.settings.label}`;
      });</script></html>"""
    stack = door.stack
    addon = door.add("mobiloud", "test")
    settings = {"APPETIZE_PUBLIC_KEY": "public123", "APPETIZE_URL": f"http://{shop.host}"}
    restart(stack, environment=settings)
    try:
        page = visit().come_through(door, addon)
        name_website(page, shop)
        said = page.frame_locator("[data-appetize]").locator("#said")
        expect(said).to_have_text("1 Settings")
        page.goto(dashboard(door, addon, "configure/settings/"))
        page.get_by_label("Menu label").fill("More")
        expect(page.locator("[data-preview-state]")).to_have_text("Unsaved changes")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(said).to_have_text("2 More")
    finally:
        restart(stack)


def restart(stack: Stack, *, environment: dict[str, str] | None = None) -> None:
    """Kill the web and start it again, and wait until it answers."""
    stack.kill_part("web")
    stack.start_part("web", environment=environment)
    until(lambda: stack._answers(f"{stack.web_url}/healthz"))


def test_what_is_typed_is_saved_offline_reloaded_and_beside_another_window(
    door: Door, visit: Visit, shop: Website
) -> None:
    shop.headers.clear()
    addon = door.add("mobiloud", "starter")
    visitor = visit()
    page = visitor.come_through(door, addon)
    name_website(page, shop)
    page.goto(dashboard(door, addon, "publish/"))
    follow(page, page.get_by_role("button", name="Start App Submission"), "**/publish/form/contact/")
    # Read in the same moment: on a slow machine it may be saved before one looks.
    said = page.locator('[name="company"]').evaluate(
        """field => {
            field.value = "Fine Teas Ltd";
            field.dispatchEvent(new InputEvent("input", { bubbles: true }));
            return document.querySelector("[data-autosave-text]").textContent;
        }"""
    )
    assert said == "Unsaved changes"
    all_saved(page)
    assert answers_of(door, addon)["company"] == "Fine Teas Ltd"

    # Left at once, long before the five seconds are over.
    page.locator('[name="country"]').fill("Ireland")
    page.reload()
    expect(page.locator('[name="country"]')).to_have_value("Ireland")
    until(lambda: answers_of(door, addon).get("country") == "Ireland")

    other = page.context.new_page()
    other.goto(dashboard(door, addon, "publish/form/contact/"))
    other.locator('[name="company"]').fill("Theirs Ltd")
    all_saved(other)
    page.locator('[name="company"]').fill("Mine Ltd")
    dialog = page.get_by_role("dialog", name="Changed in the meantime")
    expect(dialog.locator("[data-theirs]")).to_have_text("Theirs Ltd")
    dialog.get_by_role("button", name="Keep mine").click()
    until(lambda: answers_of(door, addon)["company"] == "Mine Ltd")

    # Saved, but the answer is lost on its way: what is typed next is not taken for another window's.
    page.route("**/publish/save", lose_the_answer, times=1)
    page.locator('[name="company"]').fill("Lost Ltd")
    expect(page.locator("[data-autosave-text]")).to_have_text("Offline: kept here, trying again")
    page.locator('[name="company"]').fill("Found Ltd")
    all_saved(page)
    assert answers_of(door, addon)["company"] == "Found Ltd"

    door.stack.kill_part("web")
    page.locator('[name="contact_name"]').fill("Ada Lovelace")
    expect(page.locator("[data-autosave-text]")).to_have_text("Offline: kept here, trying again")
    door.stack.start_part("web")
    all_saved(page)
    assert answers_of(door, addon)["contact_name"] == "Ada Lovelace"
    visitor.forgive("Failed to load resource: net::ERR_")


def lose_the_answer(route: Route) -> None:
    """Let the server do it, and tell the page nothing."""
    route.fetch()
    route.abort()


def test_random_edits_in_two_tabs_while_servers_die_lose_nothing(
    door: Door, visit: Visit, shop: Website
) -> None:
    """Set MOBILOUD_EDIT_SECONDS=1800 for half an hour of it."""
    shop.headers.clear()
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    addon = door.add("mobiloud", "starter")
    visitor = visit()
    first = visitor.come_through(door, addon)
    name_website(first, shop)
    first.goto(dashboard(door, addon, "publish/"))
    follow(first, first.get_by_role("button", name="Start App Submission"), "**/publish/form/contact/")
    forms = {
        "contact": ("company", "country", "contact_name"),
        "listing": ("subtitle", "keywords", "copyright"),
    }
    typed: dict[str, str] = {}
    acknowledged: dict[int, str] = {}
    tabs = [first, first.context.new_page()]
    tabs[1].goto(dashboard(door, addon, "publish/form/listing/"))
    settings = [first.context.new_page() for _ in range(2)]
    for page in settings:
        page.goto(dashboard(door, addon, "configure/settings/"))
    end, kill_at, count = time.monotonic() + EDIT_SECONDS, time.monotonic() + 2.0, 0
    while time.monotonic() < end or count < EDITS_LEAST:
        count += 1
        if chance.random() < 0.6:
            slug = chance.choice(list(forms))
            name = chance.choice(forms[slug])
            typed[name] = f"{name} {count}"
            tabs[list(forms).index(slug)].locator(f'[name="{name}"]').fill(typed[name])
        else:
            edit_settings(chance.choice(settings), f"Label {count}", acknowledged, chance)
        if time.monotonic() > kill_at:
            door.stack.kill_part("web")
            door.stack.start_part("web")
            kill_at = time.monotonic() + chance.uniform(5, 15)
    until(lambda: door.stack._answers(f"{door.stack.web_url}/healthz"))
    for page in tabs:
        all_saved(page)
    stored = answers_of(door, addon)
    assert {name: stored.get(name) for name in typed} == typed, f"seed {seed}"
    rows = door.stack.rows(
        "SELECT v.number, v.content FROM mobiloud_revision v JOIN mobiloud_site s ON s.id = v.site_id "
        "JOIN provisioning_resource r ON r.id = s.resource_id WHERE r.uuid = %s ORDER BY v.number",
        addon.id,
    )
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1)), f"seed {seed}"
    lost = {
        number for number, label in acknowledged.items() if f'"{label}"' not in rows[number - 1]["content"]
    }
    assert lost == set(), f"seed {seed}"
    message = f"{count} edits, {len(acknowledged)} saves acknowledged, {len(rows)} revisions, seed {seed}"
    logging.getLogger(__name__).info(message)
    visitor.forgive("Failed to load resource: net::ERR_")


def edit_settings(page: Page, label: str, acknowledged: dict[int, str], chance: random.Random) -> None:
    """Type a label and save it; answer a conflict with one of its choices; note what the page says is saved."""
    form, dialog = page.locator("form[data-section]"), page.locator("#conflict-dialog")
    field = page.get_by_label("Menu label")
    field.fill(label)
    page.get_by_role("button", name="Save", exact=True).click()
    while True:
        until(lambda: dialog.is_visible() or form.get_attribute("aria-busy") != "true", seconds=120)
        if not dialog.is_visible():
            break
        dialog.get_by_role("button", name=chance.choice(["Save mine on top", "Take theirs"])).click()
    said = page.locator("[data-save-state]").inner_text()
    if said.startswith("Saved as revision ") and field.input_value() == label:
        acknowledged[int(said.removeprefix("Saved as revision "))] = label
