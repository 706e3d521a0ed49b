"""How quickly Kafka tenants are made, and whether a full cluster slows their pages down: `python -m bench.kafka`.

Starts the whole provider with a stand-in Heroku and a broker of their own. Everything is told beside a measure of the
same run: tenants per second beside the bare calls to Kafka that one tenant takes, pages on a full cluster (500 tenants,
5,000 topics, 2,000 groups) beside the same pages before the cluster was filled.
"""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import requests
from kafka.structs import TopicPartition

import bench.environment  # noqa: F401 - before anything of the provider
from addon.kafkacluster.cluster import (
    CONSUME_QUOTA,
    PRODUCE_QUOTA,
    Address,
    Cluster,
    Grant,
    connect,
    log_in_as_tenant,
)
from bench.partner_api import percentile
from local.kafka import Kafka
from local.kafka_jars import Jars
from local.postgres import Postgres
from local.watcher import Watcher
from provisioning.services import Fault
from tests.support.folders import server_folder
from tests.support.kafka import JARS
from tests.support.stack import Stack, running_stack, until

GOAL_SECONDS = 3.0
ALONE, TOGETHER, AT_ONCE = 15, 40, 8
TENANTS, TOPICS, GROUPS = 500, 5_000, 2_000
LOOKS = 40
RIGHTS = ("READ", "WRITE", "DESCRIBE_CONFIGS")


@contextmanager
def running() -> Iterator[tuple[Stack, Address]]:
    """The provider on a broker of its own, removed at the end."""
    with ExitStack() as cleaning:
        folder = cleaning.enter_context(server_folder())
        watcher = cleaning.enter_context(Watcher())
        postgres = cleaning.enter_context(Postgres(folder / "postgres", watcher=watcher, say=lambda _: None))
        broker = cleaning.enter_context(Kafka(folder / "kafka", jars=Jars(JARS), watcher=watcher))
        os.environ["DATABASE_URL"] = postgres.url
        settings = broker.environment
        stack = cleaning.enter_context(running_stack(environment=settings))
        yield (
            stack,
            Address(
                name="bench",
                brokers=settings["KAFKA_BROKERS"],
                security_protocol="SASL_PLAINTEXT",
                admin_brokers=settings["KAFKA_ADMIN_BROKERS"],
                admin_security_protocol="SASL_PLAINTEXT",
                admin_mechanism="PLAIN",
                admin_username=settings["KAFKA_ADMIN_USERNAME"],
                admin_password=settings["KAFKA_ADMIN_PASSWORD"],
            ),
        )


def bare_tenant(address: Address) -> None:
    """The calls to Kafka that one tenant takes, and nothing else."""
    user = f"b{uuid.uuid4().hex[:12]}"
    with connect(address) as cluster:
        cluster.set_quotas(user, {PRODUCE_QUOTA: 6_000, CONSUME_QUOTA: 6_000})
        cluster.grant(user, [Grant("TOPIC", f"{user}.", right) for right in RIGHTS])
        cluster.set_password(user, "SCRAM-SHA-512", "of-the-bench")
    log_in_as_tenant(address, username=user, mechanism="SCRAM-SHA-512", password="of-the-bench")  # noqa: S106


def provision(stack: Stack, app: str) -> str:
    """Add a tenant at the stand-in Heroku; its id there."""
    answer = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:basic-0"}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def waited(stack: Stack, addons: list[str]) -> list[float]:
    """Seconds from our answer's row to the end of each provision, in order."""
    until(lambda: not stack.active_operations(), seconds=120, every=0.1)
    rows = stack.rows(
        "SELECT extract(epoch FROM provisioned_at - created_at)::float AS seconds FROM provisioning_resource "
        "WHERE uuid = ANY(%s::uuid[]) AND state = 'provisioned'",
        addons,
    )
    assert len(rows) == len(addons)
    return sorted(row["seconds"] for row in rows)


def timed(action: Callable[[], object]) -> float:
    """How long it takes, in seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


# --- pages ----------------------------------------------------------------------------------------------------
class Visitor:
    """A customer with an open dashboard."""

    def __init__(self, stack: Stack, addon: str) -> None:
        self.base = f"{stack.web_url}/kafkacluster/{addon}"
        self.session = requests.Session()
        salt, timestamp = stack.secrets["KAFKACLUSTER_SSO_SALTS"], str(int(time.time()))
        person = {"user_id": str(uuid.uuid4()), "email": "somebody@example.com"}
        plain = f"{addon}:{salt}:{timestamp}"
        scoped = f"{plain}:{person['user_id']}:{person['email']}"
        form = {
            "resource_id": addon,
            "timestamp": timestamp,
            "resource_token": hashlib.sha1(plain.encode()).hexdigest(),  # noqa: S324 - Heroku's formula
            "user_scoped_resource_token": hashlib.sha256(scoped.encode()).hexdigest(),
            "app": "bench",
            **person,
        }
        answer = self.session.post(f"{stack.web_url}/sso/login", data=form, timeout=30, allow_redirects=False)
        assert answer.status_code == 302, answer.text[:500]

    def look(self, page: str) -> str:
        """Open a page; its text."""
        answer = self.session.get(f"{self.base}/{page}", timeout=60)
        assert answer.status_code == 200, f"{page}: {answer.status_code}"
        return answer.text

    def create_topic(self, name: str) -> None:
        """Make a topic as the page's form does."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.look("topics/"))
        assert token
        fields = {"name": name, "partitions": "2", "csrfmiddlewaretoken": token[1]}
        answer = self.session.post(
            f"{self.base}/topics/create", data=fields, timeout=30, allow_redirects=False
        )
        assert answer.status_code == 303, answer.text[:500]


def pages_of(prefix: str) -> dict[str, str]:
    """The dashboard's pages by name."""
    return {
        "overview": "",
        "topics": "topics/",
        "one topic": f"topics/{prefix}orders-0/",
        "quotas": "quotas/",
        "replication": "replication/",
    }


def p95s(visitor: Visitor, pages: dict[str, str]) -> dict[str, float]:
    """Each page's p95 in milliseconds."""
    for path in pages.values():
        visitor.look(path)
    found: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(LOOKS):
        for name, path in pages.items():
            found[name].append(1000 * timed(lambda path=path: visitor.look(path)))  # type: ignore[misc]
    return {name: percentile(sorted(times), 0.95) for name, times in found.items()}


def fill(stack: Stack, cluster: Cluster) -> None:
    """Other tenants, with their topics and groups: rows as their provisions leave them, and the cluster's objects."""
    stack.rows(
        """
        WITH plan AS (SELECT id FROM provisioning_plan WHERE service = 'kafkacluster' AND slug = 'basic-0'),
        made AS (
            INSERT INTO provisioning_resource
                (uuid, service, plan_id, state, name, region, options, request, app_id, app_name, provisioned_at)
            SELECT gen_random_uuid(), 'kafkacluster', plan.id, 'provisioned', 'n' || n, 'us', '{}', '{}', '', '', now()
              FROM plan, generate_series(1, %s) AS n RETURNING id),
        numbered AS (SELECT id, row_number() OVER () AS n FROM made),
        tenants AS (
            INSERT INTO kafkacluster_tenant (resource_id, cluster_id, username, prefix)
            SELECT numbered.id, (SELECT min(id) FROM kafkacluster_sharedcluster),
                   't' || lpad(n::text, 12, '0'), 't' || lpad(n::text, 12, '0') || '.' FROM numbered
            RETURNING id, prefix)
        INSERT INTO kafkacluster_topic (tenant_id, name, partitions, state, pending_settings, made_at, settled_at)
        SELECT id, prefix || 'topic-' || k, 1, 'live', '{}', now(), now()
          FROM tenants, generate_series(1, %s) AS k RETURNING id
        """,
        TENANTS,
        TOPICS // TENANTS,
    )
    names = [
        row["name"] for row in stack.rows("SELECT name FROM kafkacluster_topic WHERE name LIKE 't0000%%'")
    ]
    until(lambda: coordinator_is_up(cluster), every=0.5)
    client = cluster._client  # noqa: SLF001 - thousands at once is nothing that the adapter needs
    for start in range(0, len(names), 250):
        options = {"num_partitions": 1, "replication_factor": 1}
        client.create_topics(dict.fromkeys(names[start : start + 250], options))
        print(".", end="", flush=True)
    for number in range(GROUPS):
        topic = names[number % len(names)]
        group = f"{topic.partition('.')[0]}.group-{number // TENANTS}"
        cluster.commit(group, {TopicPartition(topic, 0): 0})
        if number % 250 == 0:
            print(".", end="", flush=True)
    print()


def coordinator_is_up(cluster: Cluster) -> bool:
    """Whether groups can be made: on a new broker the first question only begins to make their coordinator."""
    try:
        cluster.describe_group("nobody")
    except Fault:
        return False
    return True


def main() -> None:
    """Measure and print."""
    started = time.monotonic()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start\n")
    with running() as (stack, address):
        app = stack.new_app()
        waited(stack, [provision(stack, app) for _ in range(3)])  # warm
        bare = sorted(timed(lambda: bare_tenant(address)) for _ in range(ALONE))
        single: list[float] = []
        for _ in range(ALONE):
            single += waited(stack, [provision(stack, app)])
        apps = [stack.new_app() for _ in range(AT_ONCE)]
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            addons = list(threads.map(lambda n: provision(stack, apps[n % AT_ONCE]), range(TOGETHER)))
        together = waited(stack, addons)
        rate = TOGETHER / (time.perf_counter() - began)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            bare_seconds = timed(lambda: list(threads.map(lambda _: bare_tenant(address), range(TOGETHER))))
        one, bare_p95 = percentile(sorted(single), 0.95), percentile(bare, 0.95)
        print("A tenant, from the request's row to provisioned (s):")
        print(
            f"  one at a time   p95 {one:.2f}   bare calls to Kafka p95 {bare_p95:.2f}   ratio {one / bare_p95:.1f}"
        )
        print(f"  {AT_ONCE} at once       p95 {percentile(together, 0.95):.2f}")
        print(
            f"  {rate:.1f} tenants/s; the bare calls alone {TOGETHER / bare_seconds:.1f}/s, "
            f"ratio {TOGETHER / bare_seconds / rate:.1f}"
        )
        print(
            f"  goal: p95 under {GOAL_SECONDS:g} s one at a time: {'met' if one < GOAL_SECONDS else 'missed'}\n"
        )

        addon = addons[0]
        visitor = Visitor(stack, addon)
        for number in range(5):
            visitor.create_topic(f"orders-{number}")
        prefix = stack.rows(
            "SELECT prefix FROM kafkacluster_tenant t JOIN provisioning_resource r ON r.id = t.resource_id "
            "WHERE r.uuid = %s",
            addon,
        )[0]["prefix"]
        stack.kill_part("beat")
        before = p95s(visitor, pages_of(prefix))
        print(f"filling the cluster with {TENANTS} tenants, {TOPICS:,} topics, {GROUPS:,} groups ", end="")
        with connect(address) as cluster:
            fill(stack, cluster)
        after = p95s(visitor, pages_of(prefix))
        print(f"\n{'page':<14}{'p95 ms, few':>13}{'p95 ms, full':>14}{'ratio':>8}")
        for name in before:
            print(f"{name:<14}{before[name]:>13.1f}{after[name]:>14.1f}{after[name] / before[name]:>8.2f}")
    print(f"\nload {os.getloadavg()[0]:.1f} at the end, {time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
