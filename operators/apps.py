"""Django's registration of this app."""

from django.apps import AppConfig


class OperatorsConfig(AppConfig):
    """See the package."""

    name = "operators"
    verbose_name = "Operators"

    def ready(self) -> None:
        """Say what the roles may do with our own rows, and where our pages are."""
        from operators import concerns, navigation, overview
        from operators.roles import Role, grant, restrict_view

        for model in ("auth.user", "operators.event"):
            restrict_view(model, Role.SECURITY)
        for permission in ("auth.add_user", "auth.change_user"):
            grant(permission, Role.SECURITY)
        for section, label, icon, model in (
            ("Customers", "Resources", "box", "resource"),
            ("Customers", "Operations", "loader-2", "operation"),
            ("Service", "Plans", "list-details", "plan"),
            ("Records", "Audit", "history", "auditevent"),
            ("Records", "Calls to Heroku", "arrow-up-right", "herokucall"),
            ("Records", "Plan periods", "clock", "planperiod"),
        ):
            navigation.register(
                section, label, icon=icon, url_name=f"admin:provisioning_{model}_changelist", position=10
            )
        overview.register("ground", concerns.concerns)
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
