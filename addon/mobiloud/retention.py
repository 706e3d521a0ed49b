"""The end of a site: at once what is secret or live, after the retention period the rest."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from addon.mobiloud.models import Answer, Revision, Site, Submission
from provisioning import audit
from provisioning.models import Operation, Resource
from provisioning.states import ResourceState

log = structlog.get_logger(__name__)
_BATCH = 200


@transaction.atomic
def end_site(operation: Operation) -> None:
    """End the apps' address and destroy the form's secrets. Safe to repeat, and without a site nothing happens."""
    site = Site.objects.select_for_update().filter(resource=operation.resource).first()
    if site is None or site.ended_at:
        return
    Answer.objects.filter(submission__site=site).update(secret=None)
    site.ended_at = timezone.now()
    site.save(update_fields=["ended_at"])


def purge_ended() -> int:
    """Delete what customers had entered, of resources removed longer ago than the retention period; how many sites."""
    before = timezone.now() - timedelta(days=settings.DATA_RETENTION_DAYS)
    due = Site.objects.filter(
        purged_at=None,
        resource__state=ResourceState.DEPROVISIONED,
        resource__deprovisioned_at__lte=before,
    ).values_list("pk", flat=True)
    purged = 0
    for site_id in list(due[:_BATCH]):
        with transaction.atomic():
            purged += _purge(site_id)
    return purged


def _purge(site_id: int) -> int:
    site = Site.objects.select_for_update().filter(pk=site_id, purged_at=None).first()
    if site is None:
        return 0
    resource = Resource.objects.get(pk=site.resource_id)
    # Its answers, uploads, signature and notes go with it.
    Submission.objects.filter(site=site).delete()
    site.website, site.found, site.framings, site.icon = "", {}, {}, None
    site.published, site.purged_at = None, timezone.now()
    site.save()
    Revision.objects.filter(site=site).delete()
    audit.record("mobiloud.purged", resource=resource)
    log.info("mobiloud.purged", resource=str(resource.uuid))
    return 1


def erase(resource: Resource) -> dict[str, int]:
    """What the retention would delete, now: how many sites. In the caller's transaction."""
    site = Site.objects.filter(resource=resource).values_list("pk", flat=True).first()
    return {"mobiloud.Site": _purge(site)} if site else {}
