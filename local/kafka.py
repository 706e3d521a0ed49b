"""Nodes of Apache Kafka on this machine, each in a data folder, with the jars of `local/kafka/pom.xml`.

A node's folder holds `server.properties` (with the password of the operator's user, mode 600), `password`, `lock`, the
log of the server and `data`. Tenants log in by SCRAM on one listener; the project and the brokers themselves use
another one with a fixed user in PLAIN, so that lost SCRAM users never lock them out.
"""

import base64
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local import folders
from local.kafka_jars import Jars, KafkaError
from local.kafka_settings import EXPORTER, LOGGING, OPERATOR, NodeAddresses, properties
from local.ports import free_port
from local.program import STORES, Program, RunningProgram
from local.server import EmbeddedServer, end_orphans, kept_password
from local.watcher import Watcher

START_SECONDS = 60.0
STOP_SECONDS = 15.0
_STARTED = "Kafka Server started"
# A small node that is up in seconds: the code is compiled quickly rather than well, and memory is kept back.
_JVM = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


def has_started(log: Path) -> bool:
    """Tell by a broker's log whether it has come up."""
    try:
        return _STARTED in log.read_text(errors="replace")
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Quorum:
    """The nodes of one cluster, each broker and controller: their controllers' ports by node, and what they share."""

    control_ports: dict[int, int]
    cluster_id: str
    password: str

    @classmethod
    def new(cls, nodes: int, *, password: str) -> "Quorum":
        """A cluster that has not been there before, on free ports."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        return cls({node: free_port() for node in range(1, nodes + 1)}, cluster, password)


class Kafka(EmbeddedServer):
    """One broker; a context manager, or driven by the supervisor through `prepared`.

    Alone it is a cluster of one; with `quorum` it is its node number `node`, and all of them have to be launched before
    one is waited for. `port` is the tenants' listener; 0 picks a free one at the first start and keeps it. The
    operator's listener and the exporter of metrics get free ports. Tests can take the broker away with `stop` or `kill`
    and bring it back with `start`: addresses, topics and users are still there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        jars: Jars,
        port: int = 0,
        quorum: Quorum | None = None,
        node: int = 1,
        watcher: Watcher | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.folder = folders.reachable(folder.resolve(), None, say)
        self.port = port
        self.jars = jars
        self.node = node
        self._quorum = quorum
        self._admin_port = 0
        self._metrics_port = 0
        self._watcher = watcher or Watcher()
        self._owns_watcher = watcher is None

    @property
    def environment(self) -> dict[str, str]:
        """The KAFKA_… settings of a process that uses this broker; call `claim` first."""
        return {
            "KAFKA_BROKERS": f"127.0.0.1:{self.port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_ADMIN_BROKERS": f"127.0.0.1:{self._admin_port}",
            "KAFKA_ADMIN_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_ADMIN_USERNAME": OPERATOR,
            "KAFKA_ADMIN_PASSWORD": self._members.password,
            "KAFKA_METRICS_URLS": f"http://127.0.0.1:{self._metrics_port}/metrics",
        }

    def claim(self) -> None:
        """As every server's; the operator's listener and the exporter get ports too."""
        super().claim()
        if self._admin_port == 0:
            self._admin_port, self._metrics_port = free_port(), free_port()

    def prepare(self) -> None:
        """Claim folder and ports, write the configuration and format the data folder if it is new.

        Called before each start; raises as `claim`, and KafkaError.
        """
        self.claim()
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(self._properties(), encoding="utf-8")
        (self.folder / "log4j.properties").write_text(LOGGING, encoding="utf-8")
        (self.folder / "exporter.yaml").write_text(EXPORTER, encoding="utf-8")
        if not (self._data / "meta.properties").exists():
            self._format()

    def program(self) -> Program:
        """Return the broker as a program; call `prepare` first."""
        return Program(
            name="kafka",
            argv=self._java("kafka.Kafka", str(self._configuration), agent=True),
            folder=self.folder,
            log=self.log,
            level=STORES,
            stop_seconds=STOP_SECONDS,
        )

    def _end_orphans(self) -> None:
        end_orphans(self._configuration)

    def is_ready(self) -> bool:
        """Tell whether the broker has said that it is up since its last start."""
        return has_started(self.log)

    def launch(self) -> None:
        """Start the broker without waiting for it; raises as `prepare`."""
        self.prepare()
        self._running = RunningProgram(self.program(), watcher=self._watcher)

    def wait_ready(self, *, seconds: float = START_SECONDS) -> None:
        """Wait until the launched broker is up; raises KafkaError, with its last words, when it is not in time."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self._running is None or not self._running.is_alive() or time.monotonic() > deadline:
                words = self._running.last_words() if self._running else "it was not launched"
                raise KafkaError(f"Apache Kafka did not start:\n{words}")
            time.sleep(0.05)

    def start(self) -> None:
        """Start the broker and wait until it is up; raises as `launch` and `wait_ready`."""
        try:
            self.launch()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Where the broker writes, anew at each start."""
        return self.folder / "server.log"

    def _java(self, *command: str, agent: bool = False) -> list[str]:
        logging = f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}"
        exporter = f"{self.jars.exporter}=127.0.0.1:{self._metrics_port}:{self.folder / 'exporter.yaml'}"
        agents = [f"-javaagent:{exporter}"] if agent else []
        return ["java", *_JVM, *agents, logging, "-cp", self.jars.class_path, *command]

    @property
    def _members(self) -> Quorum:
        """The cluster that this node is of: its own when it is alone."""
        if self._quorum is None:
            self._quorum = Quorum.new(1, password=kept_password(self.folder / "password"))
        return self._quorum

    def _properties(self) -> str:
        ports = self._members.control_ports
        return properties(
            node=self.node,
            addresses=NodeAddresses(clients=self.port, admin=self._admin_port, control=ports[self.node]),
            voters=ports,
            password=self._members.password,
            data=self._data,
        )

    def _format(self) -> None:
        # An id that begins with a dash would be read as an option.
        cluster = f"--cluster-id={self._members.cluster_id}"
        argv = self._java("kafka.tools.StorageTool", "format", cluster, "--ignore-formatted")
        argv += ["--config", str(self._configuration)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KafkaError(f"the data folder could not be formatted: {(done.stdout + done.stderr).strip()}")
