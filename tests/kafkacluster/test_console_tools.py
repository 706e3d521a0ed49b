"""Kafka's own Java console tools, with the config vars in a properties file."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from addon.kafkacluster.cluster import Cluster
from local.kafka_jars import Jars
from tests.kafkacluster.conftest import Customer
from tests.support.kafka import JARS

pytestmark = pytest.mark.django_db
PRODUCER = "kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
TOPICS = "org.apache.kafka.tools.TopicCommand"


@pytest.fixture
def tool(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a console tool as a customer; its output."""

    def run(
        shop: Customer, main: str, *arguments: str, option: str, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        properties = tmp_path / "client.properties"
        properties.write_text(
            "security.protocol=SASL_PLAINTEXT\n"
            f"sasl.mechanism={shop.config['KAFKACLUSTER_SASL_METHOD']}\n"
            "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="{shop.config["KAFKACLUSTER_USERNAME"]}" '
            f'password="{shop.config["KAFKACLUSTER_PASSWORD"]}";\n'
        )
        argv = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", Jars(JARS).class_path, main]
        argv += ["--bootstrap-server", shop.config["KAFKACLUSTER_BROKERS"], option, str(properties)]
        return subprocess.run(
            [*argv, *arguments], input=text, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def test_the_console_tools_produce_consume_and_make_no_topic(
    customer: Callable[..., Customer],
    cluster: Cluster,
    tool: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    shop = customer()
    topic = shop.topic(cluster)
    sent = tool(shop, PRODUCER, "--topic", topic, option="--producer.config", text="one\ntwo\n")
    assert sent.returncode == 0, sent.stderr
    got = tool(
        shop,
        CONSUMER,
        *("--topic", topic, "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000"),
        *("--group", f"{shop.tenant.prefix}console"),
        option="--consumer.config",
    )
    assert got.stdout.split() == ["one", "two"], got.stderr
    refused = tool(
        shop,
        TOPICS,
        *("--create", "--topic", f"{shop.tenant.prefix}mine", "--partitions", "1"),
        option="--command-config",
    )
    assert refused.returncode != 0
    assert "Authorization failed" in refused.stdout + refused.stderr
    assert cluster.topics(shop.tenant.prefix) == [topic]
