"""What the operators' overview tells the role Finance."""

from collections.abc import Iterable

from django.urls import reverse

from billing.closing import close_problem, first_open_month
from billing.models import MonthClose
from operators.overview import Concern


def concerns() -> Iterable[Concern]:
    """A month that waits to be closed, and closes that do not come through."""
    month = first_open_month()
    url = f"{reverse('money:revenue')}?month={month}"
    waiting = not MonthClose.objects.filter(month=month.first_day).exists() and not close_problem(month)
    yield Concern("Month to close", int(waiting), url, "warning", f"{month.label} is over.")
    failed = MonthClose.objects.filter(closed_at=None).exclude(last_error="").count()
    yield Concern(
        "Month whose close fails", failed, url, "bad", "It is tried again every quarter of a minute."
    )
