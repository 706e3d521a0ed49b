"""What goes on after a sending: latecomers, mails that came back, reminders, and what became mitigated by itself."""

from collections import defaultdict
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from advisories import delivery, letters
from advisories.models import (
    LIVE_ADVISORY_STATES,
    Advisory,
    Affected,
    Concern,
    Delivery,
    Purpose,
    Recipient,
    Version,
)
from advisories.scope import resources_in
from mail.contacts import people_of
from mail.contacts_reading import ask_soon
from mail.models import MailState
from provisioning.states import GONE_STATES, OperationState

log = structlog.get_logger(__name__)

REMINDER_HOURS = (24, 72, 168)
FORMER_USERS = timedelta(days=365)
"""When everybody's mail came back, also those are written to who opened the dashboard within this time."""
_CAME_BACK = (MailState.BOUNCED, MailState.FAILED)
CHUNK = 500


def follow_all() -> None:
    """One pass over every advisory that is open. Safe to repeat, and beside others."""
    for number in list(Advisory.objects.filter(state__in=LIVE_ADVISORY_STATES).values_list("pk", flat=True)):
        follow(number)


def follow(advisory_id: int) -> None:
    """One pass over one advisory."""
    advisory = Advisory.objects.get(pk=advisory_id)
    add_latecomers(advisory)
    delivery.carry_on(advisory_id)
    add_new_people(advisory)
    write_to_next_contacts(advisory)
    while remind(advisory):
        pass
    note_rotations(advisory)
    delivery.carry_on(advisory_id)


@transaction.atomic
def add_latecomers(advisory: Advisory) -> int:
    """Add resources that came into scope since the sending, marked as late; how many."""
    if delivery.current_version(advisory) is None:
        return 0
    known = advisory.affected.values("resource_id")
    new = list(resources_in(advisory.scope).exclude(pk__in=known).values_list("pk", flat=True))
    Affected.objects.bulk_create(
        [Affected(advisory=advisory, resource_id=number, is_late=True) for number in new],
        ignore_conflicts=True,
    )
    Advisory.objects.filter(pk=advisory.pk).update(scope_checked_at=timezone.now())
    return len(new)


@transaction.atomic
def add_new_people(advisory: Advisory) -> int:
    """Write also to those whom Heroku or the customer has named since; how many concerns that made."""
    rows = list(
        advisory.affected.filter(mitigated_at=None, resource__contacts__added_at__gt=F("people_read_at"))
        .exclude(people_read_at=None)
        .distinct()
        .order_by("pk")[:CHUNK]
    )
    people = people_of([row.resource_id for row in rows])
    added = 0
    for row in rows:
        for person in people[row.resource_id]:
            if set(person.reasons) - {"sso"}:
                added += delivery.add_person(advisory, row, person)
    Affected.objects.filter(pk__in=[row.pk for row in rows]).update(people_read_at=timezone.now())
    return added


@transaction.atomic
def write_to_next_contacts(advisory: Advisory) -> int:
    """For mails that came back: where nobody else of a resource was reached, write to the next contact.

    Next are people Heroku names by now, and former users of the dashboard. When there is nobody left the
    resource is marked for the operator, and Heroku asked anew. How many mails were dealt with.
    """
    came_back = list(
        Delivery.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(recipient__advisory=advisory, followed_up=False, mail__state__in=_CAME_BACK)
        .select_related("recipient")
        .order_by("pk")[:CHUNK]
    )
    recipients = {one.recipient_id for one in came_back}
    rows = list(advisory.affected.filter(concerns__recipient__in=recipients).distinct().order_by("pk"))
    people = people_of([row.resource_id for row in rows], users_within=FORMER_USERS)
    for row in rows:
        concerned = list(
            Recipient.objects.filter(concerns__affected=row).values_list("pk", "address").distinct()
        )
        lost = set(
            Delivery.objects.filter(
                recipient__in=[pk for pk, _ in concerned], mail__state__in=_CAME_BACK
            ).values_list("recipient_id", flat=True)
        )
        if any(pk not in lost for pk, _ in concerned):
            continue
        written = {address for _, address in concerned}
        following = next((one for one in people[row.resource_id] if one.address not in written), None)
        if following:
            delivery.add_person(advisory, row, following)
        ask_soon([row.resource_id], older_than=delivery.CONTACTS_FRESH)
        Affected.objects.filter(pk=row.pk).update(is_unreached=following is None)
    Delivery.objects.filter(pk__in=[one.pk for one in came_back]).update(followed_up=True)
    return len(came_back)


@transaction.atomic
def remind(advisory: Advisory) -> int:
    """Post the next reminder that is due about resources nobody has acknowledged; how many resources that was."""
    version = delivery.current_version(advisory)
    if version is None or version.purpose not in (Purpose.NOTICE, Purpose.UPDATE):
        return 0
    version.advisory = advisory
    for stage, hours in enumerate(REMINDER_HOURS, start=1):
        rows = list(
            Affected.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(
                advisory=advisory,
                acknowledged_at=None,
                mitigated_at=None,
                reminded=stage - 1,
                told_at__lte=timezone.now() - timedelta(hours=hours),
            )
            .exclude(resource__state__in=GONE_STATES)
            .order_by("pk")[:CHUNK]
        )
        if rows:
            _remind(version, rows, hours)
            Affected.objects.filter(pk__in=[row.pk for row in rows]).update(reminded=stage)
            return len(rows)
    return 0


def _remind(version: Version, rows: list[Affected], hours: int) -> None:
    by_recipient: dict[Recipient, list[Concern]] = defaultdict(list)
    concerns = (
        Concern.objects.filter(affected__in=rows)
        .select_related("recipient", "affected__resource__plan")
        .order_by("pk")
    )
    for concern in concerns:
        by_recipient[concern.recipient].append(concern)
    lost = set(
        Delivery.objects.filter(recipient__in=by_recipient, mail__state__in=_CAME_BACK).values_list(
            "recipient_id", flat=True
        )
    )
    written, posted = {}, []
    for recipient, about in by_recipient.items():
        if recipient.pk in lost:
            continue
        occasion = f"reminder-{hours}-{about[0].pk}"
        letter = letters.write(
            version,
            key=f"advisory:{version.advisory.number}:{version.number}:{occasion}:{recipient.pk}",
            to=recipient.email,
            resources=[concern.affected.resource for concern in about],
            reminder_hours=hours,
        )
        written[letter.key] = (recipient, occasion)
        posted.append(letter)
    delivery.record_deliveries(version, posted, written)


def note_rotations(advisory: Advisory) -> int:
    """Where rotating is the remedy, a finished rotation of an affected resource mitigates it; how many did."""
    if not advisory.remedy_is_rotation or advisory.published_at is None:
        return 0
    done = 0
    first_sent = advisory.versions.order_by("number").values_list("sent_at", flat=True)[0]
    rows = advisory.affected.filter(
        mitigated_at=None,
        resource__operations__kind="rotation",
        resource__operations__state=OperationState.SUCCEEDED,
        resource__operations__created_at__gte=first_sent,
    )
    for number in list(rows.distinct().values_list("pk", flat=True)):
        done += acknowledge(number, by="credentials were rotated", mitigated=True)
    return done


def acknowledge(affected_id: int, *, by: str, mitigated: bool = False) -> int:
    """Note who has read the advisory for a resource, and that it is mitigated there. The first one stays; 1 if new."""
    now, who = timezone.now(), by[:200]
    rows = Affected.objects.filter(pk=affected_id)
    new = rows.filter(acknowledged_at=None).update(acknowledged_at=now, acknowledged_by=who)
    if mitigated:
        new = rows.filter(mitigated_at=None).update(mitigated_at=now, mitigated_by=who)
    return new
