"""The pace that all workers share: slots for mails, and a pause when the server is away."""

from django.conf import settings

from mail.models import Pace
from provisioning import rows

PAUSE_FIRST_SECONDS = 1.0
PAUSE_LONGEST_SECONDS = 60.0


def reserve(number: int) -> float:
    """Take the next `number` slots for this worker; seconds until the first, the others follow at `slot_seconds`.

    Slots that were not used are gone: what is left unused by a worker that dies only slows the others down.
    """
    seconds = number * slot_seconds()
    ensure_row()
    found = rows.execute(
        "UPDATE mail_pace SET next_slot_at = greatest(next_slot_at, clock_timestamp()) + %s * interval '1 second' "
        "WHERE id = 1 RETURNING extract(epoch FROM next_slot_at - clock_timestamp())::float8 - %s",
        [seconds, seconds],
    )
    return max(0.0, float(found[0][0]))


def slot_seconds() -> float:
    """Seconds between two slots."""
    return 1.0 / settings.MAIL_PER_SECOND


def ensure_row() -> None:
    """The one row there is."""
    if not Pace.objects.filter(pk=1).exists():
        Pace.objects.bulk_create([Pace(pk=1)], ignore_conflicts=True)


def is_paused() -> bool:
    """Whether the server is left alone."""
    found = rows.execute("SELECT paused_until > clock_timestamp() FROM mail_pace WHERE id = 1", [])
    return bool(found and found[0][0])


def pause(error: str) -> None:
    """Leave the server alone for a while that doubles with each failure, up to a minute."""
    ensure_row()
    rows.execute(
        "UPDATE mail_pace SET failures = failures + 1, last_error = %s, paused_until = clock_timestamp() + "
        "least(%s * power(2, least(failures, 10)), %s) * interval '1 second' "
        "WHERE id = 1 AND paused_until <= clock_timestamp()",
        [error[:500], PAUSE_FIRST_SECONDS, PAUSE_LONGEST_SECONDS],
    )


def went_well() -> None:
    """The server has answered: the next pause is a short one again."""
    Pace.objects.filter(pk=1, failures__gt=0).update(failures=0, last_error="")
