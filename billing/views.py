"""The customer's page in every service's dashboard."""

from decimal import Decimal, InvalidOperation
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone

from billing.csv_files import csv_response
from billing.months import Month
from billing.pages import account, billing_context, months_of, usage_rows
from billing.thresholds import set_budget
from provisioning import audit
from sso.doors import DashboardRequest, dashboard_page, member_required, only
from sso.frame import render_page

_BUDGET_MOST = Decimal(1_000_000)


@only("GET")
@dashboard_page()
def overview(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """The present month, the ones before it, and what was used."""
    context = billing_context(request.dashboard.resource, _month(request))
    return render_page(request, "billing/customer.html", context)


@only("GET")
@dashboard_page()
def usage_csv(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """A month's use by the hour."""
    dashboard = request.dashboard
    month = _month(request) or Month.of(timezone.now())
    audit.record(
        "billing.exported", resource=dashboard.resource, actor=dashboard.session.actor, what=f"usage {month}"
    )
    name = f"{dashboard.service.slug}-usage-{month}.csv"
    return csv_response(
        request, name, ("start", "period", "unit", "quantity"), usage_rows(dashboard.resource, month)
    )


@only("GET")
@dashboard_page()
def history_csv(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """Every month's lines."""
    dashboard, now = request.dashboard, timezone.now()
    audit.record(
        "billing.exported", resource=dashboard.resource, actor=dashboard.session.actor, what="history"
    )
    accounts = (
        account(dashboard.resource, month, now=now) for month in months_of(dashboard.resource, now=now)
    )
    rows = (
        (
            str(each.month),
            "final" if each.final else "estimate",
            line.what,
            line.detail,
            f"{line.cents / 100:.2f}",
        )
        for each in accounts
        for line in (*each.lines, *each.corrections)
    )
    name = f"{dashboard.service.slug}-billing.csv"
    return csv_response(request, name, ("month", "state", "what", "detail", "dollars"), rows)


@only("POST")
@dashboard_page()
@member_required
def budget(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """Set the month's budget in dollars; an empty one removes it."""
    text = request.POST.get("dollars", "").replace("$", "").replace(",", "").strip()
    cents: int | None = None
    if text:
        try:
            dollars = Decimal(text)
        except InvalidOperation:
            dollars = Decimal(-1)
        if not dollars.is_finite() or not 0 < dollars <= _BUDGET_MOST or dollars * 100 % 1:
            message = "Give dollars above 0, with at most two decimals, up to 1,000,000."
            return JsonResponse({"id": "budget_invalid", "message": message}, status=422)
        cents = int(dollars * 100)
    set_budget(request.dashboard.resource, cents=cents, actor=request.dashboard.session.actor)
    message = f"Budget set to ${cents / 100:,.2f} a month." if cents else "Budget removed."
    return JsonResponse({"message": message, "url": reverse("billing:overview", args=[uuid])})


def _month(request: DashboardRequest) -> Month | None:
    try:
        return Month.parse(request.GET.get("month", ""))
    except ValueError:
        return None
