"""The pages about quotas and replication: live numbers, throttling in words, charts, and the state of the copies."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, Producer
from playwright.sync_api import expect

from tests.support.browser import Addon, Door, Visitor

Visit = Callable[..., Visitor]


def busy_topic(door: Door, visitor: Visitor, addon: Addon) -> tuple[str, dict[str, str]]:
    """A topic made on its page, and the settings of a client from the config vars."""
    config = door.config(addon)
    name = f"{config['KAFKACLUSTER_USERNAME']}.orders"
    page = visitor.come_through(door, addon)
    page.get_by_role("link", name="Topics", exact=True).click()
    page.get_by_role("button", name="Create topic…").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("orders")
    page.get_by_role("dialog").get_by_role("button", name="Create topic").click()
    expect(page.get_by_role("link", name=name)).to_be_visible()
    client = {
        "bootstrap.servers": config["KAFKACLUSTER_BROKERS"],
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": config["KAFKACLUSTER_SASL_METHOD"],
        "sasl.username": config["KAFKACLUSTER_USERNAME"],
        "sasl.password": config["KAFKACLUSTER_PASSWORD"],
        "log_level": "0",
    }
    return name, client


def test_a_busy_customer_sees_the_rates_that_it_is_slowed_and_that_nothing_is_lost(
    door: Door, visit: Visit
) -> None:
    addon = door.add("kafkacluster", "starter")
    visitor = visit()
    page = visitor.page
    topic, client = busy_topic(door, visitor, addon)
    page.get_by_role("link", name="Quotas", exact=True).click()
    expect(page.get_by_role("heading", name="No traffic in the last hour")).to_be_visible()
    visitor.assert_fine_on_desk_and_phone()

    producer = Producer({**client, "batch.size": 4000, "compression.type": "none"})
    consumer = Consumer({**client, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    slowed = page.get_by_text("Clients are being slowed, nothing is lost.").first
    until = time.monotonic() + 120
    while time.monotonic() < until:
        # Always more waits than the quota lets through, however slowly this test gets its turn.
        while len(producer) < 200:
            producer.produce(topic, b"x" * 500)
        producer.poll(0.05)
        consumer.poll(0)
        if slowed.is_visible():
            break
        page.wait_for_timeout(50)
    expect(slowed).to_be_visible()
    expect(page.locator("[data-chart=produce] canvas")).to_be_visible()
    expect(page.get_by_label("Produce", exact=True)).to_be_visible()
    visitor.assert_fine_on_desk_and_phone()
    producer.purge()
    producer.flush(0)
    consumer.close()

    # The numbers of the charts, for those who cannot see them.
    visitor.tab_to(page.get_by_text("As a table"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Slowed")).to_be_visible()
    page.get_by_role("link", name="Week").click()
    expect(page.get_by_role("link", name="Week")).to_have_attribute("aria-current", "page")
    expect(page.locator("[data-chart=consume] canvas")).to_be_visible()

    page.get_by_role("link", name="Replication", exact=True).click()
    expect(page.get_by_text("Every copy of every partition is in sync.")).to_be_visible()
    visitor.assert_fine_on_desk_and_phone()


def test_a_customer_without_topics_is_shown_where_to_begin(door: Door, visit: Visit) -> None:
    addon = door.add("kafkacluster", "free")
    visitor = visit()
    page = visitor.come_through(door, addon)
    page.goto(f"{page.url}replication/")
    expect(page.get_by_role("heading", name="No topics yet")).to_be_visible()
    visitor.assert_fine_on_desk_and_phone()
