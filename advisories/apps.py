"""Django's registration of this app."""

from django.apps import AppConfig


class AdvisoriesConfig(AppConfig):
    """Security notices and vulnerability reports."""

    name = "advisories"
    verbose_name = "Advisories"

    def ready(self) -> None:
        """Add the pages of customers and operators, and the words of our events."""
        from django.urls import reverse

        from advisories.events import TOLD
        from advisories.reports import late_reports
        from operators import navigation, overview
        from operators.roles import Role
        from provisioning.services import Page
        from sso.events import tell
        from sso.frame import add_page

        add_page(Page("Security", "shield-lock", "advisories:security"))
        tell(TOLD)
        navigation.register(
            "Security",
            "Advisories",
            icon="bell",
            url_name="advisories:operator-list",
            roles=(Role.SECURITY,),
            position=10,
        )
        both = (Role.SECURITY, Role.SUPPORT)
        navigation.register(
            "Security",
            "Vulnerability reports",
            icon="messages",
            url_name="advisories:reports",
            roles=both,
            position=20,
        )
        overview.register(
            "advisories",
            lambda: [
                overview.Concern(
                    "Overdue vulnerability reports",
                    late_reports(),
                    reverse("advisories:reports"),
                    "bad",
                    "An answer or a triage is later than promised.",
                )
            ],
            *both,
        )
