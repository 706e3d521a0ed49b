"""What stands above a dashboard's pages about limits and budgets."""

from collections.abc import Iterable
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from billing.letters import details, headline
from billing.models import LimitNotice
from billing.months import Month
from sso.doors import Dashboard
from sso.frame import Notice

SHOWN = timedelta(days=7)


def notices(dashboard: Dashboard) -> Iterable[Notice]:
    """The latest notice of each limit this month, for a week; not of limits that the service tells of itself."""
    now = timezone.now()
    rows = LimitNotice.objects.filter(
        resource=dashboard.resource,
        month=Month.of(now).first_day,
        plan=dashboard.resource.plan,
        silent=False,
        made_at__gt=now - SHOWN,
    ).exclude(gauge__in=dashboard.service.own_notices)
    told: set[str] = set()
    for row in rows.order_by("-pk"):
        if row.gauge in told:
            continue
        told.add(row.gauge)
        yield Notice(
            {"50": "info", "80": "warning", "pace": "warning", "95": "bad", "100": "bad"}[row.threshold],  # type: ignore[arg-type]
            headline(row),
            f"{details(row)} {row.advice}".strip(),
            link_url=reverse("billing:overview", args=[dashboard.resource.uuid]),
            link_label="See the use",
        )
