"""Two hundred Kafka tenants made and removed at random, while worker and broker are killed: no orphan is left."""

import random
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from addon.kafkacluster.cluster import Address, connect
from addon.kafkacluster.config import KafkaEnvironment
from local.kafka import Kafka
from local.kafka_jars import Jars
from local.watcher import Watcher
from tests.support.folders import server_folder
from tests.support.kafka import JARS
from tests.support.stack import Stack, running_stack, until

TENANTS = 200
APPS = 8
KILLS = 3
"""Of the worker and of the broker, at least."""

OUR_FORM = re.compile(r"t[0-9a-f]{12}")

pytestmark = pytest.mark.slow


@pytest.fixture
def own_broker() -> Iterator[Kafka]:
    """A broker that may be killed: no other test uses it."""
    with (
        Watcher() as watcher,
        server_folder() as folder,
        Kafka(folder / "kafka", jars=Jars(JARS), watcher=watcher) as broker,
    ):
        yield broker


@pytest.fixture
def own_stack(own_broker: Kafka) -> Iterator[Stack]:
    """A provider on that broker."""
    with running_stack(environment=own_broker.environment) as stack:
        yield stack


class Chaos(threading.Thread):
    """Kills the worker, then the broker, and starts each again, until it is told that it is over."""

    def __init__(self, stack: Stack, broker: Kafka) -> None:
        super().__init__(name="chaos")
        self.stack, self.broker, self.over = stack, broker, threading.Event()
        self.kills = {"worker": 0, "broker": 0}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(4):
                self.stack.kill_part("worker")
                self.kills["worker"] += 1
                self.stack.start_part("worker")
                if self.over.wait(2):
                    break
                self.broker.kill()
                self.kills["broker"] += 1
                time.sleep(0.5)
                self.broker.start()
        except BaseException as error:  # noqa: BLE001 - the test tells it
            self.error = error


def live_through(stack: Stack, app: str, number: int) -> None:
    """Add tenants to an app and remove them, each at any time: while it is made, or after."""
    chance = random.Random(number)
    kept: list[str] = []
    for _ in range(TENANTS // APPS):
        answer = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:free"}})
        assert answer.status_code == 201, answer.text
        kept.append(answer.json()["id"])
        if chance.random() < 0.5:
            until(lambda: stack.addon(kept[-1])["state"] == "provisioned", seconds=120, every=0.2)
        if chance.random() < 0.6:
            remove(stack, app, kept.pop(chance.randrange(len(kept))))
    for addon in kept:
        remove(stack, app, addon)


def remove(stack: Stack, app: str, addon: str) -> None:
    """Remove an add-on as a customer does."""
    answer = stack.customer("DELETE", f"/apps/{app}/addons/{addon}")
    assert answer.status_code == 200, answer.text


def test_two_hundred_tenants_under_kills_of_worker_and_broker_leave_no_orphan(
    own_stack: Stack, own_broker: Kafka
) -> None:
    stack = own_stack
    apps = [stack.new_app() for _ in range(APPS)]
    chaos = Chaos(stack, own_broker)
    chaos.start()
    try:
        with ThreadPoolExecutor(APPS) as threads:
            list(threads.map(lambda each: live_through(stack, each[1], each[0]), enumerate(apps)))
        # The customers are through; what they asked for is still being done, and killed.
        until(lambda: chaos.error or min(chaos.kills.values()) >= KILLS)
    finally:
        chaos.over.set()
        chaos.join()
    assert chaos.error is None, chaos.error
    stack.restart_crashed()
    stack.wait_for_rest(seconds=240)

    made = stack.rows("SELECT username FROM kafkacluster_tenant")
    assert len(stack.addons()) == TENANTS
    # Some were removed before their tenant was made; of the others each was really on the cluster.
    assert len(made) >= TENANTS / 3
    assert not stack.rows("SELECT id FROM kafkacluster_tenant WHERE removed_at IS NULL")
    settings = KafkaEnvironment.model_validate(
        {name.removeprefix("KAFKA_").lower(): value for name, value in own_broker.environment.items()}
    )
    address = Address(
        name="own",
        brokers=settings.brokers,
        security_protocol=settings.security_protocol,
        admin_brokers=settings.admin_brokers,
        admin_security_protocol=settings.admin_security_protocol,
        admin_mechanism=settings.admin_mechanism,
        admin_username=settings.admin_username,
        admin_password=settings.admin_password.get_secret_value(),
    )
    with connect(address) as cluster:
        told = [*cluster.grants(), *cluster.mechanisms(), *cluster.quotas()]
        names = [name.partition(".")[0] for name in (*cluster.topics(), *cluster.groups())]
        assert [name for name in (*told, *names) if OUR_FORM.fullmatch(name)] == []
    assert "0 differences" in stack.manage("reconcile_kafka")
    until(lambda: not stack.active_operations())
