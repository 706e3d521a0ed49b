"""What a plan allows is held where topics are made: told in words, and exact when two come at once."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from addon.kafkacluster import limits as rules
from addon.kafkacluster import topics
from addon.kafkacluster.cluster import Cluster, connect
from addon.kafkacluster.limits import HOUR_MS, Limits, changing_topics
from addon.kafkacluster.models import Tenant, Topic
from provisioning.models import Plan, Resource
from provisioning.services import Refusal, all_services
from provisioning.suspension import resume, suspend
from tests.kafkacluster.conftest import Customer
from tests.support.partner import Partner, at_once, run_operations

pytestmark = pytest.mark.django_db
FREE = {plan.slug: plan for plan in all_services()["kafkacluster"].plans}["free"].limits


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"topics": None}, "limits are consume_bytes_per_second, consumer_groups"),
        ({"speed": 1}, "limits are "),
        ({"stored_bytes": 0}, "stored_bytes is not a whole number above zero"),
        ({"stored_bytes": 1.5}, "stored_bytes is not a whole number"),
        ({"topics": True}, "topics is not a whole number"),
        ({"partitions": 4}, "partitions are fewer than topics"),
        ({"max_message_bytes": 1_048_589}, "max_message_bytes is not 1024 to 1048588"),
    ],
)
def test_limits_that_do_not_fit_are_named(change: dict[str, object], words: str) -> None:
    values = {key: value for key, value in {**FREE, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=words):
        Limits.read(values)


@pytest.mark.parametrize("plan", all_services()["kafkacluster"].plans, ids=lambda plan: plan.slug)
def test_a_plan_s_largest_message_holds_its_client_up_for_no_more_than_ten_seconds(plan: Plan) -> None:
    limits = Limits.read(plan.limits)
    assert limits.max_message_bytes <= 10 * limits.produce_bytes_per_second


def room(customer: Customer) -> rules.Room:
    """What the tenant's plan allows it."""
    with changing_topics(customer.resource.pk) as found:
        return found


def test_topics_and_partitions_are_counted_together(customer: Callable[..., Customer]) -> None:
    found = room(customer())
    found.check_new_topic(kept={}, partitions=10)
    found.check_new_topic(kept={"a": 1, "b": 1, "c": 1, "d": 1}, partitions=6)
    with pytest.raises(Refusal, match="allows 5 topics, and you have 5"):
        found.check_new_topic(kept=dict.fromkeys("abcde", 1), partitions=1)
    with pytest.raises(Refusal, match=r"allows 10 partitions .* You have 8, so 2 more can be made"):
        found.check_new_topic(kept={"a": 8}, partitions=3)
    with pytest.raises(Refusal, match="at least one"):
        found.check_new_topic(kept={}, partitions=0)
    found.check_more_partitions(kept={"a": 4, "b": 1}, name="a", partitions=9)
    with pytest.raises(Refusal, match="so 5 more can be made"):
        found.check_more_partitions(kept={"a": 4, "b": 1}, name="a", partitions=10)
    with pytest.raises(Refusal, match="4 partitions already; a topic's partitions can only grow"):
        found.check_more_partitions(kept={"a": 4}, name="a", partitions=4)


def test_a_topic_s_settings_stay_within_the_plan() -> None:
    limits = Limits.read(FREE)
    for retention in (HOUR_MS, 24 * HOUR_MS):
        rules.check_retention(limits, retention)
    for retention in (HOUR_MS - 1, 24 * HOUR_MS + 1, -1):
        with pytest.raises(Refusal, match="Retention is one hour to 1 day"):
            rules.check_retention(limits, retention)
    rules.check_message_size(limits, 48_000)
    for size in (48_001, 100):
        with pytest.raises(Refusal, match="1024 to 48,000 bytes"):
            rules.check_message_size(limits, size)
    for size in (-1, 50_000_000):
        rules.check_retention_bytes(limits, size, partitions=2)
    for size in (50_000_001, 0, -2):
        with pytest.raises(Refusal, match="100 MB on this plan: at most 50 MB in each of 2"):
            rules.check_retention_bytes(limits, size, partitions=2)
    rules.check_consumer_groups(limits, 4)
    with pytest.raises(Refusal, match="allows 5 consumer groups, and you have 5"):
        rules.check_consumer_groups(limits, 5)
    assert rules.topic_defaults(limits) == {"retention.ms": str(24 * HOUR_MS), "max.message.bytes": "48000"}


def test_no_topic_is_made_while_the_storage_is_full(customer: Callable[..., Customer]) -> None:
    shop = customer()
    Tenant.objects.update(writes_paused_at=timezone.now())
    with pytest.raises(Refusal, match="stored data has reached the 100 MB of plan 'free'"):
        room(shop).check_new_topic(kept={}, partitions=1)


def test_topics_of_an_ending_or_suspended_tenant_stay_as_they_are(customer: Callable[..., Customer]) -> None:
    shop = customer()
    suspend(shop.resource.pk, reason="abuse", actor="operator")
    with pytest.raises(Refusal, match="is suspended"):
        room(shop)
    resume(shop.resource.pk, actor="operator")
    room(shop)
    Partner("kafkacluster").delete(shop.resource.uuid)
    with pytest.raises(Refusal, match="being removed"):
        room(shop)


@pytest.mark.django_db(transaction=True)
def test_topics_made_at_the_same_instant_never_exceed_the_plan(customer: Callable[..., Customer]) -> None:
    shop = customer()

    def make(number: int) -> bool:
        try:
            with changing_topics(shop.resource.pk) as found, connect(found.tenant.cluster.address) as cluster:
                prefix = found.tenant.prefix
                kept = dict.fromkeys(cluster.topics(prefix), 1)
                found.check_new_topic(kept=kept, partitions=1)
                cluster.create_topic(f"{prefix}t{number}", partitions=1)
                found.note({**kept, f"{prefix}t{number}": 1})
            return True
        except Refusal:
            return False

    made = at_once([lambda number=number: make(number) for number in range(8)])  # type: ignore[misc]
    assert sum(made) == 5
    shop.tenant.refresh_from_db()
    assert (shop.tenant.topics, shop.tenant.partitions) == (5, 5)
    resource = Resource.objects.get(pk=shop.resource.pk)
    Partner("kafkacluster").delete(resource.uuid)
    run_operations(resource)


def test_sizes_are_said_in_round_words() -> None:
    told = [rules.in_bytes(size) for size in (999, 48_000, 1_500_000, 4_000_000_000)]
    assert told == ["999 bytes", "48 kB", "1.5 MB", "4 GB"]
    assert [rules.in_hours(hours) for hours in (1, 36, 24, 168)] == ["1 hour", "36 hours", "1 day", "7 days"]


def change_plan(shop: Customer, plan: str) -> None:
    """Change the plan, as Heroku and the worker do."""
    assert Partner("kafkacluster").put(shop.resource.uuid, plan).status_code == 202
    run_operations(shop.resource)


def test_topics_follow_a_plan_change_within_what_the_new_plan_allows(
    customer: Callable[..., Customer], cluster: Cluster
) -> None:
    shop = customer(plan="basic-0")
    sizes = {"plan": "512000", "own": "60000", "small": "20000"}
    names = {}
    for name, size in sizes.items():
        names[name] = f"{shop.tenant.prefix}{name}"
        settings = {"max.message.bytes": size, "retention.ms": str(100 * HOUR_MS)}
        topics.create_topic(shop.resource.pk, own_name=name, partitions=2, settings=settings, actor="test")
    cluster.set_topic_settings(names["own"], {"retention.ms": "-1", "retention.bytes": "1000000000"})
    waiting = Topic.objects.create(
        tenant=shop.tenant,
        name=f"{shop.tenant.prefix}waits",
        partitions=1,
        pending_settings={"retention.ms": str(100 * HOUR_MS)},
    )

    def told() -> dict[str, tuple[str, int]]:
        found = cluster.topic_settings(names.values())
        return {
            name: (found[whole]["max.message.bytes"], int(found[whole]["retention.ms"]) // HOUR_MS)
            for name, whole in names.items()
        }

    change_plan(shop, "free")
    assert told() == {"plan": ("48000", 24), "own": ("48000", 24), "small": ("20000", 24)}
    assert cluster.topic_settings([names["own"]])[names["own"]]["retention.bytes"] == "50000000"
    waiting.refresh_from_db()
    assert waiting.pending_settings == {"retention.ms": str(24 * HOUR_MS)}
    change_plan(shop, "basic-1")
    assert told() == {"plan": ("1000000", 24), "own": ("1000000", 24), "small": ("20000", 24)}
