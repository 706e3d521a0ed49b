"""The dashboards as people use them: by mouse, by keyboard alone, on a phone, in the dark."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Door, Visitor
from tests.support.stack import until

Visit = Callable[..., Visitor]
SERVICES = [
    ("inference", "nova-lite", "INFERENCE_KEY"),
    ("kafkacluster", "basic-0", "KAFKACLUSTER_PASSWORD"),
    ("mobiloud", "test", None),
]


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def secret_row(page: Page, name: str) -> Locator:
    return page.locator(f'[data-secret="{name}"] [data-value]')


@pytest.mark.parametrize(("service", "plan", "secret"), SERVICES)
def test_by_mouse_from_heroku_through_the_page_and_out(
    door: Door, visit: Visit, service: str, plan: str, secret: str | None
) -> None:
    addon = door.add(service, plan)
    visitor = visit()
    page = visitor.come_through(door, addon)
    expect(page.get_by_role("heading", level=1)).to_have_text(addon.name)
    expect(page.locator(".facts")).to_contain_text(addon.app)

    config = door.config(addon)
    open_name = {
        "inference": "INFERENCE_MODEL_ID",
        "kafkacluster": "KAFKACLUSTER_BROKERS",
        "mobiloud": "MOBILOUD_URL",
    }
    page.get_by_role("button", name=f"Copy {open_name[service]}").click()
    expect(page.locator("[data-toasts]")).to_contain_text("copied")
    assert clipboard(page) == config[open_name[service]]

    if secret:
        assert config[secret] not in page.content()
        page.get_by_role("button", name=f"Reveal {secret}").click()
        expect(secret_row(page, secret)).to_have_text(config[secret])
        page.get_by_role("button", name=f"Reveal {secret}").click()
        expect(secret_row(page, secret)).not_to_have_text(config[secret])
        page.get_by_role("button", name=f"Copy {secret}").click()
        expect(page.locator("[data-toasts]")).to_contain_text(f"{secret} copied")
        assert clipboard(page) == config[secret]
    else:
        expect(page.get_by_role("heading", name="Nothing to rotate")).to_be_visible()

    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are logged out")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Open this dashboard through Heroku")


@pytest.mark.parametrize(("service", "plan", "secret"), SERVICES[:2])
def test_a_rotation_is_followed_to_its_end_without_a_reload(
    door: Door, visit: Visit, service: str, plan: str, secret: str
) -> None:
    addon = door.add(service, plan)
    page = visit().come_through(door, addon)
    former = door.config(addon)[secret]
    page.evaluate("window.sameDocument = true")
    page.get_by_role("button", name="Rotate…").click()
    expect(page.get_by_role("dialog", name="Rotate credentials")).to_contain_text("stay valid for")
    page.get_by_role("button", name="Rotate credentials").dblclick()
    expect(page.locator("[data-toasts]")).to_contain_text("Credentials rotated")
    expect(page.locator(".credential")).to_have_count(2)
    expect(page.locator(".events")).to_contain_text("Credential rotation finished")
    assert page.evaluate("window.sameDocument") is True
    renewed = door.config(addon)[secret]
    assert renewed != former
    page.get_by_role("button", name=f"Reveal {secret}").click()
    expect(secret_row(page, secret)).to_have_text(renewed)
    rows = door.stack.rows(
        "SELECT count(*) FROM provisioning_operation o JOIN provisioning_resource r ON r.id = o.resource_id "
        "WHERE r.uuid = %s AND o.kind = 'rotation'",
        addon.id,
    )
    assert rows[0]["count"] == 1


def test_revoking_now_asks_for_the_word_and_leaves_one_credential(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    page = visit().come_through(door, addon)
    page.get_by_role("button", name="Revoke now…").click()
    dialog = page.get_by_role("dialog", name="Revoke credentials now")
    expect(dialog).to_contain_text("fails to connect until Heroku has restarted it")
    dialog.get_by_role("button", name="Revoke now").click()
    dialog.get_by_label("Type revoke to confirm").fill("yes")
    dialog.get_by_role("button", name="Revoke now").click()
    expect(dialog).to_be_visible()
    dialog.get_by_label("Type revoke to confirm").fill("revoke")
    dialog.get_by_role("button", name="Revoke now").click()
    expect(page.locator("[data-toasts]")).to_contain_text("Credentials rotated")
    expect(page.locator(".credential")).to_have_count(1)


def test_everything_can_be_done_by_keyboard_alone(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    visitor = visit()
    page = visitor.come_through(door, addon)
    keys = page.keyboard

    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("main")).to_be_focused()

    visitor.tab_to(page.get_by_role("button", name="Reveal INFERENCE_KEY"))
    keys.press("Enter")
    expect(secret_row(page, "INFERENCE_KEY")).to_have_text(door.config(addon)["INFERENCE_KEY"])
    visitor.tab_to(page.get_by_role("button", name="Copy INFERENCE_KEY"))
    keys.press("Space")
    expect(page.locator("[data-toasts]")).to_contain_text("INFERENCE_KEY copied")

    visitor.tab_to(page.locator(".more summary"))
    keys.press("Enter")
    expect(page.locator(".choice").first).to_be_visible()

    opener = page.get_by_role("button", name="Rotate…")
    visitor.tab_to(opener)
    keys.press("Enter")
    expect(page.get_by_role("dialog", name="Rotate credentials")).to_be_visible()
    keys.press("Escape")
    expect(opener).to_be_focused()
    keys.press("Enter")
    visitor.tab_to(page.get_by_role("button", name="Rotate credentials"))
    keys.press("Enter")
    expect(page.locator("[data-toasts]")).to_contain_text("Credentials rotated")
    expect(page.get_by_role("heading", name="Credentials", exact=True)).to_be_focused()

    visitor.tab_to(page.get_by_role("button", name="Dark mode"))
    keys.press("Space")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")

    account = page.locator("details.menu summary")
    visitor.tab_to(account)
    keys.press("Enter")
    keys.press("Escape")
    expect(account).to_be_focused()
    keys.press("Enter")
    visitor.tab_to(page.get_by_role("button", name="Log out", exact=True))
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are logged out")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
@pytest.mark.parametrize(("service", "plan", "secret"), SERVICES)
def test_an_overview_fits_and_is_accessible(
    door: Door, visit: Visit, service: str, plan: str, secret: str | None, width: int, dark: bool
) -> None:
    visitor = visit(width=width, dark=dark)
    page = visitor.come_through(door, door.add(service, plan))
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark" if dark else "light")
    visitor.assert_fits()
    visitor.assert_accessible()
    page.locator(".more summary").click()
    page.locator("details.menu summary").click()
    visitor.assert_fits()
    visitor.assert_accessible()
    if secret:
        page.keyboard.press("Escape")
        page.get_by_role("button", name=f"Reveal {secret}").click()
        expect(page.get_by_role("button", name=f"Reveal {secret}")).to_have_attribute("aria-pressed", "true")
        visitor.assert_fits()
        page.get_by_role("button", name="Revoke now…").click()
        visitor.assert_fits()
        visitor.assert_accessible()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
@pytest.mark.parametrize("path", ["/design/", "/sso/login", "/sso/logged-out", "/nowhere"])
def test_every_other_page_fits_and_is_accessible(
    door: Door, visit: Visit, path: str, width: int, dark: bool
) -> None:
    visitor = visit(width=width, dark=dark)
    visitor.page.goto(door.stack.web_url + path)
    visitor.assert_fits()
    visitor.assert_accessible()


def test_a_theme_that_was_chosen_is_remembered_and_set_before_anything_is_painted(
    door: Door, visit: Visit
) -> None:
    visitor = visit(dark=True)
    page = visitor.come_through(door, door.add("mobiloud", "test"))
    page.get_by_role("button", name="Dark mode").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    # Without the bundle only the page's first script is left to set it.
    page.route("**/dashboard*.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    page.unroute("**/dashboard*.js")


def test_two_dashboards_are_open_in_two_tabs_and_log_out_one_by_one(door: Door, visit: Visit) -> None:
    first, second = door.add("inference", "nova-lite"), door.add("mobiloud", "test")
    visitor = visit()
    one = visitor.come_through(door, first)
    two = Visitor(one.context.new_page()).come_through(door, second)
    one.reload()
    expect(one.get_by_role("heading", level=1)).to_have_text(first.name)
    two.locator("details.menu summary").click()
    two.get_by_role("button", name="Log out", exact=True).click()
    expect(two.get_by_role("heading", level=1)).to_have_text("You are logged out")
    one.reload()
    expect(one.get_by_role("heading", level=1)).to_have_text(first.name)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_provisioning_page_follows_the_work_and_becomes_the_overview(
    door: Door, visit: Visit, width: int
) -> None:
    door.stack.kill_part("worker")
    try:
        addon = door.add("kafkacluster", "free", wait=False)
        visitor = visit(width=width)
        page = visitor.come_through(door, addon)
        expect(page.get_by_role("heading", name="KafkaCluster is being set up")).to_be_visible()
        expect(page.locator('.op-steps [data-state="current"]')).to_have_count(1)
        visitor.assert_fits()
        visitor.assert_accessible()
    finally:
        door.stack.start_part("worker")
    expect(page.get_by_role("heading", name="Config vars")).to_be_visible(timeout=60_000)


def test_a_page_left_open_says_so_when_the_addon_was_removed(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    visitor = visit(width=390)
    page = visitor.come_through(door, addon)
    door.remove(addon)
    until(lambda: door.stack.addon(addon.id)["state"] == "deprovisioned")
    page.get_by_role("button", name="Reveal INFERENCE_KEY").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This Inference add-on was removed")
    visitor.assert_fits()
    visitor.assert_accessible()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_provision_that_fails_says_so_in_the_open_page(door: Door, visit: Visit, width: int) -> None:
    door.stack.kill_part("worker")
    try:
        addon = door.add("kafkacluster", "free", wait=False)
        visitor = visit(width=width)
        page = visitor.come_through(door, addon)
        door.stack.rows(
            "WITH ended AS (UPDATE provisioning_operation SET state = 'failed', finished_at = now() "
            "WHERE resource_id = (SELECT id FROM provisioning_resource WHERE uuid = %s) RETURNING resource_id) "
            "UPDATE provisioning_resource SET state = 'failed' FROM ended WHERE id = resource_id RETURNING id",
            addon.id,
        )
        expect(page.get_by_role("heading", name="KafkaCluster could not be provisioned")).to_be_visible()
        visitor.assert_fits()
        visitor.assert_accessible()
    finally:
        door.stack.start_part("worker")


def test_the_way_back_leads_to_the_app_at_heroku(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    page = visit().come_through(door, addon)
    page.get_by_role("link", name="Back to Heroku").click()
    page.wait_for_url(f"{door.stack.sandbox_url}/?app={addon.app}")
    expect(page.locator("body")).to_contain_text(addon.name)


def test_older_events_are_put_below_the_present_ones(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    page = visit().come_through(door, addon)
    for _ in range(25):
        page.evaluate(
            """() => fetch(document.querySelector("[data-reveal-url]").dataset.revealUrl, {
                method: "POST",
                headers: {"X-CSRFToken": document.querySelector('meta[name="csrf-token"]').content},
                body: new URLSearchParams({name: "INFERENCE_KEY"}),
            }).then(answer => answer.status)"""
        )
    page.reload()
    expect(page.locator(".events li")).to_have_count(20)
    page.get_by_role("link", name="Show older").click()
    expect(page.locator(".events li")).to_have_count(27)
    expect(page.locator(".events li").last).to_contain_text("Add-on created")
    expect(page.get_by_role("link", name="Show older")).to_have_count(0)
