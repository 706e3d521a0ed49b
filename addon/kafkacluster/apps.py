"""Django's registration of this app."""

from django.apps import AppConfig


class KafkaClusterConfig(AppConfig):
    """The KafkaCluster add-on service."""

    name = "addon.kafkacluster"
    verbose_name = "KafkaCluster"

    def ready(self) -> None:
        """Register the checks, and the words of our events."""
        from addon.kafkacluster import checks  # noqa: F401 - importing registers them
        from addon.kafkacluster.events import TOLD
        from sso.events import tell

        tell(TOLD)
