"""Three Kafka brokers that form one cluster, for tests that take one of them away."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.kafka import Kafka, Quorum
from local.kafka_jars import Jars
from local.kafka_settings import OPERATOR
from local.watcher import Watcher
from tests.support.kafka import JARS

NODES = 3


class Brokers:
    """A running cluster; `nodes` can be stopped, killed and started one by one."""

    def __init__(self, nodes: list[Kafka], *, password: str) -> None:
        self.nodes, self.password = nodes, password

    def joined(self, setting: str) -> str:
        """One of the nodes' KAFKA_ settings, of all of them, comma separated."""
        return ",".join(node.environment[setting] for node in self.nodes)

    def row(self) -> dict[str, object]:
        """The fields of the cluster's row."""
        return {
            "regions": ["us"],
            "brokers": self.joined("KAFKA_BROKERS"),
            "security_protocol": "SASL_PLAINTEXT",
            "admin_brokers": self.joined("KAFKA_ADMIN_BROKERS"),
            "admin_security_protocol": "SASL_PLAINTEXT",
            "admin_username": OPERATOR,
            "broker_count": len(self.nodes),
            "metrics_urls": self.joined("KAFKA_METRICS_URLS"),
            "capacity_bytes_per_second": 10**9,
            "capacity_stored_bytes": 10**13,
        }


@contextmanager
def three_brokers(folder: Path, *, watcher: Watcher) -> Iterator[Brokers]:
    """Start a cluster of three nodes below `folder`; it ends with the block."""
    password = "of-the-three-brokers"
    quorum = Quorum.new(NODES, password=password)
    with ExitStack() as running:
        nodes = []
        for number in quorum.control_ports:
            node = Kafka(
                folder / f"node-{number}", jars=Jars(JARS), quorum=quorum, node=number, watcher=watcher
            )
            # Killed first: of brokers that stop one by one the last waits in vain for the others.
            running.callback(node.stop)
            running.callback(node.kill)
            node.launch()
            nodes.append(node)
        for node in nodes:
            node.wait_ready()
        yield Brokers(nodes, password=password)
