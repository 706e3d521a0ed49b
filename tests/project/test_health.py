"""Health and metrics: what monitoring asks, whatever is away."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from addon import health
from addon.kafkacluster.models import SharedCluster
from local.ports import free_port
from provisioning.models import Heartbeat, Operation, Resource
from tests.support.partner import Partner, loaded_handler


def get(path: str, **headers: str) -> Any:
    """One request from this machine."""
    client = Client(raise_request_exception=False)
    client.handler = loaded_handler()
    return client.get(path, headers=headers)


@pytest.fixture
def swept(db: None) -> None:
    """The sweeper has just run, and the Kafka brokers are up."""
    SharedCluster.objects.update(brokers_up=1, brokers_seen_at=timezone.now())
    Heartbeat.objects.update_or_create(name="sweep", defaults={"at": timezone.now()})


def test_alive_asks_nothing(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        answer = get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_ready_when_everything_is_there(swept: None) -> None:
    answer = get("/readyz")
    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "ready"
    assert {name: check["ok"] for name, check in told["checks"].items()} == {
        "database": True,
        "redis": True,
        "sweeper": True,
        "kafka": True,
    }


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"brokers_up": 2}, "2 of 3 brokers up"),
        ({"brokers_up": 0}, "0 of 3 brokers up"),
        ({"brokers_up": 3, "brokers_seen_at": None}, "not looked at"),
        (
            {"brokers_up": 3, "brokers_seen_at": datetime(2026, 1, 1, 7, tzinfo=UTC)},
            "last looked at 07:00:00 UTC",
        ),
    ],
)
def test_kafka_brokers_that_are_away_or_not_looked_at_degrade(
    swept: None, fields: dict[str, Any], told: str
) -> None:
    SharedCluster.objects.all().delete()
    row = {
        "brokers_seen_at": timezone.now(),
        "capacity_bytes_per_second": 1,
        "capacity_stored_bytes": 1,
        **fields,
    }
    SharedCluster.objects.create(name="three", regions=["us"], broker_count=3, **row)
    answer = get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["kafka"] == {"ok": False, "detail": {"three": told}}


def test_a_sweeper_that_is_late_or_never_ran_degrades(db: None) -> None:
    Heartbeat.objects.all().delete()
    assert get("/readyz").json()["checks"]["sweeper"] == {"ok": False, "detail": "has not run yet"}
    Heartbeat.objects.create(name="sweep", at=timezone.now() - timedelta(seconds=61))
    answer = get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["sweeper"]["seconds_since_last_run"] >= 61


def test_without_postgres_it_is_unavailable(db: None) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise DatabaseError("password=planted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "cursor", broken)
        answer = get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert "planted" not in answer.content.decode()


@pytest.mark.parametrize("how", ["away", "hanging"])
def test_without_redis_it_is_degraded_and_says_so_quickly(
    swept: None, monkeypatch: pytest.MonkeyPatch, hanging_server: int, how: str
) -> None:
    options = health._redis.connection_pool.connection_kwargs
    port = hanging_server if how == "hanging" else free_port()
    other = redis.Redis(connection_pool=redis.ConnectionPool(**{**options, "port": port}))
    monkeypatch.setattr(health, "_redis", other)
    started = time.monotonic()
    answer = get("/readyz")
    assert time.monotonic() - started < 2
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["redis"]["ok"] is False
    other.close()


def metrics() -> dict[tuple[str, str], float]:
    """Every sample, by name and labels."""
    answer = get("/metrics")
    assert answer.status_code == 200
    return {
        (
            sample.name,
            ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_metrics_tell_what_is_in_postgres(inference: Partner, swept: None) -> None:
    inference.provisioned()
    inference.provisioned(plan="nova-pro")
    kafka = Partner("kafkacluster").provisioned()
    Operation.objects.filter(resource=kafka).update(created_at=timezone.now() - timedelta(seconds=100))
    told = metrics()
    assert told["addonworks_resources", "plan=nova-lite,service=inference,state=provisioned"] == 1
    assert told["addonworks_resources", "plan=nova-pro,service=inference,state=provisioned"] == 1
    assert told["addonworks_operations_active", "kind=provision,service=kafkacluster,state=pending"] == 1
    assert told["addonworks_operation_oldest_seconds", "kind=provision,service=kafkacluster"] >= 100
    assert told["addonworks_operations_ended", "kind=provision,service=inference,state=succeeded"] == 2
    assert told["addonworks_platform_access", "state=waiting"] == 3
    assert told["addonworks_job_age_seconds", "job=sweep"] < 30
    assert Resource.objects.count() == 3


def test_the_number_of_queries_of_metrics_does_not_grow(
    inference: Partner, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        inference.provisioned()
    with django_assert_max_num_queries(9):
        metrics()


def test_metrics_are_for_this_machine_without_a_token(db: None, settings: Settings) -> None:
    settings.METRICS_TOKEN = None
    assert get("/metrics").status_code == 200
    client = Client()
    client.handler = loaded_handler()
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 404
    assert get("/metrics", **{"X-Forwarded-For": "203.0.113.9"}).status_code == 404


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer right-token", 200),
        ("Bearer wrong", 404),
        ("right-token", 404),
        ("", 404),
        ("Bearer räight", 404),
    ],
)
def test_metrics_are_for_the_bearer_of_the_token(
    db: None, settings: Settings, header: str, status: int
) -> None:
    settings.METRICS_TOKEN = "right-token"
    assert get("/metrics", Authorization=header).status_code == status
