"""Django's registration of this app."""

from django.apps import AppConfig


class SSOConfig(AppConfig):
    """See the package."""

    name = "sso"

    def ready(self) -> None:
        """Give the operators' page of a resource the way to its dashboard."""
        from operators.resource_links import ResourceLink, register
        from operators.roles import Role
        from sso.operators import may_open

        register(
            ResourceLink(
                "dashboard",
                "Open the dashboard, read-only",
                "eye",
                "You see what the customer sees. Nothing can be revealed or changed; your reason stays in the audit.",
                "sso:operator-dashboard",
                may_open,
                frozenset({Role.SUPPORT, Role.OPERATOR, Role.SECURITY}),
            )
        )
