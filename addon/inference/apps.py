"""Django's registration of this app."""

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """The inference add-on service."""

    name = "addon.inference"
    verbose_name = "Inference"
