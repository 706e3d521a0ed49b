"""Fixtures of the KafkaCluster service: the run's own broker, tenants on it, and clients as customers use them."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from addon.kafkacluster.cluster import Cluster, connect
from addon.kafkacluster.models import Tenant
from provisioning.models import Resource
from provisioning.services import service_of
from tests.provisioning.conftest import (  # noqa: F401 - pytest finds fixtures by name
    django_db_setup,
    heroku,
    heroku_server,
    outside,
    plans,
    ready,
    woken,
)
from tests.support.kafka import NO_KAFKA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker: their rates are measured, and one of them stops a broker."""
    for item in items:
        if "tests/kafkacluster" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("kafka"))


@pytest.fixture(autouse=True)
def broker() -> None:
    """The run's broker; a machine that cannot have one is told why."""
    if reason := os.environ.get(NO_KAFKA):
        pytest.fail(f"no Kafka broker: {reason}", pytrace=False)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """The operator's view of the broker."""
    with connect() as connected:
        yield connected


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
        return whole

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
