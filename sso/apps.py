"""Django's registration of this app."""

from django.apps import AppConfig


class SSOConfig(AppConfig):
    """See the package."""

    name = "sso"
