"""Reading the people of a resource's app from Heroku into rows."""

from collections.abc import Iterable
from datetime import timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from mail.contacts import can_be_mailed
from mail.models import Contact, ContactReading, ContactSource
from provisioning import platform_api
from provisioning.models import Resource
from provisioning.names import keep_names
from provisioning.platform_api import ResourceGone
from provisioning.services import Fault, Unrecoverable, Wait
from provisioning.states import LIVE_STATES

log = structlog.get_logger(__name__)

READ_EVERY = timedelta(days=1)
AT_ONCE = 100
_BACKOFF_FIRST = timedelta(minutes=5)


def read_contacts(resource: Resource) -> bool:
    """Ask Heroku for owner, collaborators and team members of the resource's app, and bring the rows in line.

    False when Heroku could not be asked: the rows stay as they are, and it is tried again later.
    """
    try:
        found = _ask(resource)
    except (Fault, Wait, Unrecoverable, ResourceGone) as error:
        _note_failure(resource, error)
        return False
    with transaction.atomic():
        reading, _ = ContactReading.objects.select_for_update().get_or_create(resource=resource)
        _bring_in_line(resource, found)
        now = timezone.now()
        reading.read_at, reading.next_attempt_at, reading.attempt, reading.last_error = (
            now,
            now + READ_EVERY,
            0,
            "",
        )
        reading.save()
    return True


def read_due() -> int:
    """Read the contacts of some live resources whose time has come; how many were tried."""
    new = (
        Resource.objects.filter(state__in=LIVE_STATES, contact_reading=None)
        .order_by("pk")
        .values_list("pk", flat=True)[:AT_ONCE]
    )
    ContactReading.objects.bulk_create(
        [ContactReading(resource_id=number) for number in new], ignore_conflicts=True
    )
    return _read_some(
        ContactReading.objects.filter(
            resource__state__in=LIVE_STATES, next_attempt_at__lte=timezone.now()
        ).values_list("resource_id", flat=True)
    )


def _read_some(numbers: Iterable[int]) -> int:
    tried = 0
    for number in list(numbers)[:AT_ONCE]:
        # Whoever moves the row's time on reads: two workers never ask for the same resource.
        taken = ContactReading.objects.filter(resource_id=number, next_attempt_at__lte=timezone.now()).update(
            next_attempt_at=timezone.now() + _BACKOFF_FIRST
        )
        if taken:
            read_contacts(Resource.objects.get(pk=number))
            tried += 1
    return tried


def ask_soon(resource_ids: Iterable[int], *, older_than: timedelta) -> int:
    """Let the contacts that were read longer ago than this be read anew as soon as possible; how many those are."""
    numbers = list(resource_ids)
    ContactReading.objects.bulk_create(
        [ContactReading(resource_id=number) for number in numbers], ignore_conflicts=True
    )
    return (
        ContactReading.objects.filter(resource_id__in=numbers)
        .exclude(read_at__gt=timezone.now() - older_than)
        .update(next_attempt_at=timezone.now())
    )


def _ask(resource: Resource) -> dict[str, ContactSource]:
    """Addresses by what they are; Heroku's own words decide. The names that mails tell are kept on the way."""
    if not resource.app_id:
        keep_names(resource, addon=platform_api.read_addon(resource))
    app = resource.app_id
    if not app:
        raise Fault("Heroku did not say which app the add-on belongs to")
    described = platform_api.read_app(resource, app)
    keep_names(resource, app=described)
    found: dict[str, ContactSource] = {}
    try:
        for one in platform_api.read_collaborators(resource, app):
            owner = one.get("role") == "owner"
            found[str(one["user"]["email"])] = ContactSource.OWNER if owner else ContactSource.COLLABORATOR
        if owner_email := (described.get("owner") or {}).get("email"):
            found[str(owner_email)] = ContactSource.OWNER
        team = (described.get("team") or {}).get("name")
    except (TypeError, KeyError, AttributeError):
        raise Fault("the app or the collaborators that Heroku answered cannot be read") from None
    if team:
        found = {**_team_members(resource, str(team)), **found}
    return {email: source for email, source in found.items() if can_be_mailed(email)}


def _team_members(resource: Resource, team: str) -> dict[str, ContactSource]:
    """The members of the team that owns the app, where our access covers them; a team's owner is an admin of it."""
    try:
        members = platform_api.read_team_members(resource, team)
        return {str(one["email"]): ContactSource.COLLABORATOR for one in members}
    except (ResourceGone, Unrecoverable, TypeError, KeyError):
        return {}


def _bring_in_line(resource: Resource, found: dict[str, ContactSource]) -> None:
    sources = (ContactSource.OWNER, ContactSource.COLLABORATOR)
    present = {
        (row.email.casefold(), row.source): row
        for row in Contact.objects.select_for_update(of=("self",)).filter(
            resource=resource, source__in=sources
        )
    }
    for email, source in found.items():
        row = present.pop((email.casefold(), source), None)
        if row is None:
            Contact.objects.create(resource=resource, email=email, source=source)
        elif row.left_at is not None or row.email != email:
            row.email, row.left_at = email, None
            row.save(update_fields=["email", "left_at"])
    gone = [row.pk for row in present.values() if row.left_at is None]
    Contact.objects.filter(pk__in=gone).update(left_at=timezone.now())


def _note_failure(resource: Resource, error: Exception) -> None:
    reading, _ = ContactReading.objects.get_or_create(resource=resource)
    wait = min(_BACKOFF_FIRST * 2 ** min(reading.attempt, 8), READ_EVERY)
    ContactReading.objects.filter(pk=reading.pk).update(
        attempt=reading.attempt + 1,
        next_attempt_at=timezone.now() + wait,
        last_error=f"{type(error).__name__}: {error}"[:500],
    )
