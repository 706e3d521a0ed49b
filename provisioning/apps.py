"""Django's registration of this app."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    """The ground floor."""

    name = "provisioning"
    verbose_name = "Provisioning"

    def ready(self) -> None:
        """Register the system checks."""
        from provisioning import checks  # noqa: F401
