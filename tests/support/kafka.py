"""The Kafka broker of a test run: where its jars are kept, and waiting until it serves."""

import os
import time
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from local.kafka import START_SECONDS, has_started

JARS = Path(__file__).resolve().parents[2] / ".data" / "kafka-jars"
NO_KAFKA = "TESTS_WITHOUT_KAFKA"
"""The environment variable that tells why there is no broker. Set by hand, it keeps a run from starting one."""

KAFKA_LOG = "TESTS_KAFKA_LOG"
"""The environment variable that tells where the broker writes."""


def wait_for_kafka() -> None:
    """Wait until the run's broker serves; AssertionError when it does not in time.

    Without a broker this returns at once: the tests that need it fail by themselves, with the reason.
    """
    if os.environ.get(NO_KAFKA) or KAFKA_LOG not in os.environ:
        return
    log = Path(os.environ[KAFKA_LOG])
    deadline = time.monotonic() + START_SECONDS
    while not has_started(log):
        if time.monotonic() > deadline:
            words = log.read_text(errors="replace") if log.exists() else "nothing"
            raise AssertionError(f"Kafka does not serve after {START_SECONDS} s; it wrote:\n{words}")
        time.sleep(0.05)
    _let_groups_come_up()


def _let_groups_come_up() -> None:
    """Ask for a consumer group until its coordinator answers: on a new broker the first call only begins to make it."""
    client = KafkaAdminClient(
        bootstrap_servers=os.environ["KAFKA_ADMIN_BROKERS"],
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username=os.environ["KAFKA_ADMIN_USERNAME"],
        sasl_plain_password=os.environ["KAFKA_ADMIN_PASSWORD"],
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                client.describe_groups(["nobody"])
                return
            except KafkaError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    finally:
        client.close()
