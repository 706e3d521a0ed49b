"""What a node of Apache Kafka on one machine is configured with."""

from dataclasses import dataclass
from pathlib import Path

OPERATOR = "operator"
"""The super user of the admin listener."""

LOGGING = """\
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
log4j.logger.kafka.server.KafkaRaftServer=INFO
"""

# Only what is asked for: a broker has thousands of beans, and each costs time at every look.
EXPORTER = """\
includeObjectNames:
  - "kafka.server:type=Produce,user=*"
  - "kafka.server:type=Fetch,user=*"
  - "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=*"
  - "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec,topic=*"
rules:
  - pattern: "kafka.server<type=(Produce|Fetch), user=(.+)><>byte-rate"
    name: kafka_user_byte_rate
    type: GAUGE
    labels:
      request: "$1"
      user: "$2"
  - pattern: "kafka.server<type=(Produce|Fetch), user=(.+)><>throttle-time"
    name: kafka_user_throttle_milliseconds
    type: GAUGE
    labels:
      request: "$1"
      user: "$2"
  - pattern: "kafka.server<type=BrokerTopicMetrics, name=Bytes(In|Out)PerSec, topic=(.+)><>OneMinuteRate"
    name: kafka_topic_byte_rate
    type: GAUGE
    labels:
      direction: "$1"
      topic: "$2"
"""


@dataclass(frozen=True, kw_only=True)
class NodeAddresses:
    """Ports of 127.0.0.1 that a node listens on."""

    clients: int
    admin: int
    control: int


def properties(
    *, node: int, addresses: NodeAddresses, voters: dict[int, int], password: str, data: Path
) -> str:
    """`server.properties` of one node; `voters` are the controllers' ports by node, this one's among them."""
    clients, admin = f"127.0.0.1:{addresses.clients}", f"127.0.0.1:{addresses.admin}"
    copies = min(3, len(voters))
    plain = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{OPERATOR}" password="{password}" user_{OPERATOR}="{password}";'
    )
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    values = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": ",".join(f"{key}@127.0.0.1:{port}" for key, port in voters.items()),
        "listeners": f"CLIENTS://{clients},ADMIN://{admin},CONTROL://127.0.0.1:{addresses.control}",
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
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "num.partitions": 1,
        "default.replication.factor": copies,
        "min.insync.replicas": max(1, copies - 1),
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": max(1, copies - 1),
        "transaction.state.log.num.partitions": 2,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": 1_048_588,
        "log.segment.delete.delay.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 8_388_608,
        # Two long windows keep to a rate exactly while no request carries more than two and a half windows' worth:
        # with many short ones, each of them forgives what the last request of the one before was too large by.
        # A client that was still may send five seconds' worth at once.
        "quota.window.num": 2,
        "quota.window.size.seconds": 5,
        # A start without a snapshot may lose every SCRAM user (seen in 3.5 to 3.9): have one early.
        "metadata.log.max.snapshot.interval.ms": 5000,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())
