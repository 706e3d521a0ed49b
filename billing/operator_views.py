"""The operators' pages about money: revenue, shares, closing a month, statements. For the role Finance."""

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from billing import closing, reconciliation, shares
from billing.csv_files import csv_response
from billing.models import Correction, PayoutRow, RevenueShare, Statement
from billing.months import Month
from billing.operator_common import FINANCE, ROWS_AT_ONCE, acted, dollars, exported, known_service
from billing.pages import account
from billing.payouts import read_amount
from billing.revenue import known_months, month_report, open_charges, resource_months
from operators import audit
from operators.doors import OperatorRequest, operator_page, render_operator_page
from provisioning.models import Resource
from provisioning.services import Refusal, all_services

HISTORY_MONTHS = 12


@operator_page(*FINANCE)
def revenue(request: OperatorRequest) -> HttpResponse:
    """Recurring revenue, its movements, gross and net of one month, and the closed months before it."""
    months = known_months()
    month = _chosen(request) or months[0]
    closed = sorted(closing.closed_months(), reverse=True)[:HISTORY_MONTHS]
    context = {
        "report": month_report(month),
        "month": month,
        "months": months,
        "history": [month_report(each) for each in closed],
        "problem": closing.close_problem(month),
        "shares": RevenueShare.objects.all()[:50],
        "services": all_services().values(),
        "first_open": closing.first_open_month(),
    }
    return render_operator_page(request, "billing/operators/revenue.html", context)


@operator_page(*FINANCE)
def revenue_csv(request: OperatorRequest) -> HttpResponse:
    """Every known month by service."""
    exported(request, "revenue")

    def rows() -> Iterator[Sequence[object]]:
        for month in known_months():
            report = month_report(month)
            for each in report.services:
                moves = each.moves
                yield (
                    str(month),
                    each.service,
                    "closed" if report.is_final else "estimate",
                    dollars(each.mrr_begin),
                    *(
                        value
                        for kind in moves
                        for value in (moves[kind].resources, dollars(moves[kind].cents))
                    ),
                    *map(dollars, (each.mrr_end, each.fees, each.usage, each.corrections, each.gross)),
                    each.share if each.share is not None else "",
                    "" if each.net is None else dollars(each.net),
                )

    header = (
        *("month", "service", "state", "mrr_begin"),
        *(f"{kind}{what}" for kind in ("new", "upgraded", "downgraded", "left") for what in ("", "_mrr")),
        *("mrr_end", "plan_fees", "metered_use", "corrections", "gross", "share_percent", "net"),
    )
    return csv_response(request, "revenue.csv", header, rows())


@operator_page(*FINANCE, methods=("POST",))
def share(request: OperatorRequest) -> HttpResponse:
    """Set our share of a service from a month on."""
    service = request.POST.get("service", "")
    month = _month(request.POST.get("since", ""))
    try:
        percent = Decimal(request.POST.get("percent", "").replace("%", "").strip())
    except InvalidOperation:
        percent = Decimal(-1)
    if service not in all_services() or month is None or not percent.is_finite():
        messages.error(request, "Choose a service and a month, and give a percentage from 0 to 100.")
    else:
        try:
            with transaction.atomic():
                before = shares.share_of(service, month)
                row = shares.set_share(
                    service=service, since=month, percent=percent, actor=audit.actor(request.user)
                )
                acted(
                    request,
                    "billing.set_share",
                    row,
                    before={"percent": str(before)},
                    after={"percent": str(percent)},
                )
            messages.success(request, f"Our share of {service} is {percent} % from {month.label} on.")
        except Refusal as refusal:
            messages.error(request, refusal.message)
    return HttpResponseRedirect(f"{reverse('money:revenue')}?month={month or ''}#shares")


@operator_page(*FINANCE, methods=("POST",))
def close(request: OperatorRequest, month: Month) -> HttpResponse:
    """Ask for a month to be closed."""
    try:
        if request.POST.get("confirmation", "").strip() != str(month):
            raise Refusal(f"Type {month} to confirm.", code="not_confirmed")
        with transaction.atomic():
            row = closing.request_close(month, actor=audit.actor(request.user))
            acted(request, "billing.close_month", row)
        messages.success(request, f"{month.label} is being closed. Reload this page in a moment.")
    except Refusal as refusal:
        messages.error(request, refusal.message)
    return HttpResponseRedirect(f"{reverse('money:revenue')}?month={month}")


@operator_page(*FINANCE)
def service_month(request: OperatorRequest, month: Month, service: str) -> HttpResponse:
    """What a service earned in a month: from gross to what Heroku paid, and each resource's part."""
    known = known_service(service)
    query = request.GET.get("q", "").strip()[:100]
    after = request.GET.get("after", "")
    rows, more = resource_months(
        month, service=service, after=int(after) if after.isdecimal() and len(after) < 18 else 0, query=query
    )
    report = month_report(month)
    context = {
        "month": month,
        "service": known,
        "report": report,
        "one": next(each for each in report.services if each.service == service),
        "payout": reconciliation.report(month, service=service),
        "rows": rows,
        "more": more,
        "query": query,
        "corrections": Correction.objects.filter(month=month.first_day, service=service).select_related(
            "resource"
        )[:100],
    }
    return render_operator_page(request, "billing/operators/service_month.html", context)


@operator_page(*FINANCE)
def statements_csv(request: OperatorRequest, month: Month, service: str) -> HttpResponse:
    """Every resource's amounts of a month, frozen or estimated."""
    known_service(service)
    exported(request, f"statements {month} {service}")
    header = ("month", "resource", "name", "app", "state", "plan_fees", "metered_use", "gross", "net")
    return csv_response(request, f"statements-{service}-{month}.csv", header, _statement_rows(month, service))


def _statement_rows(month: Month, service: str) -> Iterator[Sequence[object]]:
    if month in closing.closed_months():
        last = 0
        statements = Statement.objects.filter(month=month.first_day, service=service).select_related(
            "resource"
        )
        while found := list(statements.filter(pk__gt=last).order_by("pk")[:ROWS_AT_ONCE]):
            last = found[-1].pk
            for each in found:
                amounts = (each.fee_cents, each.usage_cents, each.gross_cents, each.net_cents)
                yield (*_named(month, each.resource), "closed", *map(dollars, amounts))
        return
    percent = shares.share_of(service, month)
    until = min(month.end, timezone.now())
    for _, resource, charge in open_charges(month, until=until, service=service):
        net = "" if percent is None else dollars(shares.net_of(charge.cents, percent))
        estimated = (charge.fee_cents, charge.usage_cents, charge.cents)
        yield (*_named(month, resource), "estimate", *map(dollars, estimated), net)


def _named(month: Month, resource: Resource) -> tuple[str, str, str, str]:
    return str(month), str(resource.uuid), resource.name, resource.app_name


@operator_page(*FINANCE)
def resource_month(request: OperatorRequest, month: Month, uuid: UUID) -> HttpResponse:
    """One resource's statement down to its plan periods, with corrections and payouts."""
    resource = get_object_or_404(Resource.objects.select_related("plan"), uuid=uuid)
    statement = Statement.objects.filter(resource=resource, month=month.first_day).first()
    found = reconciliation.items(month, service=resource.service, only=str(resource.uuid))
    context = {
        "month": month,
        "resource": resource,
        "service": all_services()[resource.service],
        "statement": statement,
        "lines": statement.lines.all() if statement else [],
        "account": account(resource, month, now=timezone.now()),
        "periods": resource.plan_periods.select_related("plan").order_by("starts_at"),
        "booked": Correction.objects.filter(resource=resource, month=month.first_day),
        "corrected": Correction.objects.filter(resource=resource, concerns=month.first_day),
        "paid": PayoutRow.objects.filter(resource=resource, month=month.first_day).select_related("file"),
        "items": [(item, reconciliation.explain(item, month)) for item in found],
        "is_closed": month in closing.closed_months(),
    }
    return render_operator_page(request, "billing/operators/resource_month.html", context)


@operator_page(*FINANCE, methods=("POST",))
def correct(request: OperatorRequest, month: Month, uuid: UUID) -> HttpResponse:
    """Book a correction of a closed month."""
    resource = get_object_or_404(Resource, uuid=uuid)
    try:
        cents = _cents(request.POST.get("dollars", ""))
        with transaction.atomic():
            row = closing.book_correction(
                resource,
                concerns=month,
                cents=cents,
                reason=request.POST.get("reason", "")[:1000],
                actor=audit.actor(request.user),
            )
            acted(request, "billing.correct", row, reason=row.reason, after={"cents": cents})
        messages.success(request, f"Booked in {Month.of(row.month).label}.")
    except Refusal as refusal:
        messages.error(request, refusal.message)
    return HttpResponseRedirect(reverse("money:resource-month", args=[month, uuid]))


def _month(text: str) -> Month | None:
    try:
        return Month.parse(text)
    except ValueError:
        return None


def _chosen(request: OperatorRequest) -> Month | None:
    return _month(request.GET.get("month", ""))


def _cents(text: str) -> int:
    try:
        return read_amount(text, amount_in="dollars")
    except ValueError as error:
        raise Refusal(f"Give dollars with at most two decimals: {error}.", code="amount_invalid") from None
