"""Django's registration of this app."""

from django.apps import AppConfig


class KafkaClusterConfig(AppConfig):
    """The KafkaCluster add-on service."""

    name = "addon.kafkacluster"
    verbose_name = "KafkaCluster"

    def ready(self) -> None:
        """Register the checks."""
        from addon.kafkacluster import checks  # noqa: F401 - importing registers them
