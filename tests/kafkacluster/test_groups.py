"""A tenant's consumer groups: registered with a start, watched, moved while inactive, and deleted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from confluent_kafka import Consumer
from kafka import TopicPartition

from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.group_pages import find_group, list_groups
from addon.kafkacluster.groups import Position, delete_group, forget_topic, register_group, reset_group
from addon.kafkacluster.models import ConsumerGroup, Tenant
from addon.kafkacluster.topics import delete_topic
from provisioning.models import AuditEvent
from provisioning.services import Refusal
from provisioning.suspension import suspend
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.test_topics import ADA, make
from tests.support.partner import at_once
from tests.support.stack import until

pytestmark = pytest.mark.django_db(transaction=True)
New = Callable[..., Customer]
EARLIEST, LATEST = Position(kind="earliest"), Position(kind="latest")


@pytest.fixture
def shop(customer: New) -> Customer:
    """A tenant with a topic of two partitions and three records in the first."""
    made = customer()
    topic = make(made, partitions=2)
    for value in (b"one", b"two", b"three"):
        made.send_to(topic, value, partition=0)
    return made


def orders(shop: Customer) -> str:
    return f"{shop.tenant.prefix}orders"


def register(shop: Customer, name: str = "readers", position: Position = EARLIEST) -> str:
    return register_group(shop.tenant, own_name=name, topics=[orders(shop)], position=position, actor=ADA)


def next_offset(cluster: Cluster, group: str, topic: str) -> int | None:
    return cluster.committed([group])[group].get(TopicPartition(topic, 0))


@contextmanager
def consuming(shop: Customer, group: str) -> Iterator[None]:
    """A consumer of the group that has its partitions."""
    consumer = Consumer(shop.client(**{"group.id": group, "auto.offset.reset": "earliest"}))
    consumer.subscribe([orders(shop)])
    try:
        until(lambda: consumer.poll(0.2) is not None or consumer.assignment())
        yield
    finally:
        consumer.close()


@pytest.mark.parametrize(("position", "first"), [(EARLIEST, b"one"), (LATEST, None)])
def test_a_registered_group_starts_where_it_was_told(
    shop: Customer, cluster: Cluster, position: Position, first: bytes | None
) -> None:
    name = register(shop, position=position)
    assert name == f"{shop.tenant.prefix}readers"
    (row,) = list_groups(shop.tenant, number=1, search="").groups
    assert (row.badge[0], row.lag, row.registered) == ("Inactive", 3 if first else 0, True)
    if first is None:
        shop.send_to(orders(shop), b"new", partition=0)
    assert shop.receive(orders(shop), group=name) == [first or b"new"]
    assert AuditEvent.objects.get(event="group.registered").detail["group"] == name


def test_a_name_is_registered_once_and_only_up_to_the_plan_s_number_also_at_once(shop: Customer) -> None:
    register(shop)
    with pytest.raises(Refusal, match="already"):
        register(shop)

    def one_more(number: int) -> str:
        try:
            register(shop, f"g{number}")
        except Refusal as refusal:
            return refusal.code
        return "made"

    outcomes = at_once([partial(one_more, number) for number in range(8)])
    assert sorted(outcomes) == ["made"] * 4 + ["too_many_groups"] * 4
    assert ConsumerGroup.objects.count() == 5


def test_a_name_that_is_no_name_is_refused(shop: Customer) -> None:
    for name in ("", "a b", "a/b", "x" * 236):
        with pytest.raises(Refusal, match="letters, digits, dots"):
            register(shop, name)
    assert not ConsumerGroup.objects.exists()


def test_a_group_that_a_client_made_is_listed_with_members_and_lag(shop: Customer) -> None:
    group = f"{shop.tenant.prefix}by client/ü"
    with consuming(shop, group):
        (row,) = list_groups(shop.tenant, number=1, search="").groups
        assert (row.name, row.badge[0], row.registered) == (group, "Active", False)
        found = find_group(shop.tenant, group)
        assert found is not None
        assert found.in_use
        (member,) = found.members
        assert [partition.partition for partition in member.partitions] == [0, 1]
    found = find_group(shop.tenant, group)
    assert found is not None
    assert not found.in_use


def test_the_position_of_a_group_with_members_is_theirs_and_the_refusal_says_why(
    shop: Customer, cluster: Cluster
) -> None:
    name = register(shop)
    topic = orders(shop)
    with consuming(shop, name):
        acts: tuple[Callable[[], object], ...] = (
            lambda: reset_group(shop.tenant, name=name, topic=topic, position=LATEST, actor=ADA),
            lambda: forget_topic(shop.tenant, name=name, topic=topic, actor=ADA),
            lambda: delete_group(shop.tenant, name=name, actor=ADA),
        )
        for act in acts:
            with pytest.raises(Refusal, match="only they move its offsets") as refusal:
                act()
            assert refusal.value.code == "group_active"
        assert find_group(shop.tenant, name).in_use  # type: ignore[union-attr]
    assert not AuditEvent.objects.filter(event__in=["group.reset", "group.deleted"]).exists()
    reset_group(shop.tenant, name=name, topic=topic, position=LATEST, actor=ADA)
    assert next_offset(cluster, name, topic) == 3


def test_an_inactive_group_is_moved_and_never_beyond_what_the_topic_holds(
    shop: Customer, cluster: Cluster
) -> None:
    name = register(shop, position=Position(kind="offset", offset=1))
    moves = (
        (EARLIEST, 0),
        (LATEST, 3),
        (Position(kind="offset", offset=2, partition=0), 2),
        (Position(kind="offset", offset=99), 3),
        (Position(kind="time", at=datetime.now(UTC) - timedelta(hours=1)), 0),
        (Position(kind="time", at=datetime.now(UTC) + timedelta(hours=1)), 3),
    )
    for position, expected in moves:
        reset_group(shop.tenant, name=name, topic=orders(shop), position=position, actor=ADA)
        assert next_offset(cluster, name, orders(shop)) == expected
        told = AuditEvent.objects.filter(event="group.reset").latest("pk")
        assert told.detail["position"] == position.words


def test_a_move_by_time_finds_the_record_of_that_time(shop: Customer, cluster: Cluster) -> None:
    name = register(shop)
    topic = orders(shop)
    later = datetime.now(UTC) + timedelta(minutes=10)
    shop.send_to(topic, b"later", partition=0, at=later)
    position = Position(kind="time", at=later - timedelta(minutes=1))
    reset_group(shop.tenant, name=name, topic=topic, position=position, actor=ADA)
    assert next_offset(cluster, name, topic) == 3
    assert shop.receive(topic, group=name) == [b"later"]


def test_the_offsets_on_one_topic_are_deleted_and_those_on_others_stay(
    shop: Customer, cluster: Cluster
) -> None:
    other = make(shop, "other")
    name = register_group(
        shop.tenant, own_name="readers", topics=[orders(shop), other], position=EARLIEST, actor=ADA
    )
    forget_topic(shop.tenant, name=name, topic=orders(shop), actor=ADA)
    assert set(cluster.committed([name])[name]) == {TopicPartition(other, 0)}
    with pytest.raises(Refusal, match="no offsets on"):
        forget_topic(shop.tenant, name=name, topic=orders(shop), actor=ADA)


def test_a_deleted_topic_leaves_a_page_that_still_works(shop: Customer) -> None:
    name = register(shop)
    delete_topic(shop.resource.pk, name=orders(shop), actor=ADA)
    found = find_group(shop.tenant, name)
    assert found is not None
    assert all(not topic.exists for topic in found.topics)
    assert list_groups(shop.tenant, number=1, search="").total == 1


def test_a_group_is_deleted_and_unknown_after_it(shop: Customer, cluster: Cluster) -> None:
    name = register(shop)
    delete_group(shop.tenant, name=name, actor=ADA)
    assert cluster.groups(shop.tenant.prefix) == []
    assert find_group(shop.tenant, name) is None
    with pytest.raises(Refusal, match="no consumer group"):
        delete_group(shop.tenant, name=name, actor=ADA)
    assert AuditEvent.objects.filter(event="group.deleted").count() == 1


def test_the_groups_of_another_tenant_can_be_neither_seen_nor_touched(
    shop: Customer, customer: New, cluster: Cluster
) -> None:
    stranger = customer()
    name, topic = register(shop), orders(shop)
    own = make(stranger, "own")
    assert list_groups(stranger.tenant, number=1, search="").total == 0
    assert find_group(stranger.tenant, name) is None
    acts: tuple[Callable[[], object], ...] = (
        lambda: reset_group(stranger.tenant, name=name, topic=own, position=LATEST, actor=ADA),
        lambda: reset_group(
            stranger.tenant, name=f"{stranger.tenant.prefix}x", topic=topic, position=LATEST, actor=ADA
        ),
        lambda: forget_topic(stranger.tenant, name=name, topic=topic, actor=ADA),
        lambda: delete_group(stranger.tenant, name=name, actor=ADA),
        lambda: register_group(stranger.tenant, own_name="x", topics=[topic], position=LATEST, actor=ADA),
    )
    for act in acts:
        with pytest.raises(Refusal) as refusal:
            act()
        assert refusal.value.code in ("group_unknown", "topic_unknown")
    assert next_offset(cluster, name, topic) == 0


def test_many_groups_come_in_pages_and_are_found_by_name(shop: Customer) -> None:
    ConsumerGroup.objects.bulk_create(
        ConsumerGroup(tenant=shop.tenant, name=f"{shop.tenant.prefix}g{number:03}") for number in range(120)
    )
    first, third = (list_groups(shop.tenant, number=number, search="") for number in (1, 3))
    assert (len(first.groups), first.total, first.has_next) == (50, 120, True)
    assert (len(third.groups), third.has_next) == (20, False)
    found = list_groups(shop.tenant, number=1, search="g11")
    assert [row.own_name for row in found.groups] == [f"g11{number}" for number in range(10)]


def test_a_suspended_tenant_s_groups_stay_as_they_are(shop: Customer) -> None:
    name = register(shop)
    suspend(shop.resource.pk, reason="abuse", actor="operator")
    with pytest.raises(Refusal, match="suspended"):
        delete_group(Tenant.objects.get(pk=shop.tenant.pk), name=name, actor=ADA)
    assert ConsumerGroup.objects.exists()
