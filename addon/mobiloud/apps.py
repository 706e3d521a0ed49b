"""Django's registration of this app."""

from django.apps import AppConfig


class MobiLoudConfig(AppConfig):
    """The MobiLoud add-on service."""

    name = "addon.mobiloud"
    verbose_name = "MobiLoud"

    def ready(self) -> None:
        """Register the words of our events."""
        from addon.mobiloud.events import TOLD
        from sso.events import tell

        tell(TOLD)
