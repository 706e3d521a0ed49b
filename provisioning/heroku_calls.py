"""What we asked Heroku about a resource, kept for the people who look into it later. Best effort: never in the way."""

from datetime import timedelta

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from provisioning import audit
from provisioning.masking import mask_text
from provisioning.models import HerokuCall, Resource

log = structlog.get_logger(__name__)

HEROKU_CALLS_KEPT = timedelta(days=30)


def note(resource: Resource, *, method: str, path: str, status: int, error: str, seconds: float) -> None:
    """Write one call down. What goes wrong with that is logged, and the caller goes on."""
    try:
        # A savepoint where there is a transaction: a failed insert must not break the caller's.
        with transaction.atomic():
            HerokuCall.objects.create(
                resource=resource,
                method=method,
                path=mask_text(path)[:200],
                status=status,
                error=error[:80],
                milliseconds=int(seconds * 1000),
                correlation_id=audit.correlation_id(),
            )
    except DatabaseError as failure:
        log.warning("heroku_call.not_noted", error=type(failure).__name__)


def purge(*, batch: int = 10_000) -> int:
    """Delete calls older than `HEROKU_CALLS_KEPT`, some at a time; how many there were."""
    total = 0
    while True:
        old = HerokuCall.objects.filter(at__lt=timezone.now() - HEROKU_CALLS_KEPT).values("pk")[:batch]
        deleted, _ = HerokuCall.objects.filter(pk__in=old).delete()
        total += deleted
        if deleted < batch:
            return total
