"""Django's registration of this app."""

from django.apps import AppConfig


class KafkaClusterConfig(AppConfig):
    """The KafkaCluster add-on service."""

    name = "addon.kafkacluster"
    verbose_name = "KafkaCluster"
