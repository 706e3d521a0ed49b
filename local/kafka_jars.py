"""The jars of Apache Kafka on this machine: fetched once by Maven, as `local/kafka/pom.xml` names them."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

POM = Path(__file__).resolve().parent / "kafka" / "pom.xml"
JAVA = 17
_FETCH_SECONDS = 300


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

    @property
    def exporter(self) -> Path:
        """The agent that tells a broker's metrics to Prometheus."""
        return next(self.folder.glob("jmx_prometheus_javaagent-*.jar"))

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
