"""Django's registration of this app."""

from django.apps import AppConfig


class MobiLoudConfig(AppConfig):
    """The MobiLoud add-on service."""

    name = "addon.mobiloud"
    verbose_name = "MobiLoud"
