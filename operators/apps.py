"""Django's registration of this app."""

from django.apps import AppConfig


class OperatorsConfig(AppConfig):
    """See the package."""

    name = "operators"
    verbose_name = "Operators"

    def ready(self) -> None:
        """Say what the roles may do with our own rows, and where our pages are."""
        from operators import accounts, concerns, navigation, overview
        from operators.resource_links import ResourceLink
        from operators.resource_links import register as register_link
        from operators.roles import Role, grant, restrict_view
        from provisioning import retention

        register_link(
            ResourceLink(
                "export",
                "Export the customer's data",
                "download",
                "A file with every row that belongs to this add-on, without secrets.",
                "operators:export-data",
                lambda resource: True,
                frozenset({Role.SECURITY}),
            )
        )

        retention.register("operators' sessions", accounts.purge_sessions)

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
