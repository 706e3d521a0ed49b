"""Our share of what customers pay: a setting with dates, by service."""

from decimal import Decimal
from fractions import Fraction

from django.db import transaction

from billing.models import MonthClose, RevenueShare
from billing.months import Month
from provisioning import audit
from provisioning.services import Refusal


def share_of(service: str, month: Month) -> Decimal | None:
    """Our percentage in a month; None while none was ever set for it."""
    row = RevenueShare.objects.filter(service=service, since__lte=month.first_day).order_by("-since").first()
    return row.percent if row else None


def net_of(cents: int, percent: Decimal) -> int:
    """Our part of an amount in cents: exact, then rounded once, half to even."""
    return round(Fraction(cents) * Fraction(percent) / 100)


@transaction.atomic
def set_share(*, service: str, since: Month, percent: Decimal, actor: str) -> RevenueShare:
    """Let a share hold from a month on. Refusal when that month is closed: what is frozen was counted with another."""
    if not 0 <= percent <= 100 or percent != round(percent, 2):
        raise Refusal(
            "A share is a percentage from 0 to 100 with at most two decimals.", code="share_invalid"
        )
    if MonthClose.objects.filter(month__gte=since.first_day, closed_at__isnull=False).exists():
        raise Refusal(
            f"{since.label} or a later month is closed. A new share begins with a month that is open.",
            code="month_closed",
        )
    row, _ = RevenueShare.objects.update_or_create(
        service=service, since=since.first_day, defaults={"percent": percent, "set_by": actor}
    )
    audit.record("billing.share_set", actor=actor, service=service, since=str(since), percent=str(percent))
    return row
