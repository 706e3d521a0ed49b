"""Django's registration of this app."""

from django.apps import AppConfig


class KafkaClusterConfig(AppConfig):
    """The KafkaCluster add-on service."""

    name = "addon.kafkacluster"
    verbose_name = "KafkaCluster"

    def ready(self) -> None:
        """Register the checks, and the words of our events, and what operators see of us."""
        from addon.kafkacluster import (
            affected,
            checks,  # noqa: F401 - importing registers them
            rates,
        )
        from addon.kafkacluster.events import TOLD
        from advisories import features, scope
        from operators import navigation
        from operators.roles import Role, grant
        from provisioning import retention
        from sso.events import tell

        tell(TOLD)
        retention.register("Kafka rates", rates.purge)
        for found in affected.filters():
            scope.register(found)
        features.register(affected.features)
        for permission in ("change_tenant", "add_sharedcluster", "change_sharedcluster"):
            grant(f"kafkacluster.{permission}", Role.OPERATOR)
        navigation.register(
            "Service",
            "Kafka clusters",
            icon="topology-star-3",
            url_name="admin:kafkacluster_sharedcluster_changelist",
        )
        navigation.register(
            "Service", "Kafka tenants", icon="stack-2", url_name="admin:kafkacluster_tenant_changelist"
        )
