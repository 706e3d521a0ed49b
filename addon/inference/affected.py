"""What only Inference can tell about who is affected by a vulnerability: which models a resource has used."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from addon.inference.gateway.catalogue import models
from addon.inference.models import Period, UsageTotal
from advisories.features import Feature


def features() -> list[Feature]:
    """Each model, used or tried, by the day in UTC."""
    return [Feature(f"inference:model:{slug}", f"Inference: model {slug}", _asked(slug)) for slug in models()]


def _asked(slug: str) -> Any:
    def used_by(begin: datetime | None, until: datetime | None) -> "QuerySet[UsageTotal, int]":
        days = UsageTotal.objects.filter(model=slug, period=Period.DAY)
        if begin:
            # The day that `begin` lies in counts whole: better one told too many than one forgotten.
            days = days.filter(start__gte=begin.replace(hour=0, minute=0, second=0, microsecond=0))
        if until:
            days = days.filter(start__lt=until)
        return days.values_list("resource_id", flat=True)

    return used_by
