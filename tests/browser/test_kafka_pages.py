"""KafkaCluster's pages as people use them: topics, consumer groups and messages, by mouse, by keyboard, on a phone."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer
from playwright.sync_api import Page, expect

from tests.support.browser import Door, Visitor
from tests.support.stack import until

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


def test_a_newcomer_pastes_the_printed_python_and_sees_the_messages(
    door: Door, visit: New, tmp_path: Path
) -> None:
    addon = door.add("kafkacluster", "free")
    page = visit().come_through(door, addon)
    page.get_by_role("link", name="Create a topic").click()
    topic(page, "orders")
    open_tab(page, "Getting started")
    for number, name in ((0, "producer"), (1, "consumer")):
        page.get_by_role("button", name=f"Copy {name}").click()
        expect(page.locator("[data-toasts] p")).to_have_count(number + 1)
        program: str = page.evaluate("navigator.clipboard.readText()")
        (tmp_path / f"{name}.py").write_text(program)
    environment = {"PATH": os.environ["PATH"], **door.config(addon)}
    done = subprocess.run(
        [sys.executable, "producer.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("delivered to") == 3

    page.get_by_role("link", name="the messages of").click()
    expect(page.locator(".record")).to_have_count(3)
    page.locator(".record summary").first.click()
    expect(page.locator(".record").first).to_contain_text("hello from Python")

    page.get_by_role("textbox", name="Value").fill('{"by": "hand"}')
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("[data-toasts]")).to_contain_text("Sent: partition 0, offset 3")
    expect(page.locator(".record")).to_have_count(4)
    expect(page.locator(".record").first).to_contain_text('{"by": "hand"}')

    with (tmp_path / "seen").open("w") as output:
        consumer = subprocess.Popen(
            [sys.executable, "consumer.py"], cwd=tmp_path, env=environment, stdout=output, stderr=output
        )
        try:
            until(lambda: (tmp_path / "seen").read_text().count("\n") >= 4)
            open_tab(page, "Consumer groups")
            expect(page.get_by_role("row", name="readers")).to_contain_text("Active")
        finally:
            consumer.send_signal(signal.SIGINT)
            consumer.wait(20)
    page.reload()
    expect(page.get_by_role("row", name="readers")).to_contain_text("Inactive")
    open_tab(page, "Overview")
    expect(page.locator(".events")).to_contain_text("Test message sent to")


def test_an_export_that_broke_off_is_continued_behind_its_last_whole_line(
    door: Door, visit: New, tmp_path: Path
) -> None:
    addon = door.add("kafkacluster", "basic-0")
    page = open_tab(visit(width=390).come_through(door, addon), "Topics")
    topic(page, "orders", 2)
    page.get_by_role("link", name="orders").click()
    send_records(door.config(addon), partitions=2, each=4)

    with page.expect_download() as whole:
        page.get_by_role("link", name="Export the topic").click()
    lines = whole.value.path().read_bytes().splitlines(keepends=True)
    assert len(lines) == 9
    assert b'"complete":true' in lines[-1]

    page.get_by_text("Continue one that broke off").click()
    said, chosen = page.locator("[data-export-said]"), page.get_by_label("The file so far")
    for content, words in (
        (b"".join(lines), "This file is complete."),
        (b"half a li", "No whole line of an export was found"),
        # Cut off in the middle of a line of the second partition.
        (b"".join(lines[:6]) + lines[6][:9], "It goes on after partition 1, offset 1."),
    ):
        file = tmp_path / f"{len(content)}.jsonl"
        file.write_bytes(content)
        chosen.set_input_files(file)
        expect(said).to_contain_text(words)
    with page.expect_download() as rest:
        page.get_by_role("button", name="Continue").click()
    continued = rest.value.path().read_bytes().splitlines(keepends=True)
    assert [*lines[:6], *continued[:-1]] == lines[:-1]
    assert b'"complete":true' in continued[-1]


def send_records(config: dict[str, str], *, partitions: int, each: int) -> None:
    """Produce into every partition of the topic `orders` with the config vars."""
    producer = Producer(
        {
            "bootstrap.servers": config["KAFKACLUSTER_BROKERS"],
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": config["KAFKACLUSTER_SASL_METHOD"],
            "sasl.username": config["KAFKACLUSTER_USERNAME"],
            "sasl.password": config["KAFKACLUSTER_PASSWORD"],
        }
    )
    for number in range(partitions * each):
        producer.produce(
            f"{config['KAFKACLUSTER_USERNAME']}.orders", f"order {number}", partition=number % partitions
        )
    assert producer.flush(30) == 0


def test_on_a_phone_the_present_page_s_tab_is_in_sight(door: Door, visit: New) -> None:
    addon = door.add("kafkacluster", "free")
    page = visit(width=390).come_through(door, addon)
    for name in ("Replication", "Overview"):
        open_tab(page, name)
        tab = page.get_by_role("navigation", name="KafkaCluster").get_by_role("link", name=name)
        expect(tab).to_have_attribute("aria-current", "page")
        expect(tab).to_be_in_viewport(ratio=1)


def test_every_page_fits_and_is_accessible(door: Door, visit: New) -> None:
    addon = door.add("kafkacluster", "basic-0")
    visitor = visit()
    page, assert_fine = visitor.come_through(door, addon), visitor.assert_fine_on_desk_and_phone
    for tab in ("Topics", "Consumer groups", "Messages", "Getting started"):
        open_tab(page, tab)
        assert_fine()
    open_tab(page, "Topics")
    topic(page, "a-topic-whose-name-is-as-long-as-people-make-them." + "x" * 60, 2)
    assert_fine()
    page.get_by_role("button", name="Create topic…").click()
    page.locator("dialog .more summary").click()
    assert_fine()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="a-topic-whose").click()
    expect(page.get_by_role("heading", name="Partitions")).to_be_visible()
    assert_fine()
    page.get_by_role("button", name="Delete…").click()
    assert_fine()
    page.keyboard.press("Escape")
    open_tab(page, "Consumer groups")
    page.get_by_role("button", name="Register group…").click()
    assert_fine()
    page.get_by_role("textbox", name="Name").fill("readers")
    page.get_by_role("button", name="Register group", exact=True).click()
    page.get_by_role("link", name="readers").click()
    expect(page.get_by_role("heading", name="Members")).to_be_visible()
    assert_fine()
    open_tab(page, "Messages")
    page.get_by_role("button", name="Send", exact=True).click()
    page.locator(".record summary").click()
    assert_fine()
    open_tab(page, "Getting started")
    assert_fine()
