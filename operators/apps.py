"""Django's registration of this app."""

from django.apps import AppConfig


class OperatorsConfig(AppConfig):
    """See the package."""

    name = "operators"
    verbose_name = "Operators"

    def ready(self) -> None:
        """Say what the roles may do with our own rows, and where our pages are."""
        from operators import navigation
        from operators.roles import Role, grant, restrict_view

        for model in ("auth.user", "operators.event"):
            restrict_view(model, Role.SECURITY)
        for permission in ("auth.add_user", "auth.change_user"):
            grant(permission, Role.SECURITY)
        navigation.register(
            "Security",
            "Operators",
            icon="users-group",
            url_name="admin:auth_user_changelist",
            roles=(Role.SECURITY,),
        )
        navigation.register(
            "Security",
            "Operators' actions",
            icon="list-details",
            url_name="admin:operators_event_changelist",
            roles=(Role.SECURITY,),
        )
