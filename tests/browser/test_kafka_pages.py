"""KafkaCluster's pages as people use them: topics, consumer groups and messages, by mouse, by keyboard, on a phone."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.browser import Door, Visitor

New = Callable[..., Visitor]


def open_tab(page: Page, name: str) -> Page:
    page.get_by_role("navigation", name="KafkaCluster").get_by_role("link", name=name).click()
    return page


def topic(page: Page, name: str, partitions: int = 1) -> None:
    """Make a topic on the page of topics."""
    page.get_by_role("button", name="Create topic…").click()
    dialog = page.get_by_role("dialog", name="Create a topic")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Partitions").fill(str(partitions))
    dialog.get_by_role("button", name="Create topic").click()
    expect(page.get_by_role("link", name=name)).to_be_visible()
    expect(dialog).to_be_hidden()


def test_a_topic_is_made_configured_widened_purged_and_deleted(door: Door, visit: New) -> None:
    addon = door.add("kafkacluster", "free")
    page = open_tab(visit().come_through(door, addon), "Topics")
    expect(page.get_by_role("heading", name="No topics yet")).to_be_visible()
    topic(page, "orders")
    expect(page.locator("[data-toasts]")).to_contain_text("orders created")
    expect(page.get_by_label("Topics", exact=True).first).to_be_visible()
    page.get_by_role("link", name="orders").click()
    prefix = door.config(addon)["KAFKACLUSTER_USERNAME"] + "."
    expect(page.locator("#topic-name")).to_have_text(f"{prefix}orders")

    page.get_by_label("Keep records for (hours)").fill("48")
    page.get_by_role("button", name="Save settings").click()
    # The browser itself knows the plan's longest.
    assert page.get_by_label("Keep records for (hours)").evaluate("field => field.validity.rangeOverflow")
    page.get_by_label("Keep records for (hours)").fill("2")
    page.get_by_role("button", name="Save settings").click()
    expect(page.locator("[data-toasts]")).to_contain_text("Settings saved")
    expect(page.locator('[data-part="topic"]')).to_contain_text("2 hours")

    page.get_by_role("button", name="Add partitions…").click()
    dialog = page.get_by_role("dialog", name="Add partitions")
    expect(dialog).to_contain_text("Records with a key go to another partition than before")
    dialog.get_by_label("Partitions in all").fill("3")
    dialog.get_by_role("button", name="Add partitions").click()
    expect(page.locator('[data-part="partitions"] tbody tr')).to_have_count(3)

    for word, dialog_name, said in (
        ("Purge", "Purge the topic", "Every record was deleted"),
        ("Delete", "Delete the topic", "deleted"),
    ):
        page.get_by_role("button", name=f"{word}…").click()
        dialog = page.get_by_role("dialog", name=dialog_name)
        dialog.get_by_label("Type orders to confirm").fill("order")
        dialog.get_by_role("button", name=f"{word} topic").click()
        expect(dialog.get_by_role("alert")).to_contain_text("Type orders to confirm")
        dialog.get_by_label("Type orders to confirm").fill("orders")
        dialog.get_by_role("button", name=f"{word} topic").click()
        expect(page.locator("[data-toasts]")).to_contain_text(said)
    expect(page.get_by_role("heading", name="No topics yet")).to_be_visible()

    open_tab(page, "Overview")
    for text in ("created", "configured", "partitions from 1 to 3", "purged", "deleted"):
        expect(page.locator(".events")).to_contain_text(text)


def test_a_consumer_group_is_registered_moved_and_deleted_by_keyboard(door: Door, visit: New) -> None:
    addon = door.add("kafkacluster", "free")
    visitor = visit()
    page = visitor.come_through(door, addon)
    open_tab(page, "Consumer groups")
    expect(page.locator(".empty-state")).to_contain_text("once you have a topic")
    open_tab(page, "Topics")
    topic(page, "orders")
    open_tab(page, "Consumer groups")
    keys = page.keyboard

    visitor.tab_to(page.get_by_role("button", name="Register group…"))
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Register a consumer group")
    expect(dialog.get_by_label("Name")).to_be_focused()
    keys.type("readers")
    visitor.tab_to(dialog.get_by_role("button", name="Register group"))
    keys.press("Enter")
    expect(page.get_by_role("link", name="readers")).to_be_visible()

    visitor.tab_to(page.get_by_role("link", name="readers"))
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Move or delete")).to_be_visible()
    visitor.tab_to(page.get_by_role("button", name="Move…"))
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Move the group")
    expect(dialog.get_by_label("From (UTC)")).to_be_hidden()
    dialog.get_by_label("Continue at").select_option("time")
    expect(dialog.get_by_label("From (UTC)")).to_be_visible()
    visitor.tab_to(dialog.get_by_role("button", name="Move group"))
    keys.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("say from when on")
    dialog.get_by_label("Continue at").select_option("latest")
    visitor.tab_to(dialog.get_by_role("button", name="Move group"))
    keys.press("Enter")
    expect(page.locator("[data-toasts]")).to_contain_text("The group continues on")

    visitor.tab_to(page.get_by_role("button", name="Delete…"))
    keys.press("Enter")
    keys.type("readers")
    keys.press("Enter")
    expect(page.locator("[data-toasts]")).to_contain_text("readers deleted")
    expect(page.get_by_role("heading", name="No consumer groups yet")).to_be_visible()
