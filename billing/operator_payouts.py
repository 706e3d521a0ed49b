"""The operators' pages about Heroku's payouts: import, formats, and each month's differences."""

from collections.abc import Iterator, Sequence

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Sum
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse

from billing import payouts as payout_files
from billing import reconciliation
from billing.csv_files import csv_response
from billing.models import PayoutFile, PayoutFormat, PayoutRow
from billing.months import Month
from billing.operator_common import FINANCE, ROWS_AT_ONCE, acted, dollars, exported, known_service
from billing.payouts import Mapping
from billing.reconciliation import Kind
from billing.revenue import month_report
from operators import audit
from operators.doors import OperatorRequest, operator_page, render_operator_page
from provisioning.services import Refusal, all_services


@operator_page(*FINANCE, methods=("GET", "POST"))
def payouts(request: OperatorRequest) -> HttpResponse:
    """Import a payout file; the files and formats there are, and the months that can be compared."""
    if request.method == "POST":
        return _import(request)
    months = PayoutRow.objects.order_by("-month", "service").values_list("month", "service").distinct()[:60]
    context = {
        "formats": PayoutFormat.objects.all(),
        "files": PayoutFile.objects.select_related("format")[:50],
        "reports": [
            reconciliation.report(Month.of(month), service=service)
            for month, service in months
            if service in all_services()
        ],
        "unknown": PayoutRow.objects.exclude(service__in=all_services()).order_by("-month")[:50],
        "fields": Mapping.model_fields.items(),
    }
    return render_operator_page(request, "billing/operators/payouts.html", context)


def _import(request: OperatorRequest) -> HttpResponse:
    upload = request.FILES.get("file")
    chosen = request.POST.get("format", "")
    known = PayoutFormat.objects.filter(
        pk=int(chosen) if chosen.isdecimal() and len(chosen) < 9 else 0
    ).first()
    if upload is None or known is None:
        messages.error(request, "Choose a file and the format it is in.")
    elif upload.size is None or upload.size > payout_files.LARGEST_BYTES:
        messages.error(request, "The file is larger than 20 MB. Split it by month.")
    else:
        try:
            with transaction.atomic():
                done = payout_files.import_payouts(
                    upload.read(),
                    name=upload.name or "",
                    payout_format=known,
                    actor=audit.actor(request.user),
                )
                acted(request, "billing.import_payouts", done.file, after={"repeated": done.repeated})
            if done.repeated:
                messages.info(
                    request, f"This file was imported before, as {done.file.name}: nothing changed."
                )
            else:
                messages.success(
                    request, f"{done.file.new_rows} of {done.file.rows} rows were new and are imported."
                )
        except Refusal as refusal:
            messages.error(request, refusal.message)
    return HttpResponseRedirect(reverse("money:payouts"))


@operator_page(*FINANCE, methods=("POST",))
def payout_format(request: OperatorRequest) -> HttpResponse:
    """Save what the columns of a payout file mean."""
    mapping = {key: request.POST.get(key, "").strip() for key in Mapping.model_fields}
    try:
        with transaction.atomic():
            row = payout_files.save_format(
                name=request.POST.get("name", ""), mapping=mapping, actor=audit.actor(request.user)
            )
            acted(request, "billing.save_payout_format", row, after=row.mapping)
        messages.success(request, f"Format {row.name} is saved.")
    except Refusal as refusal:
        messages.error(request, refusal.message)
    return HttpResponseRedirect(reverse("money:payouts"))


@operator_page(*FINANCE)
def payout(request: OperatorRequest, month: Month, service: str) -> HttpResponse:
    """Heroku's payout of a month beside our statements, with what explains each difference."""
    known = known_service(service)
    kind = request.GET.get("kind", "")
    kind = kind if kind in set(Kind) else ""
    page = request.GET.get("page", "")
    number = int(page) if page.isdecimal() and len(page) < 6 else 0
    found = reconciliation.items(
        month,
        service=service,
        kind=kind,
        offset=number * reconciliation.PAGE,
        limit=reconciliation.PAGE + 1,
    )
    report = month_report(month)
    context = {
        "month": month,
        "service": known,
        "payout": reconciliation.report(month, service=service),
        "one": next(each for each in report.services if each.service == service),
        "unknown": PayoutRow.objects.filter(month=month.first_day)
        .exclude(service__in=all_services())
        .aggregate(rows=Count("pk"), cents=Sum("cents")),
        "kind": kind,
        "kinds": list(Kind),
        "items": [(item, reconciliation.explain(item, month)) for item in found[: reconciliation.PAGE]],
        "next_page": number + 1 if len(found) > reconciliation.PAGE else None,
    }
    return render_operator_page(request, "billing/operators/payout.html", context)


@operator_page(*FINANCE)
def payout_csv(request: OperatorRequest, month: Month, service: str) -> HttpResponse:
    """Every item of a reconciliation."""
    known_service(service)
    exported(request, f"payout {month} {service}")

    def rows() -> Iterator[Sequence[object]]:
        offset = 0
        while found := reconciliation.items(month, service=service, offset=offset, limit=ROWS_AT_ONCE):
            offset += len(found)
            for each in found:
                note = each.resolution
                yield (
                    *(str(month), service, each.reference, each.resource.name if each.resource else ""),
                    each.kind.value,
                    *("" if cents is None else dollars(cents) for cents in (each.expected, each.paid)),
                    dollars(each.difference),
                    *((note.note, note.resolved_by) if note else ("", "")),
                )

    header = (
        *("month", "service", "resource", "name", "class", "expected", "paid", "difference"),
        *("note", "resolved_by"),
    )
    return csv_response(request, f"payout-{service}-{month}.csv", header, rows())


@operator_page(*FINANCE, methods=("POST",))
def resolve(request: OperatorRequest, month: Month, service: str) -> HttpResponse:
    """Put a note on a difference."""
    known_service(service)

    def cents(name: str) -> int | None:
        text = request.POST.get(name, "")
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 18 else None

    try:
        with transaction.atomic():
            row = reconciliation.resolve(
                month,
                service=service,
                reference=request.POST.get("reference", ""),
                expected=cents("expected"),
                paid=cents("paid"),
                note=request.POST.get("note", ""),
                actor=audit.actor(request.user),
            )
            acted(request, "billing.resolve_difference", row, reason=row.note)
        messages.success(request, "The note is kept with the difference.")
    except Refusal as refusal:
        messages.error(request, refusal.message)
    return HttpResponseRedirect(reverse("money:payout", args=[month, service]))
