"""Sending a version: freeze who is affected, find their people, write one mail to each. Every step may run again."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from advisories import letters
from advisories.models import (
    LIVE_ADVISORY_STATES,
    Advisory,
    AdvisoryState,
    Affected,
    Concern,
    Delivery,
    Purpose,
    Recipient,
    Version,
    VersionState,
)
from advisories.scope import resources_in
from mail import outbox
from mail.contacts import Person, bounced_lately, people_of
from mail.contacts_reading import ask_soon
from mail.models import OPEN_STATES, Mail
from operators import audit
from provisioning.models import Resource
from provisioning.services import Refusal
from provisioning.wakeups import wake_task

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)

CHUNK = 200
"""So many at once that a killed worker loses a second's work, not more."""
CONTACTS_FRESH = timedelta(hours=1)


@transaction.atomic
def send(version_id: int, *, operator: "User") -> Version:
    """Begin to send an approved version. A second call finds it begun.

    The scope is frozen here at the first one: those who come into it later are added, and marked. Refusal unless the
    version was approved by a second operator.
    """
    advisory_id = Version.objects.values_list("advisory_id", flat=True).get(pk=version_id)
    advisory = Advisory.objects.select_for_update(of=("self",)).get(pk=advisory_id)
    version = Version.objects.select_for_update(of=("self",)).get(pk=version_id)
    if version.state in (VersionState.SENDING, VersionState.PUBLISHED):
        return version
    if version.state != VersionState.APPROVED:
        raise Refusal("A second operator has to approve this version before it is sent.", code="not_approved")
    now = timezone.now()
    if version.number == 1:
        Affected.objects.bulk_create(
            [
                Affected(advisory=advisory, resource_id=number)
                for number in resources_in(advisory.scope).values_list("pk", flat=True)
            ],
            batch_size=2000,
            ignore_conflicts=True,
        )
    else:
        # Everybody who was written to before is written to again.
        advisory.recipients.update(has_news=True)
        if version.purpose == Purpose.UPDATE:
            advisory.affected.filter(mitigated_at=None).update(
                acknowledged_at=None, acknowledged_by="", reminded=0, told_at=None
            )
    version.state, version.sent_by, version.sent_at = VersionState.SENDING, operator, now
    version.save(update_fields=["state", "sent_by", "sent_at"])
    advisory.state, advisory.scope_checked_at = AdvisoryState.SENDING, now
    advisory.save(update_fields=["state", "scope_checked_at"])
    audit.record(
        "advisory.sent",
        operator=operator,
        obj=advisory,
        after={"version": version.number, "affected": advisory.affected.count()},
    )
    wake_task("advisories.carry_on", advisory.pk, queue_name="notices")
    return version


def send_test(version_id: int, *, operator: "User", to: str) -> Mail:
    """Mail a version to an operator as its first affected customer would get it, marked as a test."""
    version = Version.objects.select_related("advisory").get(pk=version_id)
    sample = list(resources_in(version.advisory.scope).select_related("plan")[:2])
    with transaction.atomic():
        number = Mail.objects.filter(key__startswith=f"advisory-test:{version.pk}:").count() + 1
        letter = letters.write(
            version, key=f"advisory-test:{version.pk}:{number}", to=to, resources=sample, test=True
        )
        outbox.post_all([letter])
        audit.record(
            "advisory.tested", operator=operator, obj=version.advisory, after={"version": version.number}
        )
    return Mail.objects.get(key=letter.key)


@dataclass(frozen=True)
class DryRun:
    """Whom a sending would reach as things stand."""

    resources: int
    people: int
    """Each of them gets one mail."""
    without_people: int
    """Resources that Heroku and the customer named nobody for."""
    came_back: int
    """People whose newest mail from us came back."""


def dry_run(advisory: Advisory) -> DryRun:
    """Whom the next version would be mailed to. Nothing is written or sent."""
    numbers = set(resources_in(advisory.scope).values_list("pk", flat=True))
    numbers |= set(advisory.affected.values_list("resource_id", flat=True))
    listed = people_of(numbers)
    addresses = {person.address for found in listed.values() for person in found}
    return DryRun(
        resources=len(numbers),
        people=len(addresses),
        without_people=sum(not found for found in listed.values()),
        came_back=len(bounced_lately(addresses)),
    )


def carry_on(advisory_id: int) -> None:
    """Take an advisory's sending as far as it goes now. Any number may run at once, and each may die anywhere."""
    advisory = Advisory.objects.filter(pk=advisory_id, state__in=LIVE_ADVISORY_STATES).first()
    if advisory is None:
        return
    while _find_people(advisory):
        pass
    while write_news(advisory):
        pass
    _finish(advisory_id)


def current_version(advisory: Advisory) -> Version | None:
    """The newest version that was sent, or is being sent."""
    return (
        advisory.versions.filter(state__in=(VersionState.SENDING, VersionState.PUBLISHED))
        .order_by("number")
        .last()
    )


@transaction.atomic
def _find_people(advisory: Advisory) -> int:
    """Make recipients of the people of some affected resources; how many resources that were."""
    rows = list(
        Affected.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(advisory=advisory, people_read_at=None)
        .order_by("pk")[:CHUNK]
    )
    if not rows:
        return 0
    numbers = [row.resource_id for row in rows]
    people = people_of(numbers)
    ask_soon(numbers, older_than=CONTACTS_FRESH)
    _concern(advisory, [(row, person) for row in rows for person in people[row.resource_id]])
    Affected.objects.filter(pk__in=[row.pk for row in rows]).update(people_read_at=timezone.now())
    return len(rows)


def _concern(advisory: Advisory, pairs: Iterable[tuple[Affected, Person]]) -> int:
    """Let these people be written to about these resources; how many were not yet."""
    by_address: dict[str, list[tuple[Affected, Person]]] = defaultdict(list)
    for row, person in pairs:
        by_address[person.address].append((row, person))
    Recipient.objects.bulk_create(
        [
            Recipient(advisory=advisory, address=address, email=found[0][1].email)
            for address, found in sorted(by_address.items())
        ],
        ignore_conflicts=True,
    )
    recipients = {
        recipient.address: recipient
        for recipient in Recipient.objects.filter(advisory=advisory, address__in=by_address)
    }
    wanted = [
        Concern(recipient=recipients[address], affected=row, reason=", ".join(person.reasons)[:60])
        for address, found in by_address.items()
        for row, person in found
    ]
    known = set(
        Concern.objects.filter(
            recipient__in=recipients.values(), affected__in=[one.affected for one in wanted]
        ).values_list("recipient_id", "affected_id")
    )
    new = [one for one in wanted if (one.recipient_id, one.affected_id) not in known]
    Concern.objects.bulk_create(new, ignore_conflicts=True)
    Recipient.objects.filter(pk__in={one.recipient_id for one in new}).update(has_news=True)
    return len(new)


def add_person(advisory: Advisory, affected: Affected, person: Person) -> bool:
    """Write to this person too about this resource; False when that was so already."""
    return bool(_concern(advisory, [(affected, person)]))


@transaction.atomic
def write_news(advisory: Advisory) -> int:
    """Post the mails of some recipients who have news; how many recipients that were.

    Not before the people of every affected resource are known: a person gets one mail, not one for each resource.
    """
    version = current_version(advisory)
    if version is None or advisory.affected.filter(people_read_at=None).exists():
        return 0
    version.advisory = advisory
    recipients = list(
        Recipient.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(advisory=advisory, has_news=True)
        .order_by("pk")[:CHUNK]
    )
    if not recipients:
        return 0
    untold: dict[int, list[Concern]] = defaultdict(list)
    concerns = (
        Concern.objects.filter(recipient__in=recipients, told__lt=version.number)
        .select_related("affected__resource__plan")
        .order_by("pk")
    )
    for concern in concerns:
        untold[concern.recipient_id].append(concern)
    had_notice = set(
        Delivery.objects.filter(recipient__in=recipients, version=version, occasion="notice").values_list(
            "recipient_id", flat=True
        )
    )
    written: dict[str, tuple[Recipient, str]] = {}
    posted = []
    for recipient in recipients:
        about = untold.get(recipient.pk)
        if not about:
            continue
        occasion = f"late-{about[0].pk}" if recipient.pk in had_notice else "notice"
        letter = letters.write(
            version,
            key=f"advisory:{advisory.number}:{version.number}:{occasion}:{recipient.pk}",
            to=recipient.email,
            resources=[concern.affected.resource for concern in about],
        )
        written[letter.key] = (recipient, occasion)
        posted.append(letter)
    record_deliveries(version, posted, written)
    told = [concern for found in untold.values() for concern in found]
    Concern.objects.filter(pk__in=[concern.pk for concern in told]).update(told=version.number)
    Affected.objects.filter(pk__in={concern.affected_id for concern in told}, told_at=None).update(
        told_at=timezone.now()
    )
    Recipient.objects.filter(pk__in=[recipient.pk for recipient in recipients]).update(has_news=False)
    return len(recipients)


def record_deliveries(
    version: Version, posted: "list[outbox.Letter]", written: dict[str, tuple[Recipient, str]]
) -> None:
    """Post letters and keep which of them went to whom, in the caller's transaction."""
    outbox.post_all(posted)
    mails: QuerySet[Mail] = outbox.find(written)
    Delivery.objects.bulk_create(
        [
            Delivery(recipient=written[key][0], version=version, occasion=written[key][1], mail_id=number)
            for key, number in mails.values_list("key", "pk")
        ],
        ignore_conflicts=True,
    )


@transaction.atomic
def _finish(advisory_id: int) -> None:
    """The version is published once nothing of it waits to be handed over for the first time."""
    advisory = Advisory.objects.select_for_update(of=("self",)).get(pk=advisory_id)
    version = current_version(advisory)
    if version is None or version.state != VersionState.SENDING:
        return
    if (
        advisory.affected.filter(people_read_at=None).exists()
        or advisory.recipients.filter(has_news=True).exists()
    ):
        return
    if version.deliveries.filter(mail__state__in=OPEN_STATES, mail__attempt=0).exists():
        return
    now = timezone.now()
    version.state, version.published_at = VersionState.PUBLISHED, now
    version.save(update_fields=["state", "published_at"])
    advisory.state = {
        Purpose.NOTICE: AdvisoryState.PUBLISHED,
        Purpose.UPDATE: AdvisoryState.UPDATED,
        Purpose.ALL_CLEAR: AdvisoryState.RESOLVED,
        Purpose.WITHDRAWAL: AdvisoryState.WITHDRAWN,
    }[Purpose(version.purpose)]
    advisory.published_at = advisory.published_at or now
    advisory.updated_at = now
    if version.purpose in (Purpose.ALL_CLEAR, Purpose.WITHDRAWAL):
        advisory.closed_at = now
    advisory.save()
    log.info("advisory.published", advisory=advisory.number, version=version.number)


def sample_of(advisory: Advisory, number: int = 10) -> tuple[int, list[Resource]]:
    """How many resources the scope means now, and some of them."""
    found = resources_in(advisory.scope)
    return found.count(), list(found.select_related("plan")[:number])
