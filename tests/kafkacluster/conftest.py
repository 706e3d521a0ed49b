"""Fixtures of the KafkaCluster service: the run's own broker, tenants on it, and clients as customers use them."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from addon.kafkacluster.cluster import Address, Cluster, connect, log_in_as_tenant
from addon.kafkacluster.config import KafkaEnvironment, kafka_environment
from addon.kafkacluster.models import SharedCluster, Tenant
from local.watcher import Watcher
from provisioning.models import Resource
from provisioning.services import service_of
from tests.provisioning.conftest import (  # noqa: F401 - pytest finds fixtures by name
    clock,
    heroku,
    heroku_server,
    outside,
    plans,
    ready,
    woken,
)
from tests.support.brokers import Brokers, three_brokers
from tests.support.folders import server_folder
from tests.support.kafka import NO_KAFKA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker: their rates are measured, and one of them stops a broker.

    The minute in which rates are measured begins before all others, and is looked at before a broker is stopped.
    """
    places = [place for place, item in enumerate(items) if "tests/kafkacluster" in str(item.path)]
    for place, item in zip(places, sorted((items[place] for place in places), key=_turn), strict=True):
        items[place] = item
        item.add_marker(pytest.mark.xdist_group("kafka"))


def _turn(item: pytest.Item) -> int:
    if item.path.name == "test_rates.py":
        return 0 if "begin_to" in item.name else 2
    return 3 if item.path.name == "test_three_brokers.py" else 1


@pytest.fixture(autouse=True)
def broker() -> None:
    """The run's broker; a machine that cannot have one is told why."""
    if reason := os.environ.get(NO_KAFKA):
        pytest.fail(f"no Kafka broker: {reason}", pytrace=False)


@pytest.fixture
def address() -> Address:
    """Where the run's broker is."""
    return address_of(kafka_environment())


def address_of(kafka: KafkaEnvironment) -> Address:
    """What a cluster's row makes of the settings."""
    return Address(
        name="default",
        brokers=kafka.brokers,
        security_protocol=kafka.security_protocol,
        admin_brokers=kafka.admin_brokers,
        admin_security_protocol=kafka.admin_security_protocol,
        admin_mechanism=kafka.admin_mechanism,
        admin_username=kafka.admin_username,
        admin_password=kafka.admin_password.get_secret_value(),
    )


@pytest.fixture
def cluster(address: Address) -> Iterator[Cluster]:
    """The operator's view of the broker."""
    with connect(address) as connected:
        yield connected


@pytest.fixture
def broker_away(plans: None) -> Callable[[bool], None]:  # noqa: F811
    """Take the broker away from us, and give it back: the row names an address where nobody answers."""

    def take(away: bool) -> None:
        brokers = "127.0.0.1:1" if away else kafka_environment().admin_brokers
        SharedCluster.objects.update(admin_brokers=brokers)

    return take


@pytest.fixture(scope="session")
def brokers(watcher: Watcher) -> Iterator[Brokers]:
    """Three brokers that form one cluster, beside the run's own; every test leaves them running."""
    with server_folder() as folder, three_brokers(folder, watcher=watcher) as started:
        yield started


@pytest.fixture
def three(brokers: Brokers, plans: None) -> SharedCluster:  # noqa: F811
    """The row of the cluster of three, open beside the first one."""
    row = SharedCluster(name="three", **brokers.row())
    row.set_sealed(admin_password=brokers.password)
    row.save()
    return row


def operator_client(address: Address) -> dict[str, Any]:
    """Settings of confluent-kafka for the operator, whom no quota holds."""
    return {
        "bootstrap.servers": address.admin_brokers,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": address.admin_username,
        "sasl.password": address.admin_password,
    }


class Customer:
    """A tenant, and what an app does that was given its config vars."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.tenant = Tenant.objects.get(resource=resource)
        self.refresh()

    def refresh(self) -> None:
        """Take the config vars anew, as an app does that is restarted."""
        self.config = service_of(self.resource).config_vars(self.resource)

    @property
    def user(self) -> str:
        return self.tenant.username

    def topic(self, cluster: Cluster, name: str = "orders", *, partitions: int = 1) -> str:
        """Have a topic made, and return its whole name."""
        whole = f"{self.tenant.prefix}{name}"
        cluster.create_topic(whole, partitions=partitions)
        cluster.await_topic(whole)
        return whole

    def log_in(self, config: dict[str, str] | None = None) -> None:
        """Log in with config vars, the present ones unless others are given; Fault when they are refused."""
        found = config or self.config
        log_in_as_tenant(
            self.tenant.cluster.address,
            username=found["KAFKACLUSTER_USERNAME"],
            mechanism=found["KAFKACLUSTER_SASL_METHOD"],
            password=found["KAFKACLUSTER_PASSWORD"],
        )

    def client(self, **more: Any) -> dict[str, Any]:
        """Settings of confluent-kafka, from the config vars alone."""
        return {
            "bootstrap.servers": self.config["KAFKACLUSTER_BROKERS"],
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": self.config["KAFKACLUSTER_SASL_METHOD"],
            "sasl.username": self.config["KAFKACLUSTER_USERNAME"],
            "sasl.password": self.config["KAFKACLUSTER_PASSWORD"],
            "log_level": 0,
            **more,
        }

    def pure_python(self, **more: Any) -> dict[str, Any]:
        """Settings of kafka-python, from the config vars alone."""
        return {
            "bootstrap_servers": self.config["KAFKACLUSTER_BROKERS"].split(","),
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": self.config["KAFKACLUSTER_SASL_METHOD"],
            "sasl_plain_username": self.config["KAFKACLUSTER_USERNAME"],
            "sasl_plain_password": self.config["KAFKACLUSTER_PASSWORD"],
            **more,
        }

    def send(self, topic: str, value: bytes = b"hello", *, seconds: float = 10) -> str | None:
        """Produce one record with confluent-kafka; None, or the name of the error it met."""
        problems: list[str | None] = []
        producer = Producer(self.client(**{"message.timeout.ms": int(seconds * 1000)}))
        with suppress(BufferError):
            producer.produce(
                topic, value, on_delivery=lambda error, _: problems.append(error.name() if error else None)
            )
        assert producer.flush(seconds + 5) == 0
        return problems[0]

    def send_to(
        self, topic: str, value: bytes | None, *, partition: int, at: datetime | None = None, **more: Any
    ) -> None:
        """Produce one record into a partition, with the time `at`; `more` are confluent-kafka's key and headers."""
        problems: list[object] = []
        producer = Producer(self.client())
        stamp: dict[str, Any] = {} if at is None else {"timestamp": int(at.timestamp() * 1000)}
        producer.produce(
            topic,
            value,
            partition=partition,
            on_delivery=lambda error, _: problems.append(error),
            **stamp,
            **more,
        )
        assert producer.flush(15) == 0
        assert problems == [None]

    def receive(self, topic: str, *, group: str | None = None, seconds: float = 10) -> list[bytes] | str:
        """Consume from the start of a topic until a record comes; the values, or the name of the error met."""
        consumer = Consumer(
            self.client(
                **{"group.id": group or f"{self.tenant.prefix}readers", "auto.offset.reset": "earliest"}
            )
        )
        try:
            consumer.subscribe([topic])
            message = consumer.poll(seconds)
            if message is None:
                return []
            error = message.error()
            return str(error.name()) if error else [message.value() or b""]
        finally:
            consumer.close()


@pytest.fixture
def customer(ready: Callable[..., Resource]) -> Callable[..., Customer]:  # noqa: F811
    """Make a tenant through its whole provision."""
    return lambda **fields: Customer(ready("kafkacluster", **fields))
