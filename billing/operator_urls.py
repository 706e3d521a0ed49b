"""Addresses of the operators' pages about money."""

from django.urls import path, register_converter

from billing import operator_payouts, operator_views
from billing.months import Month


class MonthConverter:
    """`2026-03` in an address."""

    regex = r"\d{4}-(?:0[1-9]|1[0-2])"

    def to_python(self, value: str) -> Month:
        """ValueError, and so 404, for a year that is none."""
        return Month.parse(value)

    def to_url(self, value: Month | str) -> str:
        """As it is read."""
        return str(value)


register_converter(MonthConverter, "month")

app_name = "money"
_ONE = "<month:month>/<slug:service>/"
urlpatterns = [
    path("revenue/", operator_views.revenue, name="revenue"),
    path("revenue.csv", operator_views.revenue_csv, name="revenue-csv"),
    path("payouts/", operator_payouts.payouts, name="payouts"),
    path("payouts/format", operator_payouts.payout_format, name="payout-format"),
    path("share", operator_views.share, name="share"),
    path("<month:month>/close", operator_views.close, name="close"),
    path(_ONE, operator_views.service_month, name="service-month"),
    path(f"{_ONE}statements.csv", operator_views.statements_csv, name="statements-csv"),
    path(f"{_ONE}payout/", operator_payouts.payout, name="payout"),
    path(f"{_ONE}payout.csv", operator_payouts.payout_csv, name="payout-csv"),
    path(f"{_ONE}payout/resolve", operator_payouts.resolve, name="resolve"),
    path("<month:month>/resource/<uuid:uuid>/", operator_views.resource_month, name="resource-month"),
    path("<month:month>/resource/<uuid:uuid>/correct", operator_views.correct, name="correct"),
]
