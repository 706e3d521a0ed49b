"""Looking into topics and sending test messages: bounded, within the plan, and without touching anybody's group."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer

from addon.kafkacluster import data, messages
from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.groups import Position
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.messages import MOST_RECORDS, Found, browse, budget, send_message
from addon.kafkacluster.records import SHOWN_BYTES, Blob
from addon.kafkacluster.topics import configure_topic
from provisioning.models import AuditEvent
from provisioning.services import Fault, Refusal
from tests.kafkacluster.conftest import Customer, operator_client
from tests.kafkacluster.test_pages import address, browser_of
from tests.kafkacluster.test_topics import ADA, make

pytestmark = pytest.mark.django_db(transaction=True)
New = Callable[..., Customer]


def fill(
    shop: Customer,
    topic: str,
    number: int,
    *,
    size: int = 10,
    partition: int = 0,
    as_operator: bool = False,
) -> None:
    """Produce records `0…`, `1…`, … of `size` bytes into one partition; the operator is held by no quota."""
    problems: list[object] = []
    login = operator_client(shop.tenant.cluster.address) if as_operator else shop.client()
    # A batch that is larger than the topic's largest message is refused whole.
    producer = Producer({**login, "batch.size": 20_000})
    for count in range(number):
        value = f"{count}".ljust(size, "x").encode()
        producer.produce(
            topic, value, partition=partition, on_delivery=lambda error, _: problems.append(error)
        )
    assert producer.flush(60) == 0
    assert problems == [None] * number


def look(
    shop: Customer, topic: str, *, partition: int | None = None, position: Position | None = None
) -> Found:
    assert shop.resource.plan is not None
    limits = Limits.of(shop.resource)
    return browse(shop.tenant, limits, topic=topic, partition=partition, position=position)


def offsets(found: Found) -> list[int]:
    return [record.offset for record in found.records]


def test_the_newest_come_first_whatever_their_partition(customer: New) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop, partitions=3)
    assert look(shop, topic).records == []
    began = datetime.now(UTC)
    for number, partition in enumerate((0, 2, 0, 1)):
        shop.send_to(topic, b"%d" % number, partition=partition, at=began + timedelta(seconds=number))
    found = look(shop, topic)
    assert [record.value.raw for record in found.records] == [b"3", b"2", b"1", b"0"]
    assert not found.incomplete


def test_a_record_is_shown_with_time_key_and_headers(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    at = datetime(2026, 3, 1, 12, 30, 15, 123000, tzinfo=UTC)
    send = {"key": "k-1", "headers": [("trace", b"abc"), ("bytes", b"\xff\xfe")]}
    shop.send_to(topic, b'{"a": [1, null]}', partition=0, at=at, **send)
    (record,) = look(shop, topic).records
    assert (record.partition, record.offset, record.at, record.key.raw) == (0, 0, at, b"k-1")
    assert [(name, blob.kind) for name, blob in record.headers] == [("trace", "text"), ("bytes", "binary")]
    assert (record.value.kind, record.value.text) == ("JSON", '{\n  "a": [\n    1,\n    null\n  ]\n}')


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (None, "none", ""),
        (b"", "empty", ""),
        ("grüße".encode(), "text", "grüße"),
        (b"{not json", "text", "{not json"),
        (b"\x00\x01\xff", "binary", "0001ff"),
        (b"[" * 100_000, "text", "[" * SHOWN_BYTES),
        (b"12", "text", "12"),
    ],
)
def test_bytes_are_shown_as_what_they_are(raw: bytes | None, kind: str, text: str) -> None:
    blob = Blob(raw)
    assert blob.kind == kind
    assert blob.text.replace(" ", "") == text.replace(" ", "")


def test_a_look_shows_at_most_fifty_from_where_it_was_told(customer: New) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop)
    fill(shop, topic, 120)
    looks: tuple[tuple[Position | None, Iterable[int]], ...] = (
        (Position(kind="earliest"), range(50)),
        (Position(kind="offset", offset=90), range(90, 120)),
        (Position(kind="offset", offset=5000), ()),
        (None, range(119, 69, -1)),
    )
    for position, expected in looks:
        assert offsets(look(shop, topic, partition=0, position=position)) == list(expected)
        assert len(look(shop, topic, position=position).records) <= MOST_RECORDS


def test_a_look_by_time_begins_with_the_first_record_of_that_time(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    noon = datetime.now(UTC) - timedelta(hours=2)
    for minutes in (0, 10, 20):
        shop.send_to(topic, b"x", partition=0, at=noon + timedelta(minutes=minutes))
    position = Position(kind="time", at=noon + timedelta(minutes=5))
    assert offsets(look(shop, topic, position=position)) == [1, 2]


def test_a_look_is_bounded_in_bytes_by_what_the_plan_gives_at_once(customer: New) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop)
    fill(shop, topic, 20, size=100_000, as_operator=True)
    found = look(shop, topic, partition=0, position=Position(kind="earliest"))
    assert shop.resource.plan is not None
    most = budget(Limits.of(shop.resource))
    taken = sum(record.size for record in found.records)
    # The last answer of Kafka may hold as much again.
    assert most <= taken < 2 * most
    assert found.incomplete
    assert offsets(found) == list(range(len(found.records)))


def test_a_look_ends_in_time_when_the_quota_is_used_up_and_says_so(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    for _ in range(4):
        fill(shop, topic, 1, size=40_000, as_operator=True)
    look(shop, topic, position=Position(kind="earliest"))
    began = time.monotonic()
    found = look(shop, topic, position=Position(kind="earliest"))
    assert time.monotonic() - began < messages.MOST_SECONDS + 6
    assert found.throttled or found.incomplete


def test_looking_touches_no_group_and_leaves_none(customer: New, cluster: Cluster) -> None:
    shop = customer()
    topic = make(shop)
    assert shop.send(topic) is None
    assert shop.receive(topic) == [b"hello"]
    group = f"{shop.tenant.prefix}readers"
    before = cluster.committed([group])
    for _ in range(2):
        assert offsets(look(shop, topic)) == [0]
    assert cluster.groups(shop.tenant.prefix) == [group]
    assert cluster.committed([group]) == before


def test_another_tenant_s_topic_is_unknown_and_kafka_itself_would_refuse_it(
    customer: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, stranger = customer(), customer()
    topic = make(owner)
    assert owner.send(topic) is None
    with pytest.raises(Refusal, match="no topic"):
        look(stranger, topic)
    with pytest.raises(Refusal, match="no topic"):
        send_message(stranger.tenant, topic=topic, key=None, value=b"x", actor=ADA)
    monkeypatch.setattr(messages, "check_topic", lambda *_: None)
    with pytest.raises(Fault, match="TopicAuthorizationFailed"):
        look(stranger, topic)
    with pytest.raises(Refusal, match="Nothing can be produced"):
        send_message(stranger.tenant, topic=topic, key=None, value=b"x", actor=ADA)
    assert offsets(look(owner, topic)) == [0]


def test_a_test_message_arrives_with_everything_it_was_given(customer: New) -> None:
    shop = customer()
    topic = make(shop, partitions=2)
    sent = send_message(
        shop.tenant, topic=topic, key=b"k", value=b"v", headers=[("a", b"1")], partition=1, actor=ADA
    )
    assert sent == (1, 0)
    (record,) = look(shop, topic).records
    assert (record.partition, record.key.raw, record.value.raw) == (1, b"k", b"v")
    assert [(name, blob.raw) for name, blob in record.headers] == [("a", b"1")]
    assert AuditEvent.objects.get(event="topic.message_sent").detail == {"topic": topic}


def test_a_message_that_the_topic_does_not_take_is_refused_in_words(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    for fields, words in (
        ({"value": b"x" * 60_000}, "larger than the topic takes"),
        ({"value": b"x", "partition": 7}, "no such partition"),
    ):
        with pytest.raises(Refusal, match=words):
            send_message(shop.tenant, topic=topic, key=None, actor=ADA, **fields)
    configure_topic(shop.resource.pk, name=topic, settings={"cleanup.policy": "compact"}, actor=ADA)
    with pytest.raises(Refusal, match="needs a key"):
        send_message(shop.tenant, topic=topic, key=None, value=b"x", actor=ADA)
    assert not AuditEvent.objects.filter(event="topic.message_sent").exists()


def test_a_message_that_is_not_confirmed_is_not_called_sent(
    customer: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    topic = make(shop)
    settings = data._settings
    nobody = {"bootstrap.servers": "127.0.0.1:9"}
    monkeypatch.setattr(data, "_settings", lambda tenant: {**settings(tenant), **nobody})
    monkeypatch.setattr(messages, "SEND_SECONDS", 1.0)
    with pytest.raises(Refusal, match="did not confirm"):
        send_message(shop.tenant, topic=topic, key=None, value=b"x", actor=ADA)


def test_the_page_shows_sends_and_pages_on(customer: New) -> None:
    shop = customer(plan="basic-0")
    browser = browser_of(shop)
    page = address(shop, "messages")
    assert "No topics yet" in browser.get(page).content.decode()
    topic = make(shop)
    assert "No messages yet" in browser.get(page).content.decode()
    answer = browser.post(
        address(shop, "send-message"),
        {"topic": topic, "value": '{"hello": "<b>world"}', "headers": "a: 1\nb: 2"},
        headers={"Accept": "application/json"},
    )
    assert answer.json()["message"] == "Sent: partition 0, offset 0"
    text = browser.get(page).content.decode()
    assert "&lt;b&gt;world" in text
    assert "<b>world" not in text
    fill(shop, topic, 70)
    first = browser.get(page, {"topic": topic, "partition": "0", "start": "earliest"}).content.decode()
    assert "start=offset&amp;offset=50" in first
    queries: tuple[tuple[dict[str, str], str], ...] = (
        ({"topic": topic, "start": "time"}, "say from when on"),
        ({"topic": topic, "partition": "9"}, "no such partition"),
        ({"topic": topic, "partition": "x"}, "Partition: Enter a whole number"),
    )
    for query, words in queries:
        assert words in browser.get(page, query).content.decode()
    assert browser.get(page, {"topic": "other.topic"}).status_code == 404


def test_a_viewer_reads_no_messages(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    assert shop.send(topic, b"a secret order") is None
    answer = browser_of(shop, user_scoped_resource_token=None).get(address(shop, "messages"))
    assert answer.status_code == 403
    assert "a secret order" not in answer.content.decode()
