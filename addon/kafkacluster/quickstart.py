"""The first record, as the overview shows it."""

from addon.kafkacluster.models import Tenant

_PRODUCER = """\
import os
from confluent_kafka import Producer

producer = Producer({{
    "bootstrap.servers": os.environ["KAFKACLUSTER_BROKERS"],
    "security.protocol": "{protocol}",
    "sasl.mechanism": os.environ["KAFKACLUSTER_SASL_METHOD"],
    "sasl.username": os.environ["KAFKACLUSTER_USERNAME"],
    "sasl.password": os.environ["KAFKACLUSTER_PASSWORD"],
}})
producer.produce("{prefix}orders", b"hello")
producer.flush()"""


def producer_example(tenant: Tenant) -> str:
    """Python that sends a record to a topic of the tenant's."""
    return _PRODUCER.format(prefix=tenant.prefix, protocol=tenant.cluster.security_protocol)
