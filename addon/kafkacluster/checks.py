"""Django system checks of this service's settings."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from addon.kafkacluster.config import kafka_environment


@register("kafkacluster", deploy=True)
def check_cluster_is_named(**_: Any) -> list[CheckMessage]:
    """In production there has to be a cluster, and a login for us."""
    kafka = kafka_environment()
    needed = {
        "KAFKA_ADMIN_BROKERS": kafka.admin_brokers,
        "KAFKA_ADMIN_PASSWORD": kafka.admin_password.get_secret_value(),
    }
    return [
        Error(f"{name} is not set: no Kafka tenant can be made.", id=f"kafkacluster.E{number:03}")
        for number, (name, value) in enumerate(needed.items(), start=1)
        if not value
    ]
