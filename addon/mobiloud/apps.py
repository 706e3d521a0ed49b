"""Django's registration of this app."""

from django.apps import AppConfig


class MobiLoudConfig(AppConfig):
    """The MobiLoud add-on service."""

    name = "addon.mobiloud"
    verbose_name = "MobiLoud"

    def ready(self) -> None:
        """Register the words of our events, and what operators see of us."""
        from addon.mobiloud.affected import features
        from addon.mobiloud.events import TOLD
        from addon.mobiloud.queue import concerns
        from addon.mobiloud.retention import purge_ended
        from advisories.features import register
        from operators import navigation, overview
        from operators.roles import Role
        from provisioning import retention
        from sso.events import tell

        tell(TOLD)
        register(features)
        retention.register("sites of removed apps", purge_ended)
        readers = (Role.SUPPORT, Role.OPERATOR)
        navigation.register(
            "Customers",
            "App submissions",
            icon="device-mobile",
            url_name="mobiloud:operator-queue",
            roles=readers,
        )
        overview.register("mobiloud", concerns, *readers)
