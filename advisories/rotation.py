"""Forcing new credentials on every affected resource, with the overlap of any rotation."""

from typing import TYPE_CHECKING

import structlog
from django.db import transaction
from django.utils import timezone

from advisories.models import LIVE_ADVISORY_STATES, Advisory, Affected
from operators import audit
from operators.audit import actor
from operators.models import Event
from provisioning.rotation import rotate_credentials
from provisioning.services import Refusal
from provisioning.wakeups import wake_task

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)


@transaction.atomic
def force_rotation(advisory_id: int, *, operator: "User", reason: str) -> int:
    """Rotate the credentials of every affected resource that was not mitigated; how many will be.

    The former credentials stay valid for the usual overlap. Only resources that were not asked for yet are: a second
    click changes nothing. Refusal without a reason, or when the advisory is not published.
    """
    advisory = Advisory.objects.select_for_update(of=("self",)).get(pk=advisory_id)
    if advisory.state not in LIVE_ADVISORY_STATES:
        raise Refusal("Credentials can be rotated for all once the advisory is sent.", code="not_published")
    if not reason.strip():
        raise Refusal("Say why everybody's credentials are rotated.", code="reason_needed")
    wanted = advisory.affected.filter(rotation_wanted_at=None, mitigated_at=None).update(
        rotation_wanted_at=timezone.now()
    )
    audit.record(
        "advisory.rotation_forced",
        operator=operator,
        obj=advisory,
        reason=reason,
        after={"resources": wanted},
    )
    wake_task("advisories.rotate", advisory.pk, queue_name="notices")
    return wanted


def carry_out(advisory_id: int, *, most: int = 200) -> int:
    """Start some of the rotations that are wanted; how many rows were taken. Safe to repeat, and beside others."""
    wanted = Affected.objects.filter(
        advisory_id=advisory_id, rotation=None, rotation_problem="", mitigated_at=None
    ).exclude(rotation_wanted_at=None)
    taken = 0
    for number in list(wanted.order_by("pk").values_list("pk", flat=True)[:most]):
        taken += _rotate(number)
    return taken


@transaction.atomic
def _rotate(affected_id: int) -> int:
    row = (
        Affected.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(pk=affected_id, rotation=None, rotation_problem="")
        .select_related("advisory")
        .first()
    )
    if row is None:
        return 0
    event = Event.objects.filter(action="advisory.rotation_forced", object_id=str(row.advisory_id)).last()
    by = actor(event.operator) if event and event.operator else "system"
    try:
        with transaction.atomic():
            row.rotation = rotate_credentials(row.resource_id, requested_by=by)
    except Refusal as refusal:
        row.rotation_problem = refusal.message[:300]
    row.save(update_fields=["rotation", "rotation_problem"])
    return 1


def carry_out_all() -> None:
    """`carry_out` for every advisory that has wanted rotations left."""
    open_rows = Affected.objects.filter(rotation=None, rotation_problem="", mitigated_at=None).exclude(
        rotation_wanted_at=None
    )
    for number in set(open_rows.values_list("advisory_id", flat=True)):
        carry_out(number)
