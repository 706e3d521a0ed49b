"""The adapter against a real broker: what repeats, what is refused, and the private path that it leans on."""

import socket
import threading
import uuid
from dataclasses import replace

import pytest
from kafka.admin import KafkaAdminClient

from addon.kafkacluster import cluster as adapter
from addon.kafkacluster.cluster import (
    CONSUME_QUOTA,
    PRODUCE_QUOTA,
    Address,
    Cluster,
    Grant,
    connect,
    log_in_as_tenant,
    reachable,
)
from provisioning.services import Fault, Unrecoverable


@pytest.fixture
def user() -> str:
    """A user of the test's own."""
    return f"x{uuid.uuid4().hex[:12]}"


def test_the_pinned_client_still_has_the_private_path_that_quotas_are_sent_by(cluster: Cluster) -> None:
    manager = cluster._client._manager
    assert callable(manager.run)
    assert callable(manager.send)
    assert isinstance(cluster._client, KafkaAdminClient)


def test_quotas_are_set_changed_and_removed_and_each_may_be_repeated(cluster: Cluster, user: str) -> None:
    for quotas in ({PRODUCE_QUOTA: 6000, CONSUME_QUOTA: 7000}, {PRODUCE_QUOTA: 64000, CONSUME_QUOTA: 7000}):
        for _ in range(2):
            cluster.set_quotas(user, dict(quotas))
            assert cluster.quotas(user) == {user: quotas}
    assert cluster.quotas()[user] == {PRODUCE_QUOTA: 64000, CONSUME_QUOTA: 7000}
    for _ in range(2):
        cluster.set_quotas(user, {PRODUCE_QUOTA: None, CONSUME_QUOTA: None})
        assert cluster.quotas(user) == {}


def test_a_quota_that_kafka_never_accepts_is_no_matter_of_trying_again(cluster: Cluster, user: str) -> None:
    with pytest.raises(Unrecoverable, match="greater than 0"):
        cluster.set_quotas(user, {PRODUCE_QUOTA: 0})


def test_rights_are_given_and_taken_and_each_may_be_repeated(cluster: Cluster, user: str) -> None:
    wanted = {Grant("TOPIC", f"{user}.", "READ"), Grant("GROUP", f"{user}.", "READ")}
    for _ in range(2):
        cluster.grant(user, wanted)
        assert cluster.grants(user) == {user: wanted}
    for _ in range(2):
        cluster.revoke_grants(user)
        assert cluster.grants(user) == {}


def test_each_mechanism_has_its_own_password_and_removals_repeat(
    cluster: Cluster, address: Address, user: str
) -> None:
    cluster.set_password(user, "SCRAM-SHA-256", "one")
    cluster.set_password(user, "SCRAM-SHA-512", "two")
    log_in_as_tenant(address, username=user, mechanism="SCRAM-SHA-256", password="one")
    log_in_as_tenant(address, username=user, mechanism="SCRAM-SHA-512", password="two")
    assert cluster.mechanisms(user) == {user: {"SCRAM-SHA-256", "SCRAM-SHA-512"}}
    for _ in range(2):
        cluster.remove_password(user, "SCRAM-SHA-256")
        assert cluster.mechanisms(user) == {user: {"SCRAM-SHA-512"}}
    cluster.remove_password(user, "SCRAM-SHA-512")
    assert cluster.mechanisms(user) == {}


def test_topics_are_made_and_deleted_and_each_may_be_repeated(cluster: Cluster, user: str) -> None:
    for _ in range(2):
        cluster.create_topic(f"{user}.a", partitions=3)
    assert cluster.topics(f"{user}.") == [f"{user}.a"]
    assert cluster.topic_sizes()[f"{user}.a"].partitions == 3
    for _ in range(2):
        cluster.delete_topics([f"{user}.a"])
    assert cluster.topics(f"{user}.") == []
    with pytest.raises(Unrecoverable, match="invalid"):
        cluster.create_topic("not a name", partitions=1)


def test_a_group_that_does_not_exist_is_no_error_to_delete(cluster: Cluster, user: str) -> None:
    cluster.delete_groups([f"{user}.nobody"])
    assert cluster.groups(f"{user}.") == []


def test_a_wrong_password_is_a_fault_that_leaves_no_thread_behind(
    address: Address, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "CONNECT_SECONDS", 0.5)
    before = threading.active_count()
    with pytest.raises(Fault, match="no login to Kafka") as raised:
        log_in_as_tenant(address, username=user, mechanism="SCRAM-SHA-512", password="guessed-password")
    assert "guessed-password" not in str(raised.value)
    assert threading.active_count() == before


def test_without_a_broker_the_fault_comes_at_once_and_names_the_address(address: Address) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(Fault, match=f"no Kafka broker answers \\({nobody}"),
            connect(replace(address, admin_brokers=nobody)),
        ):
            pass
        # One that answers is enough.
        reachable(f"{nobody},{address.brokers}")
