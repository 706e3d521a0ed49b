"""Django's registration of this app."""

from django.apps import AppConfig


class SSOConfig(AppConfig):
    """See the package."""

    name = "sso"

    def ready(self) -> None:
        """Give the operators' page of a resource the way to its dashboard; register what is deleted when it is old."""
        from operators.resource_links import ResourceLink, register
        from operators.roles import Role
        from provisioning import retention
        from sso.login import purge_used_tokens
        from sso.operators import may_open
        from sso.sessions import purge_sessions

        retention.register("dashboard sessions", purge_sessions)
        retention.register("used login tokens", purge_used_tokens)

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
