"""Django's registration of this app."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    """The ground floor."""

    name = "provisioning"
    verbose_name = "Provisioning"

    def ready(self) -> None:
        """Register the system checks, and what is deleted when it is old."""
        from provisioning import checks, heroku_calls, retention  # noqa: F401

        retention.register("calls to Heroku", heroku_calls.purge)
