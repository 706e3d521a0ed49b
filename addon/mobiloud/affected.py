"""What only MobiLoud can tell about who is affected by a vulnerability: how far a resource's app is."""

from datetime import datetime

from django.db.models import QuerySet

from addon.mobiloud.models import Site, Submission
from advisories.features import Feature


def features() -> list[Feature]:
    """A configuration that apps load, and an app that was submitted for building."""
    return [
        Feature("mobiloud:published", "MobiLoud: published configuration", _published),
        Feature("mobiloud:submission", "MobiLoud: submitted app", _submitted),
    ]


def _published(begin: datetime | None, until: datetime | None) -> "QuerySet[Site, int]":
    sites = Site.objects.exclude(published=None)
    # What was published stays so until the add-on is removed.
    if until:
        sites = sites.filter(created_at__lt=until)
    if begin:
        sites = sites.exclude(ended_at__lt=begin)
    return sites.values_list("resource_id", flat=True)


def _submitted(begin: datetime | None, until: datetime | None) -> "QuerySet[Submission, int]":
    submissions = Submission.objects.exclude(submitted_at=None)
    if until:
        submissions = submissions.filter(submitted_at__lt=until)
    return submissions.values_list("site__resource_id", flat=True)
