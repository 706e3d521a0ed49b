"""A tenant's topics: made and changed within the plan, also at once, and brought to the cluster when it answers."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from kafka import TopicPartition

from addon.kafkacluster import topics
from addon.kafkacluster.cluster import Address, Cluster
from addon.kafkacluster.limits import HOUR_MS
from addon.kafkacluster.models import Tenant, Topic
from addon.kafkacluster.tenants import left_of
from addon.kafkacluster.topic_settings import Settings
from addon.kafkacluster.topics import (
    add_partitions,
    configure_topic,
    create_topic,
    delete_topic,
    purge_topic,
    settle_topics,
)
from provisioning.models import AuditEvent, Plan
from provisioning.services import Fault, Refusal, service_of
from provisioning.suspension import suspend
from sso.events import customer_events
from tests.kafkacluster.conftest import Customer
from tests.support.partner import Partner, at_once, run_operations

pytestmark = pytest.mark.django_db(transaction=True)
New = Callable[..., Customer]
ADA = "ada@example.com"


def make(shop: Customer, name: str = "orders", *, partitions: int = 1, **settings: str) -> str:
    """Make a topic with `settings` by Kafka's names, underscores for dots."""
    given = {key.replace("_", "."): value for key, value in settings.items()}
    change = create_topic(shop.resource.pk, own_name=name, partitions=partitions, settings=given, actor=ADA)
    assert change.done
    return change.name


@pytest.fixture
def cluster_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A way to let no call of the topics' functions reach a broker, until the block ends."""

    @contextmanager
    def away() -> Iterator[None]:
        def nobody(address: Address) -> Any:
            raise Fault("no Kafka broker answers")

        with monkeypatch.context() as patched:
            patched.setattr(topics, "connect", nobody)
            yield

    return away


def test_a_topic_is_made_with_the_plan_s_defaults_and_can_be_used_at_once(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    name = make(shop, partitions=2)
    assert name == f"{shop.tenant.prefix}orders"
    assert len(cluster.describe_topics([name])[name]) == 2
    settings = cluster.topic_settings([name])[name]
    assert (settings["retention.ms"], settings["max.message.bytes"]) == (str(24 * HOUR_MS), "48000")
    assert shop.send(name) is None
    event = AuditEvent.objects.get(event="topic.created")
    assert (event.actor, event.detail["topic"], event.resource_id) == (ADA, name, shop.resource.pk)
    assert f"Topic {name} created with partitions: 2" in [
        e.text for e in customer_events(shop.resource).events
    ]


def test_the_prefix_may_be_given_and_stands_once(customer: New) -> None:
    shop = customer()
    assert make(shop, f"{shop.tenant.prefix}orders") == f"{shop.tenant.prefix}orders"


def test_a_name_that_kafka_does_not_take_is_refused_in_words(customer: New) -> None:
    shop = customer()
    for name in ("", " ", "a b", "ümlaut", "a/b", "x" * 236, "a\nb"):
        with pytest.raises(Refusal, match="letters, digits, dots"):
            create_topic(shop.resource.pk, own_name=name, partitions=1, settings={}, actor=ADA)
    assert not Topic.objects.exists()


def test_a_name_that_differs_by_dot_and_underscore_only_is_refused_and_the_reason_told(customer: New) -> None:
    shop = customer()
    make(shop, "a_b")
    with pytest.raises(Refusal, match="a dot and an underscore"):
        make(shop, "a.b")
    with pytest.raises(Refusal, match="already"):
        make(shop, "a_b")
    assert Topic.objects.count() == 1


def test_twelve_creations_at_once_never_exceed_the_plan(customer: New, cluster: Cluster) -> None:
    shop = customer()

    def create(number: int) -> str:
        try:
            make(shop, f"n{number}", partitions=2)
        except Refusal as refusal:
            return refusal.code
        return "made"

    outcomes = at_once([partial(create, number) for number in range(12)])
    # Five topics, of ten partitions in all.
    assert sorted(outcomes) == ["made"] * 5 + ["too_many_topics"] * 7
    assert len(cluster.topics(shop.tenant.prefix)) == 5
    with pytest.raises(Refusal, match="allows 10 partitions in all"):
        add_partitions(shop.resource.pk, name=f"{shop.tenant.prefix}{_any_made(shop)}", total=3, actor=ADA)


def _any_made(shop: Customer) -> str:
    return Topic.objects.filter(tenant=shop.tenant).first().name.removeprefix(shop.tenant.prefix)  # type: ignore[union-attr]


def test_a_downgrade_right_after_a_creation_sees_the_new_topic(customer: New) -> None:
    shop = customer(plan="starter")
    for number in range(6):
        make(shop, f"n{number}")
    free = Plan.objects.get(service="kafkacluster", slug="free")
    with pytest.raises(Refusal, match="6 topics of 5"):
        service_of(shop.resource).check_plan_change(shop.resource, free)


def test_partitions_are_added_and_never_taken_away(customer: New, cluster: Cluster) -> None:
    shop = customer()
    name = make(shop)
    assert add_partitions(shop.resource.pk, name=name, total=4, actor=ADA).done
    assert len(cluster.describe_topics([name])[name]) == 4
    for total in (4, 3, 0, -1):
        with pytest.raises(Refusal, match="can only grow"):
            add_partitions(shop.resource.pk, name=name, total=total, actor=ADA)
    with pytest.raises(Refusal, match="so 6 more can be made"):
        add_partitions(shop.resource.pk, name=name, total=11, actor=ADA)
    assert Topic.objects.get().partitions == 4


BEYOND_THE_PLAN = (
    ({"retention.ms": str(25 * HOUR_MS)}, "one hour to 1 day"),
    ({"retention.ms": "-1"}, "one hour to 1 day"),
    ({"retention.bytes": "100000001"}, "at most 100 MB in each of 1"),
    ({"max.message.bytes": "48001"}, "1024 to 48,000 bytes"),
    ({"cleanup.policy": "nonsense"}, "cleanup policies"),
    ({"min.insync.replicas": "2"}, "nothing could ever be produced"),
)


def test_settings_beyond_the_plan_are_refused_when_a_topic_is_made_and_when_it_is_changed(
    customer: New,
) -> None:
    shop = customer()
    for values, words in BEYOND_THE_PLAN:
        with pytest.raises(Refusal, match=words):
            create_topic(shop.resource.pk, own_name="orders", partitions=1, settings=values, actor=ADA)
    assert not Topic.objects.exists()
    name = make(shop)
    for values, words in BEYOND_THE_PLAN:
        with pytest.raises(Refusal, match=words):
            configure_topic(shop.resource.pk, name=name, settings=values, actor=ADA)
    assert Topic.objects.get().state == Topic.State.LIVE


def test_settings_are_changed_and_the_same_ones_again_leave_no_event(customer: New, cluster: Cluster) -> None:
    shop = customer()
    name = make(shop)
    wanted = {
        "retention.ms": str(2 * HOUR_MS),
        "cleanup.policy": "compact,delete",
        "retention.bytes": "1000000",
    }
    for _ in range(2):
        assert configure_topic(shop.resource.pk, name=name, settings=wanted, actor=ADA).done
    assert wanted.items() <= cluster.topic_settings([name])[name].items()
    assert AuditEvent.objects.filter(event="topic.configured").count() == 1
    assert Topic.objects.get().pending_settings == {}


def test_what_kafka_refuses_is_taken_back_and_its_words_are_passed_on(
    customer: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    monkeypatch.setattr(Settings, "check", lambda *_, **__: None)
    with pytest.raises(Refusal, match=r"(?s)Kafka refused.*cleanup\.policy"):
        make(shop, "broken", cleanup_policy="nonsense")
    assert not Topic.objects.exists()
    name = make(shop)
    with pytest.raises(Refusal, match="Kafka refused"):
        configure_topic(shop.resource.pk, name=name, settings={"cleanup.policy": "nonsense"}, actor=ADA)
    assert (Topic.objects.get().state, Topic.objects.get().pending_settings) == (Topic.State.LIVE, {})
    assert AuditEvent.objects.filter(event="topic.refused").count() == 2


def test_a_purge_empties_a_topic_and_a_compacted_one_says_why_it_cannot_be(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    name = make(shop)
    assert shop.send(name) is None
    purge_topic(shop.resource.pk, name=name, actor=ADA)
    partition = TopicPartition(name, 0)
    assert cluster.first_offsets([partition]) == cluster.end_offsets([partition]) == {partition: 1}
    configure_topic(shop.resource.pk, name=name, settings={"cleanup.policy": "compact"}, actor=ADA)
    with pytest.raises(Refusal, match="only compacted"):
        purge_topic(shop.resource.pk, name=name, actor=ADA)
    assert AuditEvent.objects.filter(event="topic.purged").count() == 1


def test_a_topic_is_deleted_once_and_its_name_can_be_given_anew(customer: New, cluster: Cluster) -> None:
    shop = customer()
    name = make(shop)
    assert shop.send(name) is None
    outcomes = at_once([lambda: _deletion(shop, name) for _ in range(4)])
    assert set(outcomes) <= {"done", "topic_unknown"}
    assert "done" in outcomes
    assert AuditEvent.objects.filter(event="topic.deleted").count() == 1
    assert cluster.topics(shop.tenant.prefix) == []
    assert make(shop) == name
    assert cluster.end_offsets([TopicPartition(name, 0)]) == {TopicPartition(name, 0): 0}


def _deletion(shop: Customer, name: str) -> str:
    try:
        delete_topic(shop.resource.pk, name=name, actor=ADA)
    except Refusal as refusal:
        return refusal.code
    return "done"


def test_while_the_cluster_is_away_changes_wait_count_and_are_made_later(
    customer: New, cluster: Cluster, cluster_away: Callable[[], Any]
) -> None:
    shop = customer()
    old = make(shop, "old")
    with cluster_away():
        for number in range(4):
            change = create_topic(
                shop.resource.pk, own_name=f"n{number}", partitions=1, settings={}, actor=ADA
            )
            assert not change.done
        with pytest.raises(Refusal, match="allows 5 topics"):
            create_topic(shop.resource.pk, own_name="more", partitions=1, settings={}, actor=ADA)
        assert not delete_topic(shop.resource.pk, name=old, actor=ADA).done
        with pytest.raises(Refusal, match="being deleted"):
            add_partitions(shop.resource.pk, name=old, total=2, actor=ADA)
    assert settle_topics() == 0
    assert cluster.topics(shop.tenant.prefix) == [f"{shop.tenant.prefix}n{number}" for number in range(4)]
    assert set(Topic.objects.values_list("state", flat=True)) == {Topic.State.LIVE}


def test_the_rows_follow_what_an_operator_does_with_other_tools(customer: New, cluster: Cluster) -> None:
    shop, other = customer(), customer()
    kept, gone = make(shop, "kept"), make(shop, "gone")
    cluster.create_topic(f"{other.tenant.prefix}by-hand", partitions=3)
    cluster.create_topic(f"x{other.tenant.prefix}not-ours", partitions=1)
    cluster.add_partitions(kept, total=2)
    cluster.delete_topics([gone])
    settle_topics()
    assert set(Topic.objects.values_list("name", "partitions", "tenant_id")) == {
        (kept, 2, shop.tenant.pk),
        (f"{other.tenant.prefix}by-hand", 3, other.tenant.pk),
    }


def test_a_topic_of_another_tenant_is_unknown_whatever_is_done_with_it(
    customer: New, cluster: Cluster
) -> None:
    owner, stranger = customer(), customer()
    name = make(owner)
    assert owner.send(name) is None
    resource = stranger.resource.pk
    for act in (
        lambda: configure_topic(resource, name=name, settings={"retention.ms": str(HOUR_MS)}, actor=ADA),
        lambda: add_partitions(resource, name=name, total=2, actor=ADA),
        lambda: purge_topic(resource, name=name, actor=ADA),
        lambda: delete_topic(resource, name=name, actor=ADA),
    ):
        with pytest.raises(Refusal) as refusal:
            act()
        assert refusal.value.code == "topic_unknown"
    # Giving a whole name makes a topic of one's own below it, never one of the other's.
    assert make(stranger, name) == f"{stranger.tenant.prefix}{name}"
    assert cluster.end_offsets([TopicPartition(name, 0)]) == {TopicPartition(name, 0): 1}


def test_a_removal_that_begins_while_a_topic_is_made_leaves_nothing(
    customer: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    make_on_cluster = Cluster.create_topic

    def removed_meanwhile(self: Cluster, name: str, **fields: Any) -> None:
        (answer,) = at_once([lambda: Partner("kafkacluster").delete(shop.resource.uuid)])
        assert answer.status_code == 204
        make_on_cluster(self, name, **fields)

    monkeypatch.setattr(Cluster, "create_topic", removed_meanwhile)
    create_topic(shop.resource.pk, own_name="late", partitions=1, settings={}, actor=ADA)
    run_operations(shop.resource)
    assert left_of(cluster, shop.tenant) == []
    with pytest.raises(Refusal, match="being removed"):
        create_topic(shop.resource.pk, own_name="later", partitions=1, settings={}, actor=ADA)


def test_the_rows_of_a_removed_tenant_go(customer: New) -> None:
    shop = customer()
    make(shop)
    Tenant.objects.filter(pk=shop.tenant.pk).update(removed_at="2026-01-01T00:00Z")
    settle_topics()
    assert not Topic.objects.exists()


def test_a_suspended_tenant_s_topics_stay_as_they_are(customer: New) -> None:
    shop = customer()
    name = make(shop)
    suspend(shop.resource.pk, reason="abuse", actor="operator")
    with pytest.raises(Refusal, match="suspended"):
        delete_topic(shop.resource.pk, name=name, actor=ADA)
    assert Topic.objects.get().state == Topic.State.LIVE


def test_an_address_keeps_its_password_out_of_what_is_printed(customer: New) -> None:
    address = dataclasses.replace(customer().tenant.cluster.address, admin_password="very-secret")
    assert "very-secret" not in repr(address)
