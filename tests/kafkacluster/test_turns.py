"""Changes of one tenant on its cluster take turns, and no row of Postgres is locked while Kafka is asked."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from addon.kafkacluster import rights, turns
from addon.kafkacluster.calls import Calls
from addon.kafkacluster.cluster import Cluster, Grant
from addon.kafkacluster.groups import Position, delete_group, register_group, reset_group
from addon.kafkacluster.models import ConsumerGroup, Topic
from addon.kafkacluster.reconcile import reconcile_clusters
from addon.kafkacluster.tenants import grants_of, left_of
from addon.kafkacluster.topics import (
    add_partitions,
    configure_topic,
    delete_topic,
    purge_topic,
    settle_topics,
)
from addon.kafkacluster.turns import turn
from provisioning import suspension
from provisioning.models import AuditEvent, Operation
from provisioning.rotation import rotate_credentials
from provisioning.services import Fault
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.test_topics import ADA, make
from tests.support.partner import Partner, at_once, run_operations

pytestmark = pytest.mark.django_db(transaction=True)
New = Callable[..., Customer]


def test_the_second_waits_for_the_first_and_others_tenants_do_not() -> None:
    inside, seen = threading.Event(), list[str]()

    def first() -> None:
        with turn(1):
            inside.set()
            with turn(1):  # of the same session
                seen.append("first")
            waiting.wait(20)
            seen.append("first ends")

    def second() -> None:
        inside.wait(20)
        with turn(2):
            seen.append("another tenant's")
        waiting.set()
        with turn(1):
            seen.append("second")

    waiting = threading.Event()
    at_once([first, second])
    assert seen == ["first", "another tenant's", "first ends", "second"]


def test_a_turn_that_does_not_come_is_a_fault_and_one_of_a_dead_process_comes_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.1)
    taken, over = threading.Event(), threading.Event()

    def die() -> None:
        turns._ask("pg_try_advisory_lock", 7)
        taken.set()
        over.wait(20)
        connections.close_all()

    holder = threading.Thread(target=die)
    holder.start()
    assert taken.wait(20)
    with pytest.raises(Fault, match="another change of this tenant is under way"), turn(7):
        pass
    over.set()
    holder.join()
    monkeypatch.setattr(turns, "WAIT_SECONDS", 20)
    with turn(7):
        pass


@pytest.fixture
def calls_outside_of_transactions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call to Kafka, which fails the test when a transaction is open: it would keep rows locked."""
    made: list[str] = []

    def outside(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Calls, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            assert not connection.in_atomic_block, function
            made.append(function.__name__)
            return method(self, function, *args, **kwargs)

        return call

    for name in ("_call", "_with_coordinator"):
        monkeypatch.setattr(Calls, name, outside(getattr(Calls, name)))
    return made


def test_nothing_that_people_and_jobs_do_asks_kafka_within_a_transaction(
    customer: New, calls_outside_of_transactions: list[str]
) -> None:
    shop = customer()
    resource, latest = shop.resource.pk, Position(kind="latest")
    name = make(shop)
    configure_topic(resource, name=name, settings={"retention.ms": "7200000"}, actor=ADA)
    add_partitions(resource, name=name, total=2, actor=ADA)
    group = register_group(shop.tenant, own_name="readers", topics=[name], position=latest, actor=ADA)
    reset_group(shop.tenant, name=group, topic=name, position=latest, actor=ADA)
    delete_group(shop.tenant, name=group, actor=ADA)
    purge_topic(resource, name=name, actor=ADA)
    delete_topic(resource, name=name, actor=ADA)
    settle_topics()
    suspension.suspend(resource, reason="why", actor=ADA)
    rights.apply_due_rights()
    suspension.resume(resource, actor=ADA)
    rights.apply_due_rights()
    rotate_credentials(resource, requested_by="test")
    run_operations(shop.resource)
    assert Partner("kafkacluster").put(shop.resource.uuid, "starter").status_code == 202
    run_operations(shop.resource)
    Partner("kafkacluster").delete(shop.resource.uuid)
    run_operations(shop.resource)
    assert len(calls_outside_of_transactions) > 40


def test_what_is_mended_is_mended_outside_of_transactions(
    customer: New, cluster: Cluster, calls_outside_of_transactions: list[str]
) -> None:
    shop = customer()
    cluster.revoke_grants(shop.user)
    calls_outside_of_transactions.clear()
    assert [found.fixed for found in reconcile_clusters(fix=True).differences if found.user == shop.user] == [
        True
    ]
    assert "create_acls" in calls_outside_of_transactions


def test_a_suspension_that_ends_while_the_cluster_is_told_of_it_has_the_last_word(
    customer: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    suspension.suspend(shop.resource.pk, reason="why", actor=ADA)
    told, tell = list[set[Grant]](), Cluster.set_grants

    def resumed_meanwhile(self: Cluster, user: str, wanted: set[Grant]) -> None:
        tell(self, user, wanted)
        told.append(wanted)
        if len(told) == 1:
            at_once([lambda: suspension.resume(shop.resource.pk, actor=ADA)])

    monkeypatch.setattr(Cluster, "set_grants", resumed_meanwhile)
    rights.apply_rights(shop.tenant.pk)
    shop.tenant.refresh_from_db()
    assert told == [set(), grants_of(shop.tenant)]
    assert cluster.grants(shop.user) == {shop.user: grants_of(shop.tenant)}
    assert not shop.tenant.rights_due


def test_a_removal_takes_rights_after_they_were_given_however_late_that_is(
    customer: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    suspension.suspend(shop.resource.pk, reason="why", actor=ADA)
    rights.apply_due_rights()
    suspension.resume(shop.resource.pk, actor=ADA)
    tell = Cluster.set_grants
    began = threading.Event()

    def remove() -> None:
        assert began.wait(20)
        Partner("kafkacluster").delete(shop.resource.uuid)
        removing.set()
        run_operations(shop.resource)

    removing = threading.Event()

    def late(self: Cluster, user: str, wanted: set[Grant]) -> None:
        began.set()
        assert removing.wait(20)
        tell(self, user, wanted)

    monkeypatch.setattr(Cluster, "set_grants", late)
    at_once([lambda: rights.apply_rights(shop.tenant.pk), remove])
    assert left_of(cluster, shop.tenant) == []


def test_a_topic_that_is_changed_while_it_is_made_is_settled_with_both(
    customer: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, widened = customer(), list[object]()
    make_on_cluster = Cluster.create_topic

    def widened_meanwhile(self: Cluster, name: str, **fields: Any) -> None:
        make_on_cluster(self, name, **fields)
        if not widened:
            widened.extend(at_once([lambda: widen(name)]))

    def widen(name: str) -> int:
        return Topic.objects.filter(name=name).update(partitions=3)

    monkeypatch.setattr(Cluster, "create_topic", widened_meanwhile)
    name = make(shop)
    assert len(cluster.describe_topics([name])[name]) == 3
    assert Topic.objects.get().state == Topic.State.LIVE


def test_a_group_whose_offsets_the_cluster_does_not_take_is_not_kept(
    customer: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    name = make(shop)

    def refuses(*_: object) -> None:
        raise Fault("Kafka: no")

    monkeypatch.setattr(Cluster, "commit", refuses)
    with pytest.raises(Fault):
        register_group(
            shop.tenant, own_name="readers", topics=[name], position=Position(kind="latest"), actor=ADA
        )
    assert not ConsumerGroup.objects.exists()
    assert not AuditEvent.objects.filter(event="group.registered").exists()


def test_an_operation_whose_turn_does_not_come_is_tried_again(
    customer: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    assert Partner("kafkacluster").put(shop.resource.uuid, "starter").status_code == 202
    with monkeypatch.context() as patched:
        patched.setattr(turns, "WAIT_SECONDS", 0.1)
        patched.setattr(turns, "_ask", lambda *_: False)
        with pytest.raises(AssertionError, match="another change of this tenant is under way"):
            run_operations(shop.resource, rounds=2)
    run_operations(shop.resource)
    assert Operation.objects.get(resource=shop.resource, kind="plan_change").state == "succeeded"
