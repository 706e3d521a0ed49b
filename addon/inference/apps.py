"""Django's registration of this app."""

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """The inference add-on service."""

    name = "addon.inference"
    verbose_name = "Inference"

    def ready(self) -> None:
        """Tell advisories which models a resource has used, and register what is deleted when it is old."""
        from addon.inference import upkeep
        from addon.inference.affected import features
        from advisories.features import register
        from provisioning import retention

        register(features)
        retention.register("requests to models, and totals finer than their age", lambda: upkeep.purge().rows)
