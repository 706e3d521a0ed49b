"""New tenants go where the most room is, never beyond a cluster's capacity, and the settings make the first cluster."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from addon.kafkacluster import tenants
from addon.kafkacluster.config import kafka_environment
from addon.kafkacluster.models import SharedCluster, Tenant
from addon.kafkacluster.placement import Load, availability, loads, sync_settings_cluster
from provisioning.models import Plan, Resource
from provisioning.services import Fault, service_of
from tests.kafkacluster.conftest import Customer
from tests.support.partner import Partner, at_once, run_operations

pytestmark = pytest.mark.django_db
FREE_RATE, FREE_STORED = 12_000, 100_000_000


def another(name: str, **values: Any) -> SharedCluster:
    """A further cluster on the run's broker."""
    first = SharedCluster.objects.get(from_settings=True)
    fields = {field.name: getattr(first, field.name) for field in SharedCluster._meta.fields}
    for key in ("id", "created_at"):
        fields.pop(key)
    return SharedCluster.objects.create(**{**fields, "name": name, "from_settings": False, **values})


def place(resource: Resource) -> SharedCluster:
    """Run the first step of a provision."""
    tenants.ensure_tenant(resource.operations.get())
    return Tenant.objects.get(resource=resource).cluster


def test_the_settings_make_the_first_cluster_and_refresh_it(plans: None) -> None:
    first = SharedCluster.objects.get()
    assert (first.name, first.regions, first.state) == ("default", ["us", "eu"], "open")
    SharedCluster.objects.update(state="closed", broker_count=7)
    changed = kafka_environment().model_copy(update={"brokers": "new:9092", "regions": "us"})
    for _ in range(2):
        sync_settings_cluster(changed)
    again = SharedCluster.objects.get()
    assert (again.pk, again.brokers, again.regions, again.broker_count) == (first.pk, "new:9092", ["us"], 1)
    assert again.state == "closed"
    assert again.address.admin_password == kafka_environment().admin_password.get_secret_value()
    assert again.admin_password is None


def test_settings_without_a_cluster_make_none_and_the_provision_says_what_to_set(plans: None) -> None:
    SharedCluster.objects.all().delete()
    assert sync_settings_cluster(kafka_environment().model_copy(update={"admin_brokers": ""})) is None
    assert not SharedCluster.objects.exists()
    resource = Partner("kafkacluster").provisioned()
    with pytest.raises(Fault, match="no Kafka cluster of region us is open: set KAFKA_ADMIN_BROKERS"):
        place(resource)


def test_a_tenant_goes_to_the_least_full_open_cluster_of_its_region(plans: None) -> None:
    SharedCluster.objects.update(capacity_bytes_per_second=10 * FREE_RATE)
    larger = another("larger", capacity_bytes_per_second=20 * FREE_RATE)
    another("far", regions=["tokyo"], capacity_bytes_per_second=10**9)
    another("shut", state="closed", capacity_bytes_per_second=10**9)
    chosen = [place(Partner("kafkacluster").provisioned()).name for _ in range(6)]
    assert chosen == ["larger", "default", "larger", "larger", "default", "larger"]
    assert loads([larger])[larger.pk] == Load(4, 4 * FREE_RATE, 4 * FREE_STORED)
    european = Partner("kafkacluster").provisioned(region="amazon-web-services::eu-west-1")
    larger.regions = ["us"]
    larger.save()
    assert place(european).name == "default"


def test_stored_data_counts_as_the_rates_do(plans: None) -> None:
    SharedCluster.objects.update(capacity_stored_bytes=FREE_STORED)
    place(Partner("kafkacluster").provisioned())
    with pytest.raises(Fault, match="no room for plan free on default: add a Kafka cluster"):
        place(Partner("kafkacluster").provisioned())


def test_a_removed_tenant_s_room_is_given_to_the_next_one(customer: Callable[..., Customer]) -> None:
    SharedCluster.objects.update(capacity_bytes_per_second=FREE_RATE)
    shop = customer()
    waiting = Partner("kafkacluster").provisioned()
    with pytest.raises(Fault, match="no room"):
        place(waiting)
    Partner("kafkacluster").delete(shop.resource.uuid)
    run_operations(shop.resource)
    assert place(waiting).name == "default"


def test_a_cluster_without_room_for_the_smallest_plan_is_full(plans: None) -> None:
    cluster = SharedCluster.objects.get()
    for capacity, told in ((FREE_RATE, "open"), (FREE_RATE - 1, "full")):
        cluster.capacity_bytes_per_second = capacity
        assert availability(cluster, Load()) == told
    cluster.state = "closed"
    assert availability(cluster, Load()) == "closed"


@pytest.mark.django_db(transaction=True)
def test_tenants_placed_at_the_same_instant_never_share_the_last_room(plans: None) -> None:
    SharedCluster.objects.update(capacity_bytes_per_second=3 * FREE_RATE)
    another("second", capacity_bytes_per_second=2 * FREE_RATE)
    resources = [Partner("kafkacluster").provisioned() for _ in range(8)]

    def attempt(resource: Resource) -> str:
        try:
            return place(resource).name
        except Fault:
            return "waits"

    told = at_once([lambda resource=resource: attempt(resource) for resource in resources])  # type: ignore[misc]
    assert sorted(told) == ["default"] * 3 + ["second"] * 2 + ["waits"] * 3


def test_an_upgrade_stays_where_the_data_is_also_beyond_the_capacity(
    customer: Callable[..., Customer],
) -> None:
    SharedCluster.objects.update(capacity_bytes_per_second=2 * FREE_RATE)
    shop = customer()
    assert Partner("kafkacluster").put(shop.resource.uuid, "basic-1").status_code == 202
    run_operations(shop.resource)
    cluster = SharedCluster.objects.get()
    assert availability(cluster, loads([cluster])[cluster.pk]) == "full"


def test_a_tenant_s_config_vars_name_its_own_cluster(customer: Callable[..., Customer]) -> None:
    shop = customer()
    shop.tenant.cluster = another("moved", brokers="elsewhere:9092")
    shop.tenant.save()
    told = service_of(shop.resource).config_vars(shop.resource)
    assert told["KAFKACLUSTER_BROKERS"] == "elsewhere:9092"


def test_loads_of_many_clusters_take_two_queries(
    plans: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    place(Partner("kafkacluster").provisioned())
    clusters = [SharedCluster.objects.get(), *(another(f"c{number}") for number in range(5))]
    with django_assert_num_queries(2):
        assert sum(load.tenants for load in loads(clusters).values()) == 1


def test_operators_see_the_clusters_and_never_a_password(
    admin_client: Client, customer: Callable[..., Customer]
) -> None:
    customer()
    SharedCluster.objects.update(capacity_bytes_per_second=2 * FREE_RATE)
    page = admin_client.get("/admin/kafkacluster/sharedcluster/").content.decode()
    assert "default" in page
    assert "50%" in page
    first = SharedCluster.objects.get()
    form = admin_client.get(f"/admin/kafkacluster/sharedcluster/{first.pk}/change/").content.decode()
    assert kafka_environment().admin_password.get_secret_value() not in form
    # Only its state is the operators'.
    assert 'name="state"' in form
    assert 'name="brokers"' not in form


def test_an_operator_adds_a_cluster_whose_password_is_sealed(admin_client: Client, plans: None) -> None:
    values = {
        "name": "second",
        "state": "open",
        "regions": '["us"]',
        "brokers": "kafka:9092",
        "security_protocol": "SASL_SSL",
        "admin_brokers": "kafka:9093",
        "admin_security_protocol": "SASL_SSL",
        "admin_mechanism": "PLAIN",
        "admin_username": "operator",
        "broker_count": "3",
        "capacity_bytes_per_second": "1000000",
        "capacity_stored_bytes": "1000000",
        "new_password": "of the second",
    }
    refused = admin_client.post(
        "/admin/kafkacluster/sharedcluster/add/", {**values, "regions": '"us"'}
    ).content.decode()
    assert "A list of region names" in refused
    assert "of the second" not in refused
    answer = admin_client.post("/admin/kafkacluster/sharedcluster/add/", values)
    assert answer.status_code == 302
    made = SharedCluster.objects.get(name="second")
    assert made.address.admin_password == "of the second"
    assert b"of the second" not in bytes(made.admin_password or b"")
    assert "of the second" not in repr(made.address)


def test_plans_keep_their_limits_in_a_form_that_placement_can_add_up(plans: None) -> None:
    for plan in Plan.objects.filter(service="kafkacluster"):
        assert Load().with_plan(plan).bytes_per_second > 0
