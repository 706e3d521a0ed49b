"""The pages over HTTP: who gets what, what a refusal looks like, and what is said when the cluster is away."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from kafka import TopicPartition

from addon.kafkacluster import topic_pages
from addon.kafkacluster.cluster import Address, Cluster
from addon.kafkacluster.groups import Position, register_group
from addon.kafkacluster.limits import HOUR_MS
from addon.kafkacluster.models import Topic
from provisioning.models import AuditEvent
from provisioning.services import Fault
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.test_topics import make
from tests.support.partner import Partner
from tests.support.sso import EMAIL, log_in

pytestmark = pytest.mark.django_db(transaction=True)
New = Callable[..., Customer]
VIEWER = {"user_scoped_resource_token": None}


def browser_of(shop: Customer, **changes: Any) -> Client:
    """A browser that has opened the dashboard."""
    browser = Client(raise_request_exception=False)
    assert log_in(browser, shop.resource, **changes).status_code == 302
    return browser


def address(shop: Customer, page: str, *more: Any) -> str:
    return reverse(f"kafkacluster:{page}", args=[shop.resource.uuid, *more])


def group_of(topic: str) -> str:
    """The group that `furnished` has registered beside this topic."""
    return f"{topic.partition('.')[0]}.readers"


def lists(shop: Customer) -> list[str]:
    """The pages that name nothing."""
    return [address(shop, page) for page in ("topics", "groups", "replication")]


def pages(shop: Customer, topic: str) -> list[str]:
    """The pages that name a topic or a group."""
    group = urlencode({"id": group_of(topic)})
    return [address(shop, "topics-one", topic), f"{address(shop, 'groups-one')}?{group}"]


def messages_of(shop: Customer, topic: str) -> str:
    """The page of a topic's messages, which viewers do not see."""
    return f"{address(shop, 'messages')}?{urlencode({'topic': topic})}"


def buttons(shop: Customer, topic: str) -> dict[str, dict[str, str]]:
    """Every button's address, with fields that would be accepted."""
    group = group_of(topic)
    return {
        address(shop, "configure-topic", topic): {"retention_hours": "2"},
        address(shop, "add-partitions", topic): {"partitions": "2"},
        address(shop, "purge-topic", topic): {"confirmation": topic},
        address(shop, "delete-topic", topic): {"confirmation": topic},
        address(shop, "register-group"): {"name": "more", "topics": topic, "position": "latest"},
        address(shop, "reset-group"): {"group": group, "topic": topic, "position": "latest"},
        address(shop, "forget-topic"): {"group": group, "topic": topic},
        address(shop, "delete-group"): {"group": group, "confirmation": group},
        address(shop, "send-message"): {"topic": topic, "value": "hello"},
    }


def furnished(shop: Customer) -> str:
    """Give a tenant a topic with a record and a group that starts at it; the topic's name."""
    topic = make(shop)
    assert shop.send(topic) is None
    register_group(
        shop.tenant, own_name="readers", topics=[topic], position=Position(kind="earliest"), actor=EMAIL
    )
    return topic


def assert_untouched(shop: Customer, cluster: Cluster, topic: str) -> None:
    """Everything that `furnished` made is as it was."""
    first = TopicPartition(topic, 0)
    assert cluster.topics(shop.tenant.prefix) == [topic]
    assert cluster.groups(shop.tenant.prefix) == [group_of(topic)]
    assert (cluster.first_offsets([first]), cluster.end_offsets([first])) == ({first: 0}, {first: 1})
    assert cluster.committed([group_of(topic)])[group_of(topic)] == {first: 0}
    assert cluster.topic_settings([topic])[topic]["retention.ms"] == str(24 * HOUR_MS)


def test_every_page_and_button_needs_a_session_of_this_very_resource(customer: New, cluster: Cluster) -> None:
    owner, stranger = customer(), customer()
    topic = furnished(owner)
    for browser in (Client(), browser_of(stranger)):
        for page in (*lists(owner), *pages(owner, topic), messages_of(owner, topic)):
            assert browser.get(page).status_code == 401, page
        for button, fields in buttons(owner, topic).items():
            assert browser.post(button, fields).status_code == 401, button
    assert_untouched(owner, cluster, topic)


def test_names_of_another_tenant_are_unknown_under_one_s_own_address(customer: New, cluster: Cluster) -> None:
    owner, stranger = customer(), customer()
    topic = furnished(owner)
    browser = browser_of(stranger)
    for page in (*pages(stranger, topic), messages_of(stranger, topic)):
        assert browser.get(page).status_code == 404, page
    for page in lists(stranger):
        assert owner.tenant.prefix not in browser.get(page).content.decode()
    for button, fields in buttons(stranger, topic).items():
        answer = browser.post(button, fields, headers={"Accept": "application/json"})
        assert answer.status_code == 404, button
        assert answer.json()["id"] in ("topic_unknown", "group_unknown"), button
    assert_untouched(owner, cluster, topic)
    told = AuditEvent.objects.filter(resource=stranger.resource)
    assert not told.filter(event__regex=r"^(topic|group)\.").exists()


def test_a_viewer_sees_topics_and_groups_and_changes_nothing(customer: New, cluster: Cluster) -> None:
    shop = customer()
    topic = furnished(shop)
    browser = browser_of(shop, **VIEWER)
    for page in (*lists(shop), *pages(shop, topic)):
        answer = browser.get(page)
        assert answer.status_code == 200, page
        assert shop.tenant.prefix in answer.content.decode()
        assert "data-dashboard-form" not in answer.content.decode(), page
    for button, fields in buttons(shop, topic).items():
        assert browser.post(button, fields).status_code == 403, button
    assert_untouched(shop, cluster, topic)


def test_every_button_needs_the_page_s_csrf_token(customer: New, cluster: Cluster) -> None:
    shop = customer()
    topic = furnished(shop)
    browser = Client(enforce_csrf_checks=True)
    assert log_in(browser, shop.resource).status_code == 302
    for button, fields in buttons(shop, topic).items():
        assert browser.post(button, fields).status_code == 403, button
        assert browser.get(button).status_code == 405, button
    assert_untouched(shop, cluster, topic)


def test_without_the_page_s_script_a_form_leads_to_the_page_that_shows_it(customer: New) -> None:
    shop = customer()
    answer = browser_of(shop).post(address(shop, "create-topic"), {"name": "orders", "partitions": "2"})
    assert (answer.status_code, answer["Location"]) == (303, address(shop, "topics"))
    assert AuditEvent.objects.get(event="topic.created").actor == EMAIL


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"partitions": "1"}, "Name: This field is required"),
        ({"name": "x"}, "Partitions: This field is required"),
        ({"name": "x", "partitions": "zero"}, "Partitions: Enter a whole number"),
        ({"name": "x", "partitions": "-1"}, "Partitions: Ensure this value is greater"),
        ({"name": "x", "partitions": "99999"}, "allows 10 partitions"),
        ({"name": "x", "partitions": "1", "retention_hours": "NaN"}, "Keep records for: Enter a number"),
        ({"name": "x", "partitions": "1", "retention_hours": "1e400"}, "Keep records for"),
        ({"name": "x", "partitions": "1", "retention_hours": "25"}, "one hour to 1 day"),
        (
            {"name": "x", "partitions": "1", "cleanup_policy": "shred"},
            "Cleanup policy: Select a valid choice",
        ),
        ({"name": "x", "partitions": "1", "max_message_kb": "49"}, "1024 to 48,000 bytes"),
    ],
)
def test_what_was_typed_wrongly_is_told_and_nothing_is_made(
    customer: New, fields: dict[str, str], words: str
) -> None:
    shop = customer()
    answer = browser_of(shop).post(
        address(shop, "create-topic"), fields, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 422
    assert words in answer.json()["message"]
    assert not Topic.objects.exists()


def test_while_the_cluster_is_away_a_page_says_so_in_the_frame(
    customer: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    make(shop)

    def nobody(address: Address) -> Any:
        raise Fault("no Kafka broker answers (10.0.0.1:9093: refused)")

    monkeypatch.setattr(topic_pages, "connect", nobody)
    answer = browser_of(shop).get(address(shop, "topics"))
    assert answer.status_code == 503
    page = answer.content.decode()
    assert "does not answer at the moment" in page
    assert shop.resource.name in page
    assert "10.0.0.1" not in page


def test_the_pages_of_a_removed_add_on_are_gone(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    browser = browser_of(shop)
    assert Partner("kafkacluster").delete(shop.resource.uuid).status_code == 204
    for page in (*lists(shop), *pages(shop, topic)):
        assert browser.get(page).status_code == 410
    for button, fields in buttons(shop, topic).items():
        assert browser.post(button, fields).status_code == 410
