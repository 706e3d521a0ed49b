"""Django's registration of this app."""

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """The inference add-on service."""

    name = "addon.inference"
    verbose_name = "Inference"

    def ready(self) -> None:
        """Tell advisories which models a resource has used."""
        from addon.inference.affected import features
        from advisories.features import register

        register(features)
