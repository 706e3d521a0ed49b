"""One node of Apache Kafka on this machine, in a data folder, with the jars of `local/kafka/pom.xml`.

The jars are fetched once by Maven into a folder of their own and kept as long as the POM stays the same. The node's
folder holds `server.properties` (with the password of the operator's user, mode 600), `password`, `lock`, the log of
the server and `data`. Tenants log in by SCRAM on one listener; the project and the broker itself use another one with a
fixed user in PLAIN, so that lost SCRAM users never lock them out.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from local import folders
from local.ports import PortTakenError, free_port, is_taken
from local.program import STORES, Program, RunningProgram
from local.server import EmbeddedServer, end_orphans, kept_password
from local.watcher import Watcher

POM = Path(__file__).resolve().parent / "kafka" / "pom.xml"
JAVA = 17
OPERATOR = "operator"
"""The super user of the admin listener."""

START_SECONDS = 60.0
STOP_SECONDS = 15.0
_FETCH_SECONDS = 300
_STARTED = "Kafka Server started"
_LOG_CONFIGURATION = """\
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
log4j.logger.kafka.server.KafkaRaftServer=INFO
"""
# A small node that is up in seconds: the code is compiled quickly rather than well, and memory is kept back.
_JVM = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class KafkaError(Exception):
    """The broker cannot be fetched or started; the message says why, in words for a person."""


class Jars:
    """The broker's jars in a folder, as the POM names them."""

    def __init__(self, folder: Path, *, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self._say = say

    @property
    def class_path(self) -> str:
        """What Java is given as `-cp`."""
        return f"{self.folder}/*"

    def missing(self) -> str | None:
        """Name in one line what this machine lacks to run a broker, after fetching the jars; None if nothing."""
        try:
            check_java()
            self.fetch()
        except KafkaError as error:
            return str(error)
        return None

    def fetch(self) -> None:
        """Let Maven fetch the jars unless those of this POM are there; raises KafkaError.

        They come into a new folder that takes the place of the former one whole, so a fetch that was cut off, or two
        at once, leave no half.
        """
        digest = hashlib.sha256(POM.read_bytes()).hexdigest()
        if self._has(digest):
            return
        maven = shutil.which("mvn")
        if maven is None:
            raise KafkaError("Maven (`mvn`) is needed to fetch Apache Kafka and was not found: install it")
        self._say("fetching Apache Kafka with Maven")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix="kafka-jars-") as made:
            unfinished = Path(made) / "jars"
            argv = [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies"]
            argv += ["-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
            try:
                done = subprocess.run(
                    argv,
                    cwd=made,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=_FETCH_SECONDS,
                )
            except subprocess.TimeoutExpired:
                raise KafkaError(f"Maven did not fetch Apache Kafka within {_FETCH_SECONDS} s") from None
            if done.returncode != 0 or not unfinished.is_dir():
                words = (done.stdout + done.stderr).strip().splitlines()
                raise KafkaError(f"Maven could not fetch Apache Kafka: {words[0] if words else 'no reason'}")
            (unfinished / "pom.digest").write_text(digest)
            if self._has(digest):
                return
            if self.folder.exists():
                self.folder.rename(Path(made) / "former")
            try:
                unfinished.rename(self.folder)
            except OSError:
                if not self._has(digest):
                    raise

    def _has(self, digest: str) -> bool:
        try:
            return (self.folder / "pom.digest").read_text() == digest
        except FileNotFoundError:
            return False


def has_started(log: Path) -> bool:
    """Tell by a broker's log whether it has come up."""
    try:
        return _STARTED in log.read_text(errors="replace")
    except FileNotFoundError:
        return False


def check_java() -> None:
    """Raise KafkaError when there is no Java, or one that is too old."""
    java = shutil.which("java")
    if java is None:
        raise KafkaError(f"Java {JAVA} or newer is needed for Apache Kafka and was not found: install it")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', told.stderr + told.stdout)
    if found is None or int(found[1]) < JAVA:
        version = found[1] if found else "an unknown one"
        raise KafkaError(f"Java {JAVA} or newer is needed for Apache Kafka: found {version}")


class Kafka(EmbeddedServer):
    """One broker; a context manager, or driven by the supervisor through `prepared`.

    `port` is the tenants' listener; 0 picks a free one at the first start and keeps it. The operator's listener and
    the controller's get free ports. Tests can take the broker away with `stop` or `kill` and bring it back with
    `start`: addresses, topics and users are still there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        jars: Jars,
        port: int = 0,
        watcher: Watcher | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.folder = folders.reachable(folder.resolve(), None, say)
        self.port = port
        self.jars = jars
        self._admin_port = 0
        self._control_port = 0
        self._watcher = watcher or Watcher()
        self._owns_watcher = watcher is None
        self._lock: IO[str] | None = None
        self._running: RunningProgram | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The KAFKA_… settings of a process that uses this broker; call `claim` first."""
        return {
            "KAFKA_BROKERS": f"127.0.0.1:{self.port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_ADMIN_BROKERS": f"127.0.0.1:{self._admin_port}",
            "KAFKA_ADMIN_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_ADMIN_USERNAME": OPERATOR,
            "KAFKA_ADMIN_PASSWORD": kept_password(self.folder / "password"),
        }

    def claim(self) -> None:
        """Lock the folder, end an orphaned broker in it, and settle the ports. May be called again.

        Raises InUseError when another launcher uses the folder, PortTakenError when the tenants' port is held.
        """
        if self._lock is None:
            self._lock = folders.lock(self.folder / "lock")
            end_orphans(self._configuration)
        if self.port == 0:
            self.port = free_port()
        elif is_taken(self.port):
            raise PortTakenError(self.port)
        if self._admin_port == 0:
            self._admin_port, self._control_port = free_port(), free_port()

    def prepare(self) -> None:
        """Claim folder and ports, write the configuration and format the data folder if it is new.

        Called before each start; raises as `claim`, and KafkaError.
        """
        self.claim()
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(self._properties(), encoding="utf-8")
        (self.folder / "log4j.properties").write_text(_LOG_CONFIGURATION, encoding="utf-8")
        if not (self._data / "meta.properties").exists():
            self._format()

    def program(self) -> Program:
        """Return the broker as a program; call `prepare` first."""
        return Program(
            name="kafka",
            argv=self._java("kafka.Kafka", str(self._configuration)),
            folder=self.folder,
            log=self.log,
            level=STORES,
            stop_seconds=STOP_SECONDS,
        )

    def prepared(self) -> Program:
        """Prepare and return the broker as a program: what a supervisor calls before each start."""
        self.prepare()
        return self.program()

    def release(self) -> None:
        """Give up the folder's lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

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

    def _java(self, *command: str) -> list[str]:
        logging = f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}"
        return ["java", *_JVM, logging, "-cp", self.jars.class_path, *command]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # An id that begins with a dash would be read as an option.
        argv = self._java(
            "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--ignore-formatted"
        )
        argv += ["--config", str(self._configuration)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KafkaError(f"the data folder could not be formatted: {(done.stdout + done.stderr).strip()}")

    def _properties(self) -> str:
        clients, admin = f"127.0.0.1:{self.port}", f"127.0.0.1:{self._admin_port}"
        control, password = f"127.0.0.1:{self._control_port}", kept_password(self.folder / "password")
        plain = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{OPERATOR}" password="{password}" user_{OPERATOR}="{password}";'
        )
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{control}",
            "listeners": f"CLIENTS://{clients},ADMIN://{admin},CONTROL://{control}",
            "advertised.listeners": f"CLIENTS://{clients},ADMIN://{admin}",
            "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,ADMIN:SASL_PLAINTEXT,CONTROL:SASL_PLAINTEXT",
            "inter.broker.listener.name": "ADMIN",
            "controller.listener.names": "CONTROL",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.clients.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.clients.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.clients.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.admin.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.admin.plain.sasl.jaas.config": plain,
            "listener.name.control.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.control.plain.sasl.jaas.config": plain,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{OPERATOR}",
            "allow.everyone.if.no.acl.found": "false",
            "log.dirs": self._data,
            "auto.create.topics.enable": "false",
            "num.partitions": 1,
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 2,
            "group.initial.rebalance.delay.ms": 0,
            "message.max.bytes": 1_048_588,
            "log.segment.delete.delay.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 8_388_608,
            # Few windows make a small plan's throttling smoother: bursts of four seconds' worth, not of ten.
            "quota.window.num": 5,
            "quota.window.size.seconds": 1,
            # A start without a snapshot may lose every SCRAM user (seen in 3.5 to 3.9): have one early.
            "metadata.log.max.snapshot.interval.ms": 5000,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())
