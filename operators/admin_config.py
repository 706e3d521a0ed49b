"""Django's registration of the one admin site."""

from django.contrib.admin.apps import AdminConfig


class OperatorsAdminConfig(AdminConfig):
    """Django's admin with our site as the default one: every app's `admin.py` registers there."""

    default_site = "operators.site.OperatorsSite"
