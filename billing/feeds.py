"""What the services tell of use, brought into the ledger: each feed is read from its mark on, by one reader."""

from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing.ledger import ingest
from billing.models import UsageFeed
from provisioning.services import AddonService, all_services

log = structlog.get_logger(__name__)

READ_MOST = 20_000


@dataclass(frozen=True)
class Collected:
    """What one run brought, by service: records appended; None where another reader was at it."""

    records: dict[str, int | None]


def collect_usage() -> Collected:
    """Bring the ledger up to what every service tells now. One service that fails holds up no other."""
    found: dict[str, int | None] = {}
    for service in all_services().values():
        if not service.usage_units:
            continue
        try:
            found[service.slug] = collect_service(service)
        except Exception:  # whatever a service meets, the others' usage goes on
            log.exception("billing.usage.not_collected", source=service.slug)
            found[service.slug] = 0
    return Collected(found)


def collect_service(service: AddonService) -> int | None:
    """Read one service's feed to its end; the records appended, or None while another reader is at it.

    A batch and its mark are committed together, so a reader that dies leaves nothing half-read.
    """
    records = 0
    UsageFeed.objects.get_or_create(source=service.slug)
    while True:
        with transaction.atomic():
            feed = UsageFeed.objects.select_for_update(skip_locked=True).filter(source=service.slug).first()
            if feed is None:
                return None
            batch = service.read_usage(since=feed.mark, most=READ_MOST)
            result = ingest(service.slug, batch.readings)
            UsageFeed.objects.filter(pk=feed.pk).update(
                mark=batch.mark, read_at=timezone.now(), records=F("records") + result.records
            )
        records += result.records
        if not batch.more:
            return records
