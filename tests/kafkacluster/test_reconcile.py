"""Whatever the cluster and Postgres do not agree on is told, and mended where that is safe."""

import io
import json
import uuid
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from addon.kafkacluster.cluster import CONSUME_QUOTA, PRODUCE_QUOTA, Cluster, Grant
from addon.kafkacluster.models import SharedCluster
from addon.kafkacluster.reconcile import Difference, reconcile_clusters
from addon.kafkacluster.tenants import left_of
from addon.kafkacluster.usage import count_usage
from provisioning.rotation import rotate_credentials
from tests.kafkacluster.conftest import Customer
from tests.support.partner import Partner, run_operations

pytestmark = pytest.mark.django_db
New = Callable[..., Customer]


def told(user: str, *, fix: bool = False) -> list[Difference]:
    """What a comparison tells of one user; the broker is shared with other tests' tenants."""
    return [found for found in reconcile_clusters(fix=fix).differences if found.user == user]


def test_a_tenant_as_it_should_be_is_no_difference(customer: New) -> None:
    shop = customer()
    assert told(shop.user) == []
    rotate_credentials(shop.resource.pk, requested_by="test")
    run_operations(shop.resource)
    assert told(shop.user) == []


def test_lost_users_get_their_passwords_back_from_the_sealed_ones(customer: New, cluster: Cluster) -> None:
    shop = customer()
    former = shop.config
    rotate_credentials(shop.resource.pk, requested_by="test")
    run_operations(shop.resource)
    shop.refresh()
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        cluster.remove_password(shop.user, mechanism)
    (found,) = told(shop.user)
    assert (found.what, found.fixed) == ("passwords", False)
    assert cluster.mechanisms(shop.user) == {}
    (found,) = told(shop.user, fix=True)
    assert found.fixed
    for config in (former, shop.config):
        shop.log_in(config)
    assert told(shop.user) == []


def test_rights_and_quotas_are_brought_back_to_what_they_should_be(customer: New, cluster: Cluster) -> None:
    shop = customer()
    cluster.grant(shop.user, [Grant("TOPIC", shop.tenant.prefix, "CREATE")])
    cluster.set_quotas(shop.user, {PRODUCE_QUOTA: 1_000_000, CONSUME_QUOTA: None})
    cluster.set_password(shop.user, "SCRAM-SHA-256", "nobody's")
    assert {found.what for found in told(shop.user)} == {"rights", "quotas", "passwords"}
    assert all(found.fixed for found in told(shop.user, fix=True))
    assert told(shop.user) == []
    assert cluster.quotas(shop.user)[shop.user] == {PRODUCE_QUOTA: 6_000, CONSUME_QUOTA: 6_000}
    cluster.revoke_grants(shop.user)
    assert [found.what for found in told(shop.user, fix=True)] == ["rights"]
    assert told(shop.user) == []


def test_what_a_removed_tenant_left_is_taken_away(customer: New, cluster: Cluster) -> None:
    shop = customer()
    Partner("kafkacluster").delete(shop.resource.uuid)
    run_operations(shop.resource)
    shop.topic(cluster, "ghost")
    cluster.set_quotas(shop.user, {PRODUCE_QUOTA: 1})
    (found,) = told(shop.user)
    assert found.what == "removed tenant"
    assert "ghost" in found.detail
    (found,) = told(shop.user, fix=True)
    assert found.fixed
    assert left_of(cluster, shop.tenant) == []
    assert told(shop.user) == []


def test_a_user_that_this_database_does_not_know_is_told_and_never_touched(
    cluster: Cluster, db: None
) -> None:
    user = f"t{uuid.uuid4().hex[:12]}"
    cluster.create_topic(f"{user}.theirs", partitions=1)
    cluster.set_quotas(user, {PRODUCE_QUOTA: 6_000})
    (found,) = told(user, fix=True)
    assert (found.what, found.fixed) == ("unknown user", False)
    assert cluster.topics(f"{user}.") == [f"{user}.theirs"]
    assert cluster.quotas(user) == {user: {PRODUCE_QUOTA: 6_000}}
    cluster.delete_topics([f"{user}.theirs"])
    cluster.set_quotas(user, {PRODUCE_QUOTA: None})


def test_a_resource_that_is_being_changed_is_left_to_its_operation(customer: New, cluster: Cluster) -> None:
    shop = customer()
    assert Partner("kafkacluster").put(shop.resource.uuid, "starter").status_code == 202
    cluster.revoke_grants(shop.user)
    assert told(shop.user, fix=True) == []
    assert cluster.grants(shop.user) == {}


def test_the_command_tells_mends_and_ends_with_one_while_something_is_left(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    cluster.revoke_grants(shop.user)
    out = io.StringIO()
    with pytest.raises(CommandError, match="differences left") as raised:
        call_command("reconcile_kafka", stdout=out)
    assert raised.value.returncode == 1
    assert f"{shop.user}: rights: none instead of GROUP DELETE" in out.getvalue()
    out = io.StringIO()
    try:
        call_command("reconcile_kafka", "--fix", "--json", stdout=out)
    except CommandError:
        pass  # Other tests' tenants are unknown to this database.
    mended = [found for found in json.loads(out.getvalue())["differences"] if found["user"] == shop.user]
    assert [(found["what"], found["fixed"]) for found in mended] == [("rights", True)]
    assert shop.config["KAFKACLUSTER_PASSWORD"] not in out.getvalue()


def test_without_a_broker_the_command_says_so(plans: None, broker_away: Callable[[bool], None]) -> None:
    broker_away(True)
    with pytest.raises(CommandError, match="not compared: default: no Kafka broker answers"):
        call_command("reconcile_kafka")


def test_a_cluster_that_is_away_holds_up_no_other_one(
    customer: New, cluster: Cluster, broker_away: Callable[[bool], None]
) -> None:
    shop = customer()
    SharedCluster.objects.create(
        name="away",
        regions=["us"],
        admin_brokers="127.0.0.1:1",
        brokers="127.0.0.1:1",
        state="closed",
        capacity_bytes_per_second=1,
        capacity_stored_bytes=1,
    )
    cluster.revoke_grants(shop.user)
    report = reconcile_clusters(fix=True)
    assert set(report.unreachable) == {"away"}
    assert told(shop.user) == []
    assert count_usage() == 1
