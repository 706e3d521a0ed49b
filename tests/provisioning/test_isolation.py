"""Nothing outside of Postgres is touched while Heroku waits, and a broker that is away or hangs is not noticed."""

import base64
import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import requests
from celery import Celery
from django.conf import settings as django_settings

from local.ports import free_port
from provisioning import tasks, wakeups
from provisioning.services import all_services
from tests.support.partner import Partner, provision_body

LONGEST_SECONDS = 1.0


def every_call(partner: Partner) -> list[tuple[int, float]]:
    """Status and seconds of each call of a resource's life."""
    timed = []
    body = provision_body(partner.slug)
    default = body["plan"]
    other = next(plan.slug for plan in all_services()[partner.slug].plans if plan.slug != default)

    def take(answer: Any, started: float) -> None:
        timed.append((answer.status_code, time.monotonic() - started))

    take(partner.post(body), time.monotonic())
    calls: tuple[Callable[[], Any], ...] = (
        lambda: partner.post(body),
        lambda: partner.put(body["uuid"], default),
        lambda: partner.put(body["uuid"], other),
        lambda: partner.delete(body["uuid"]),
        lambda: partner.delete(body["uuid"]),
        lambda: partner.delete(uuid.uuid4()),
    )
    for call in calls:
        started = time.monotonic()
        take(call(), started)
    return timed


def test_no_call_of_heroku_s_reaches_outside(partner: Partner, outside: list[object]) -> None:
    statuses = [status for status, _ in every_call(partner)]
    assert statuses[0] in (200, 202)
    assert statuses[-3:] == [204, 410, 410]
    assert not outside


def test_the_guard_of_these_tests_sees_an_attempt(outside: list[object]) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get("https://api.heroku.invalid/", timeout=1)
    with pytest.raises(OSError), socket.socket() as attempt:
        attempt.connect(("127.0.0.1", free_port()))
    assert len(outside) == 2


@pytest.fixture
def broker(real_wakeups: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Have wake-ups sent to another broker, by the project's own settings."""
    apps: list[Celery] = []

    def use(url: str, **options: Any) -> None:
        app = Celery("test", set_as_current=False)
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.broker_url = url
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, **options}
        apps.append(app)
        monkeypatch.setattr(wakeups, "current_app", app)

    yield use
    for app in apps:
        app.close()


class BlackHole:
    """A way to a broker that accepts and never answers, until it is told to let new connections through."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._sockets: list[socket.socket] = []
        self.open = False
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._sockets.append(client)
                if self.open:
                    server = socket.create_connection(self._target)
                    self._sockets.append(server)
                    for source, sink in ((client, server), (server, client)):
                        threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)

    def close(self) -> None:
        """End every connection."""
        for each in [self._listening, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def black_hole(redis_url: str) -> Iterator[BlackHole]:
    """In front of the worker's Redis."""
    parts = urlsplit(redis_url)
    assert parts.hostname
    assert parts.port
    hole = BlackHole((parts.hostname, parts.port))
    yield hole
    hole.close()


def expected(partner: Partner) -> list[int]:
    """The statuses of `every_call`."""
    if partner.slug == "kafkacluster":
        return [202, 202, 200, 422, 204, 410, 410]
    return [200, 200, 200, 200, 204, 410, 410]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slug", ["inference", "kafkacluster"])
def test_a_broker_that_is_away_is_not_noticed_by_heroku(plans: None, broker: Any, slug: str) -> None:
    partner = Partner(slug)
    partner.provisioned()  # what is loaded once does not count
    broker(f"redis://127.0.0.1:{free_port()}/0")
    timed = every_call(partner)
    assert [status for status, _ in timed] == expected(partner)
    assert max(seconds for _, seconds in timed) < LONGEST_SECONDS


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slug", ["inference", "kafkacluster"])
def test_a_broker_that_hangs_is_not_noticed_by_heroku(
    plans: None, broker: Any, hanging_server: int, slug: str
) -> None:
    partner = Partner(slug)
    partner.provisioned()
    broker(f"redis://127.0.0.1:{hanging_server}/0")
    timed = every_call(partner)
    assert [status for status, _ in timed] == expected(partner)
    assert max(seconds for _, seconds in timed) < LONGEST_SECONDS


def messages(url: str, queue: str) -> int:
    """How many messages wait in a queue of the broker."""
    with redis.Redis.from_url(url) as client:
        return int(client.llen(queue))


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_reaches_the_broker_after_the_commit(kafka: Partner, broker: Any, redis_url: str) -> None:
    broker(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.delete("operations", "grants")
    kafka.provisioned()
    deadline = time.monotonic() + 10
    while messages(redis_url, "operations") < 1 or messages(redis_url, "grants") < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (messages(redis_url, "operations"), messages(redis_url, "grants")) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_wake_ups_are_sent_again_once_a_hanging_broker_is_back(
    kafka: Partner, broker: Any, black_hole: BlackHole, redis_url: str
) -> None:
    assert django_settings.CELERY_BROKER_TRANSPORT_OPTIONS["socket_timeout"] <= 5
    with redis.Redis.from_url(redis_url) as client:
        client.delete("operations", "grants")
    through = urlsplit(redis_url)
    assert through.port
    broker(redis_url.replace(f":{through.port}/", f":{black_hole.port}/"), socket_timeout=0.3)
    kafka.provisioned()
    time.sleep(0.1)
    black_hole.open = True
    deadline = time.monotonic() + 10
    while messages(redis_url, "operations") < 1:
        assert time.monotonic() < deadline, "the sender is stuck in the connection that hung"
        kafka.provisioned()
        time.sleep(0.3)


def test_wake_ups_that_cannot_be_sent_are_dropped_and_never_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = wakeups._Sender()
    ended = threading.Event()
    monkeypatch.setattr(sender, "_run", ended.wait)
    for row in range(wakeups._PENDING_MOST + 100):
        sender.send("provisioning.run_operation", row, "operations", None)
    assert sender._pending.qsize() == wakeups._PENDING_MOST
    ended.set()


def tasks_sent(redis_url: str, queue: str) -> list[tuple[str, list[int]]]:
    """Name and rows of each message in a queue, oldest first."""
    with redis.Redis.from_url(redis_url) as client:
        sent = [json.loads(raw) for raw in reversed(client.lrange(queue, 0, -1))]
    return [(each["headers"]["task"], json.loads(base64.b64decode(each["body"]))[0]) for each in sent]


def test_wake_ups_of_one_instant_share_messages_and_no_operation_waits_for_another(
    broker: Callable[..., None], redis_url: str
) -> None:
    broker(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.delete("operations", "grants")
    for row in range(1, 8):
        wakeups._sender.send("provisioning.run_operation", row, "operations", None)
        wakeups._sender.send("provisioning.exchange_grant", row, "grants", None)
    wakeups.flush()
    assert tasks_sent(redis_url, "operations") == [("provisioning.spread_operations", [1, 2, 3, 4, 5, 6, 7])]
    assert tasks_sent(redis_url, "grants") == [
        ("provisioning.exchange_grants", [1, 2, 3, 4, 5]),
        ("provisioning.exchange_grants", [6, 7]),
    ]
    tasks.spread_operations(1, 2)
    assert tasks_sent(redis_url, "operations")[1:] == [
        ("provisioning.run_operation", [1]),
        ("provisioning.run_operation", [2]),
    ]


def test_a_service_s_own_task_is_woken_for_each_row_and_no_wake_up_ends_the_thread(
    broker: Callable[..., None], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.delete("operations")
    sender = wakeups._Sender()
    with monkeypatch.context() as broken:
        broken.setattr(wakeups, "_SHARED", None)
        sender.send("provisioning.run_operation", 1, "operations", None)
        sender.flush(seconds=10)
    assert sender._pending.unfinished_tasks == 0
    for row in (2, 3):
        sender.send("kafkacluster.apply_rights", row, "operations", None)
    sender.send("provisioning.run_operation", 4, "operations", None)
    sender.flush(seconds=10)
    assert tasks_sent(redis_url, "operations") == [
        ("kafkacluster.apply_rights", [2]),
        ("kafkacluster.apply_rights", [3]),
        ("provisioning.run_operation", [4]),
    ]
