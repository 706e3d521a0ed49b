"""The data plane with a tenant's own login: a consumer that never joins a group, and a producer.

Over confluent-kafka, as customers use it. Through the tenant's login and not through ours, so that Kafka itself
refuses other tenants' topics and the plan's quotas hold here too: the dashboard is no way round them.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, Producer

from addon.kafkacluster.models import Tenant
from addon.kafkacluster.own_login import own_login

CLIENT_ID = "addonworks-dashboard"


@dataclass(frozen=True)
class Connection:
    """How a tenant's clients connect, read from Postgres once; `settings` are confluent-kafka's."""

    prefix: str
    settings: dict[str, Any] = field(repr=False)


def connection_of(tenant: Tenant) -> Connection:
    """The connection with the tenant's own login; raises Refusal and Fault as `own_login`."""
    return Connection(tenant.prefix, _settings(tenant))


@contextmanager
def reader(
    connection: Connection, *, fetch_bytes: int, on_throttle: Callable[[float], None] = lambda seconds: None
) -> Iterator[Consumer]:
    """A consumer to be given partitions with `assign`; it fetches about `fetch_bytes` at a time, and not ahead.

    Its group is nobody's and it never commits, so no group of the customer's is touched or made. `on_throttle` is told
    for how many seconds a broker holds it back.
    """
    consumer = Consumer(
        {
            **connection.settings,
            # A consumer must have a group's name, and Kafka lets tenants use those of their prefix only.
            "group.id": f"{connection.prefix}{CLIENT_ID}-{secrets.token_hex(6)}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.max.bytes": fetch_bytes,
            "max.partition.fetch.bytes": fetch_bytes,
            "message.max.bytes": max(1000, fetch_bytes),
            "fetch.wait.max.ms": 100,
            # What is fetched ahead and thrown away would be taken from the customer's quota.
            "queued.min.messages": 1,
            "fetch.queue.backoff.ms": 20,
            "throttle_cb": lambda event: on_throttle(event.throttle_time),
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def writer(connection: Connection, *, timeout_seconds: float) -> Producer:
    """A producer whose records are confirmed by every replica in sync, or fail after `timeout_seconds`."""
    return Producer(
        {
            **connection.settings,
            "acks": "all",
            "message.timeout.ms": int(timeout_seconds * 1000),
            "linger.ms": 0,
        }
    )


def _settings(tenant: Tenant) -> dict[str, Any]:
    login, address = own_login(tenant), tenant.cluster.address
    return {
        "bootstrap.servers": address.brokers,
        "security.protocol": address.security_protocol,
        "sasl.mechanism": login.mechanism,
        "sasl.username": login.username,
        "sasl.password": login.password,
        "client.id": CLIENT_ID,
        "log_level": 0,
        "error_cb": lambda error: None,
        **({"ssl.ca.location": address.ca_file} if address.ca_file else {}),
    }
