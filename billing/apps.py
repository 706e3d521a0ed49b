"""Django's registration of this app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Statements, the usage ledger, revenue and payouts."""

    name = "billing"
    verbose_name = "Money"

    def ready(self) -> None:
        """Add the customer's page, the operators' pages, and the words of our events."""
        from billing.concerns import concerns
        from billing.pages import BILLING
        from billing.recount import purge_hours
        from billing.thresholds import near_words
        from operators import navigation, overview
        from operators.roles import Role
        from provisioning import retention
        from sso.events import Told, tell
        from sso.frame import add_page

        add_page(BILLING)
        retention.register("hourly totals of usage", purge_hours)
        overview.register("billing", concerns, Role.FINANCE)
        tell(
            {
                "billing.budget_set": Told(
                    "receipt",
                    lambda d, p: (
                        f"Budget set to ${d['cents'] / 100:,.2f}" if d.get("cents") else "Budget removed"
                    ),
                ),
                "limit.neared": Told("gauge", lambda d, p: near_words(d), "warning", logged=True),
            }
        )
        for number, (label, icon, name) in enumerate(
            (("Revenue", "receipt", "money:revenue"), ("Payouts", "file-export", "money:payouts"))
        ):
            navigation.register(
                "Money", label, icon=icon, url_name=name, roles=(Role.FINANCE,), position=10 + number
            )
