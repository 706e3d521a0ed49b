"""A broker of its own that is killed: what outlives it, users that Kafka loses, and a provider beside it that dies too.

`KAFKA_CHAOS_TENANTS=200` makes the last test as long as it has to be before a release; it is small otherwise.
"""

import os
import random
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from confluent_kafka import Producer

from addon.kafkacluster.cluster import Address, connect
from addon.kafkacluster.config import KafkaEnvironment
from addon.kafkacluster.models import SharedCluster
from addon.kafkacluster.reconcile import reconcile_clusters
from local.folders import InUseError
from local.kafka import Kafka
from local.kafka_jars import Jars
from local.watcher import Watcher
from tests.kafkacluster.conftest import Customer, address_of
from tests.support.folders import server_folder
from tests.support.kafka import JARS
from tests.support.stack import Stack, running_stack, until

TENANTS = int(os.environ.get("KAFKA_CHAOS_TENANTS", "12"))
APPS = min(8, TENANTS)
KILLS, GAP_SECONDS = (1, 2.0) if TENANTS < 100 else (6, 8.0)
"""Of the worker and of the broker each, and how long both are left alone before."""

OUR_FORM = re.compile(r"t[0-9a-f]{12}")

pytestmark = pytest.mark.slow


class YoungKafka(Kafka):
    """A broker that has made no snapshot of its metadata yet, as one of an hour's age has not by default."""

    def _properties(self) -> str:
        early = "metadata.log.max.snapshot.interval.ms=5000"
        found = super()._properties()
        assert early in found
        return found.replace(early, "metadata.log.max.snapshot.interval.ms=3600000")


@pytest.fixture
def own_broker(watcher: Watcher) -> Iterator[Kafka]:
    """A broker that may be killed: no other test uses it."""
    with server_folder() as folder, Kafka(folder / "kafka", jars=Jars(JARS), watcher=watcher) as broker:
        yield broker


@pytest.fixture
def young_broker(watcher: Watcher) -> Iterator[Kafka]:
    """The same, and young."""
    with server_folder() as folder, YoungKafka(folder / "kafka", jars=Jars(JARS), watcher=watcher) as broker:
        yield broker


def address_at(broker: Kafka) -> Address:
    """Where a broker is."""
    names = {name.removeprefix("KAFKA_").lower(): value for name, value in broker.environment.items()}
    return address_of(KafkaEnvironment.model_validate(names))


def name_that_hashes_first() -> str:
    """A name that comes first in every small hash map of Java."""
    for number in count():
        name, hashed = f"t{number:012x}", 0
        for character in name:
            hashed = (31 * hashed + ord(character)) & 0xFFFFFFFF
        if (hashed ^ hashed >> 16) & 0xFF == 0:
            return name
    raise AssertionError("unreachable")


@pytest.mark.django_db
def test_users_that_kafka_loses_with_a_restart_get_in_again_also_those_whose_clients_are_at_work(
    young_broker: Kafka, customer: Callable[..., Customer], watcher: Watcher
) -> None:
    """The loss is real: KRaft of this version builds its table of users from nothing out of makings and a deletion.

    Where the deleted user comes first in the hash map, the table of the mechanism is dropped and the others are lost.
    """
    own = address_at(young_broker)
    SharedCluster.objects.update(state="closed")
    row = SharedCluster(
        name="young",
        regions=["us"],
        brokers=own.brokers,
        security_protocol=own.security_protocol,
        admin_brokers=own.admin_brokers,
        admin_security_protocol=own.admin_security_protocol,
        admin_username=own.admin_username,
        capacity_bytes_per_second=10**9,
        capacity_stored_bytes=10**13,
    )
    row.set_sealed(admin_password=own.admin_password)
    row.save()
    with connect(own) as cluster:
        former = name_that_hashes_first()
        cluster.set_password(former, "SCRAM-SHA-512", "of a tenant that has gone")
        cluster.remove_password(former, "SCRAM-SHA-512")
        shops = [customer() for _ in range(3)]
        topic = shops[0].topic(cluster)
    delivered: list[str | None] = []
    at_work = Producer(shops[0].client())

    def send() -> None:
        at_work.produce(
            topic, b"x", on_delivery=lambda error, _: delivered.append(error.name() if error else None)
        )

    send()
    assert at_work.flush(20) == 0

    assert stat.S_IMODE((young_broker.folder / "server.properties").stat().st_mode) == 0o600
    with pytest.raises(InUseError):
        Kafka(young_broker.folder, jars=Jars(JARS), watcher=watcher).claim()
    before, pid = young_broker.environment, young_broker.pid
    young_broker.kill()
    young_broker.start()
    assert young_broker.pid != pid
    assert young_broker.environment == before
    with connect(own) as cluster:
        assert cluster.topics() == [topic]
        assert cluster.mechanisms() == {}
    send()
    assert at_work.flush(1) == 1

    report = reconcile_clusters(fix=True)
    mended = {found.user: found.fixed for found in report.differences if found.what == "passwords"}
    assert mended == {shop.user: True for shop in shops}
    for shop in shops:
        shop.log_in()
    assert at_work.flush(40) == 0
    assert delivered == [None, None]
    assert [found for found in reconcile_clusters(fix=True).differences if found.user in mended] == []


class Chaos(threading.Thread):
    """Kills the worker, then the broker, as often as it should, and starts each again."""

    def __init__(self, stack: Stack, broker: Kafka) -> None:
        super().__init__(name="chaos")
        self.stack, self.broker = stack, broker
        self.error: BaseException | None = None

    def run(self) -> None:
        """Until it is over; both are back at the end."""
        try:
            for _ in range(KILLS):
                time.sleep(GAP_SECONDS)
                self.stack.kill_part("worker")
                self.stack.start_part("worker")
                time.sleep(GAP_SECONDS)
                self.broker.kill()
                self.broker.start()
        except BaseException as error:  # noqa: BLE001 - the test tells it
            self.error = error


def live_through(stack: Stack, app: str, number: int, tenants: int) -> None:
    """Add tenants to an app and remove them, each at any time: while it is made, or after."""
    chance = random.Random(number)
    kept: list[str] = []
    for _ in range(tenants):
        answer = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:free"}})
        assert answer.status_code == 201, answer.text
        kept.append(answer.json()["id"])
        if chance.random() < 0.5:
            until(lambda: stack.addon(kept[-1])["state"] == "provisioned", seconds=180, every=0.2)
        if chance.random() < 0.6:
            remove(stack, app, kept.pop(chance.randrange(len(kept))))
    for addon in kept:
        remove(stack, app, addon)


def remove(stack: Stack, app: str, addon: str) -> None:
    """Remove an add-on as a customer does."""
    answer = stack.customer("DELETE", f"/apps/{app}/addons/{addon}")
    assert answer.status_code == 200, answer.text


def test_tenants_that_come_and_go_under_kills_of_worker_and_broker_leave_no_orphan(
    own_broker: Kafka,
) -> None:
    began = time.monotonic()
    with running_stack(environment=own_broker.environment) as stack:
        apps = [stack.new_app() for _ in range(APPS)]
        shares = [TENANTS // APPS + (number < TENANTS % APPS) for number in range(APPS)]
        chaos = Chaos(stack, own_broker)
        chaos.start()
        try:
            with ThreadPoolExecutor(APPS) as threads:
                list(threads.map(live_through, [stack] * APPS, apps, range(APPS), shares))
        finally:
            chaos.join()
        assert chaos.error is None, chaos.error
        stack.restart_crashed()
        stack.wait_for_rest(seconds=300)

        made = stack.rows("SELECT username FROM kafkacluster_tenant")
        assert len(stack.addons()) == TENANTS
        # Some were removed before their tenant was made; of the others each was really on the cluster.
        assert len(made) >= TENANTS / 3
        assert not stack.rows("SELECT id FROM kafkacluster_tenant WHERE removed_at IS NULL")
        with connect(address_at(own_broker)) as cluster:
            told = [*cluster.grants(), *cluster.mechanisms(), *cluster.quotas()]
            names = [name.partition(".")[0] for name in (*cluster.topics(), *cluster.groups())]
        assert [name for name in (*told, *names) if OUR_FORM.fullmatch(name)] == []
        assert "0 differences" in stack.manage("reconcile_kafka")
        seconds = time.monotonic() - began
        print(f"{TENANTS} tenants, {len(made)} of them made, {KILLS} kills each, {seconds:.0f} s")  # noqa: T201
