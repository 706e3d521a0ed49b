"""What is known to go wrong with Kafka and its clients, and what guards against it.

Further traps are tested with what they belong to: quotas per broker, fetch sizes, the size of a message, lost users.
"""

import ast
import re
import secrets
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest
from confluent_kafka import Producer
from django.urls import reverse
from kafka import TopicPartition

from addon.kafkacluster import cluster as adapter
from addon.kafkacluster import tenants
from addon.kafkacluster.cluster import PRODUCE_QUOTA, Cluster, connect_as
from addon.kafkacluster.group_pages import find_group, list_groups
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.own_login import own_login
from addon.kafkacluster.tenants import left_of
from provisioning.models import Resource
from provisioning.services import Fault
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.test_pages import address, browser_of
from tests.kafkacluster.test_topics import make
from tests.support.partner import Partner, run_operations
from tests.support.stack import PROJECT, until

pytestmark = pytest.mark.django_db
New = Callable[..., Customer]


def test_an_upgrade_frees_new_connections_at_once_and_the_page_tells_to_restart_those_that_are_slowed(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    topic = make(shop)
    # A plan so small that one record holds its connection up for a minute.
    cluster.set_quotas(shop.user, {PRODUCE_QUOTA: 600})
    delivered: list[object] = []
    slowed = Producer(shop.client(**{"batch.num.messages": 1, "max.in.flight": 1}))
    for _ in range(2):
        slowed.produce(topic, b"x" * 40_000, on_delivery=lambda error, _: delivered.append(error))
    until(lambda: slowed.poll(0.1) is not None and len(delivered) == 1)
    assert Partner("kafkacluster").put(shop.resource.uuid, "basic-1").status_code == 202
    run_operations(shop.resource)
    assert shop.send(topic) is None
    slowed.poll(0)
    assert delivered == [None]
    slowed.purge()
    slowed.flush(0)
    told = browser_of(shop).get(address(shop, "quotas")).content.decode()
    assert "After an upgrade, restart clients that are being slowed." in told


def test_prefixes_are_equally_long_and_end_in_a_separator_so_that_none_begins_another(
    customer: New, cluster: Cluster, plans: None
) -> None:
    made = [Partner("kafkacluster").provisioned() for _ in range(20)]
    for resource in made:
        tenants.ensure_tenant(resource.operations.get())
    for tenant in Tenant.objects.all():
        assert re.fullmatch(r"t[0-9a-f]{12}\.", tenant.prefix)
        assert tenant.prefix == f"{tenant.username}."
    # Kafka's metrics take an underscore for a dot; its rights do not.
    shop = customer()
    for name in (f"{shop.user}_orders", f"{shop.user}orders"):
        cluster.create_topic(name, partitions=1)
        try:
            assert shop.send(name) == "TOPIC_AUTHORIZATION_FAILED"
        finally:
            cluster.delete_topics([name])


def test_the_client_that_ends_its_process_on_a_refused_question_is_never_asked_for_control() -> None:
    """confluent-kafka 2.16 aborts Python when SCRAM users are described without the right to: it only moves data."""
    modules = [
        path for folder in ("addon", "provisioning", "sso") for path in (PROJECT / folder).rglob("*.py")
    ]
    users: dict[str, set[str]] = {}
    for path in modules:
        for module, name in imports(path):
            if module.partition(".")[0] == "confluent_kafka":
                users.setdefault(path.name, set()).add(f"{module}.{name}")
    assert set(users) == {"data.py", "export.py", "messages.py", "records.py"}
    assert not [name for name in chain.from_iterable(users.values()) if "admin" in name.lower()]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a module imports: module and name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", each.name) for each in node.names)


def test_our_own_client_gets_an_error_for_that_question_and_the_process_goes_on(
    customer: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    # It asks again until then.
    monkeypatch.setattr(adapter, "REQUEST_SECONDS", 0.5)
    login = own_login(shop.tenant)
    with (
        connect_as(
            shop.tenant.cluster.address,
            username=login.username,
            mechanism=login.mechanism,
            password=login.password,
        ) as own,
        pytest.raises(Fault),
    ):
        own.mechanisms()


def test_a_group_that_nobody_knows_is_unknown_though_kafka_describes_it_as_dead(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    name = f"{shop.tenant.prefix}never"
    assert cluster.describe_group(name).state == "Dead"
    assert find_group(shop.tenant, name) is None
    page = reverse("kafkacluster:groups-one", args=[shop.resource.uuid])
    assert browser_of(shop).get(page, {"id": name}).status_code == 404


def test_offsets_beyond_a_topic_s_end_which_kafka_takes_are_no_negative_lag(
    customer: New, cluster: Cluster
) -> None:
    shop = customer()
    topic, group = make(shop), f"{shop.tenant.prefix}ahead"
    cluster.commit(group, {TopicPartition(topic, 0): 1_000})
    (row,) = list_groups(shop.tenant, number=1, search="").groups
    found = find_group(shop.tenant, group)
    assert found
    assert (row.lag, found.row.lag, found.topics[0].lag) == (0, 0, 0)


def test_a_transactional_id_that_outlives_its_tenant_is_nobody_s_and_names_are_never_given_again(
    customer: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = customer()
    transaction = f"{shop.tenant.prefix}pay"
    producer = Producer(shop.client(**{"transactional.id": transaction}))
    producer.init_transactions(30)
    Partner("kafkacluster").delete(shop.resource.uuid)
    run_operations(shop.resource)
    assert left_of(cluster, shop.tenant) == []
    kept = chain.from_iterable(cluster._client.list_transactions().values())
    assert transaction in [each.transactional_id for each in kept]

    drawn = [shop.user.removeprefix("t"), "0123456789ab"]
    monkeypatch.setattr(secrets, "token_hex", lambda _: drawn.pop(0))
    newcomer = Partner("kafkacluster").provisioned()
    tenants.ensure_tenant(newcomer.operations.get())
    assert Tenant.objects.get(resource=newcomer).username == "t0123456789ab"
    assert Resource.objects.filter(kafka_tenant__username=shop.user).count() == 1
