"""Getting started: programs that run as they are printed, with a tenant's own names and its plan's client settings.

The texts stand in `samples/`; only names and numbers are filled in. The password is none of them: like the other config
vars it comes from the environment, where Heroku puts it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant

_FOLDER = Path(__file__).parent / "samples"
_SMALLEST_FETCH = 4_000
_LARGEST_BATCH = 16_384
"""The default of Kafka's own client."""


@dataclass(frozen=True)
class Client:
    """A client library, how it is installed, and what its programs are called."""

    slug: str
    language: str
    name: str
    install: str
    produce_file: str
    produce: str
    consume_file: str
    consume: str


_MAVEN = """\
<dependency>
  <groupId>org.apache.kafka</groupId>
  <artifactId>kafka-clients</artifactId>
  <version>3.9.1</version>
</dependency>"""

CLIENTS = (
    Client(
        "confluent-kafka",
        "Python",
        "confluent-kafka",
        "pip install confluent-kafka",
        "produce.py",
        "python produce.py",
        "consume.py",
        "python consume.py",
    ),
    Client(
        "kafka-python",
        "Python",
        "kafka-python",
        "pip install kafka-python",
        "produce.py",
        "python produce.py",
        "consume.py",
        "python consume.py",
    ),
    Client(
        "kafkajs",
        "Node.js",
        "kafkajs",
        "npm install kafkajs",
        "produce.js",
        "node produce.js",
        "consume.js",
        "node consume.js",
    ),
    Client(
        "confluent-javascript",
        "Node.js",
        "@confluentinc/kafka-javascript",
        "npm install @confluentinc/kafka-javascript",
        "produce.js",
        "node produce.js",
        "consume.js",
        "node consume.js",
    ),
    Client(
        "java",
        "Java",
        "kafka-clients",
        _MAVEN,
        "Produce.java",
        "java -cp 'libs/*' Produce.java",
        "Consume.java",
        "java -cp 'libs/*' Consume.java",
    ),
    Client(
        "rdkafka",
        "Ruby",
        "rdkafka",
        "gem install rdkafka",
        "produce.rb",
        "ruby produce.rb",
        "consume.rb",
        "ruby consume.rb",
    ),
    Client(
        "franz-go",
        "Go",
        "franz-go",
        "go get github.com/twmb/franz-go",
        "main.go",
        "go run .",
        "main.go",
        "go run .",
    ),
    Client(
        "console",
        "Console",
        "Kafka's console tools",
        'export PATH="$PATH:$HOME/kafka/bin"',
        "produce.sh",
        "sh produce.sh",
        "consume.sh",
        "sh consume.sh",
    ),
)


@dataclass(frozen=True)
class Advice:
    """What a client of this plan does well to set, in bytes, and why."""

    batch: int
    fetch: int


@dataclass(frozen=True)
class Program:
    """The two programs of one client, ready to be pasted."""

    client: Client
    produce: str
    consume: str


def advice(limits: Limits) -> Advice:
    """Batches that a topic of the plan takes, and fetches small enough to be let through evenly.

    A consumer at its quota gets about half of it with a client's default fetch sizes, and four fifths with fetches of
    two thirds of a second's worth (measured with Kafka 3.9).
    """
    return Advice(
        batch=min(_LARGEST_BATCH, limits.max_message_bytes // 2),
        fetch=max(_SMALLEST_FETCH, limits.consume_bytes_per_second * 2 // 3),
    )


def program(tenant: Tenant, limits: Limits, *, client: Client, topic: str, group: str) -> Program:
    """The programs of one client for a topic and a group, given by their whole names."""
    values = {
        "@PROTOCOL@": tenant.cluster.security_protocol,
        "@TLS@": "true" if tenant.cluster.security_protocol == "SASL_SSL" else "false",
        "@TOPIC@": topic,
        "@GROUP@": group,
        "@BATCH@": str(advice(limits).batch),
        "@FETCH@": str(advice(limits).fetch),
    }

    def filled(kind: str) -> str:
        text = _sample(f"{client.slug}-{kind}")
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    return Program(client, filled("produce"), filled("consume"))


@cache
def _sample(name: str) -> str:
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")
