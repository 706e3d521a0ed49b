"""An affected resource's side: what concerns it, and what its people answer."""

from django.db import transaction

from advisories.delivery import current_version
from advisories.following import acknowledge
from advisories.models import TOLD_STATES, Advisory, AdvisoryState, Affected, Version
from provisioning import audit
from provisioning.models import Resource
from provisioning.services import Refusal

_RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3, "none": 4}


def advisories_of(resource: Resource) -> list[tuple[Affected, Version]]:
    """Every advisory that was sent about a resource with its newest version, the newest first."""
    rows = Affected.objects.filter(resource=resource, advisory__state__in=TOLD_STATES).select_related(
        "advisory"
    )
    found = []
    for row in rows.order_by("-advisory_id"):
        version = current_version(row.advisory)
        if version is not None:
            version.advisory = row.advisory
            found.append((row, version))
    return found


def open_advisories(resource: Resource) -> list[tuple[Affected, Version]]:
    """Those that wait for somebody: not acknowledged, or critical and not mitigated; the worst first."""
    waiting = [
        (row, version)
        for row, version in advisories_of(resource)
        if row.advisory.state not in (AdvisoryState.RESOLVED, AdvisoryState.WITHDRAWN)
        and row.mitigated_at is None
        and (row.acknowledged_at is None or version.severity == "critical")
    ]
    return sorted(waiting, key=lambda pair: _RANK[pair[1].severity])


@transaction.atomic
def answer(resource: Resource, *, number: str, actor: str, mitigated: bool) -> bool:
    """Note that somebody has read an advisory, or mitigated it; False when it was noted before. Refusal if unknown."""
    row = (
        Affected.objects.select_for_update(of=("self",))
        .filter(resource=resource, advisory__number=number, advisory__state__in=TOLD_STATES)
        .first()
    )
    if row is None:
        raise Refusal("This security notice does not concern the add-on.", code="not_affected")
    new = bool(acknowledge(row.pk, by=actor, mitigated=mitigated))
    if new:
        event = "advisory.mitigated" if mitigated else "advisory.acknowledged"
        audit.record(event, resource=resource, actor=actor, advisory=number)
    return new


def public_advisories() -> list[Advisory]:
    """Those cleared for everybody, the newest first."""
    return list(Advisory.objects.filter(is_public=True, published_at__isnull=False).order_by("-published_at"))
