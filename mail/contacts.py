"""Whom to write to about a resource, and the security contacts that its people name."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Lower
from django.utils import timezone

from mail import outbox
from mail.models import Contact, ContactSource, Mail, MailState
from provisioning import audit
from provisioning.models import AuditEvent, Resource
from provisioning.services import Refusal, service_of

RECENT_USERS = timedelta(days=90)
"""Somebody who opened the dashboard within this time counts as a user of the resource."""
SECURITY_CONTACTS_MOST = 10
BOUNCED_LATELY = timedelta(days=30)
_SYNTHETIC = "@herokumanager.com"
"""Heroku's made-up owner address of a team's apps: nobody reads it (Dev Center, add-on best practices)."""
SSO_USER = "sso"
_ORDER = {ContactSource.SECURITY: 0, ContactSource.OWNER: 1, ContactSource.COLLABORATOR: 2, SSO_USER: 3}


@dataclass(frozen=True)
class Person:
    """Somebody to write to about one resource."""

    email: str
    """As it was given; two that differ in case only are one person."""
    reasons: tuple[str, ...]
    """Why: `security`, `owner`, `collaborator`, `sso` (opened the dashboard lately); the strongest first."""
    last_seen: datetime | None = None
    """When this person last opened the dashboard, if ever."""

    @property
    def address(self) -> str:
        """What tells people apart."""
        return self.email.casefold()


def people(resource: Resource, *, users_within: timedelta = RECENT_USERS) -> list[Person]:
    """Everybody to write to about one resource, each once: security contacts, owner, collaborators, recent users."""
    return people_of([resource.pk], users_within=users_within)[resource.pk]


def people_of(
    resource_ids: Collection[int], *, users_within: timedelta = RECENT_USERS
) -> dict[int, list[Person]]:
    """`people` of many resources by their number, in few statements. Every number has its entry.

    Collaborators are as last read from Heroku (see `contacts_reading`).
    """
    reasons: dict[int, dict[str, tuple[str, set[str], datetime | None]]] = defaultdict(dict)
    named = Contact.objects.filter(resource_id__in=resource_ids, left_at=None)
    for number, email, source in named.values_list("resource_id", "email", "source").order_by("pk"):
        reasons[number].setdefault(email.casefold(), (email, set(), None))[1].add(source)
    opened = (
        AuditEvent.objects.filter(
            resource_id__in=resource_ids,
            event="dashboard.opened",
            actor__contains="@",
            at__gte=timezone.now() - users_within,
        )
        .values_list("resource_id", "actor")
        .annotate(last=Max("at"))
        .order_by()
    )
    for number, email, last in opened:
        first, why, _ = reasons[number].get(email.casefold(), (email, set(), None))
        reasons[number][email.casefold()] = (first, why | {SSO_USER}, last)
    return {number: _in_order(reasons[number]) for number in resource_ids}


def _in_order(found: dict[str, tuple[str, set[str], datetime | None]]) -> list[Person]:
    listed = [
        Person(email, tuple(sorted(why, key=lambda one: _ORDER[one])), last)
        for email, why, last in found.values()
        if can_be_mailed(email)
    ]
    return sorted(listed, key=lambda person: (_ORDER[person.reasons[0]], person.address))


def can_be_mailed(email: str) -> bool:
    """Whether this is a person's address at all."""
    if email.casefold().endswith(_SYNTHETIC):
        return False
    try:
        validate_email(email)
    except ValidationError:
        return False
    return True


def bounced_lately(emails: Collection[str]) -> set[str]:
    """Those of these addresses, in lower case, whose newest mail that came to an end was refused for good."""
    wanted = [email.casefold() for email in emails]
    rows = (
        Mail.objects.annotate(address=Lower("to"))
        .filter(
            address__in=wanted,
            created_at__gte=timezone.now() - BOUNCED_LATELY,
            state__in=(MailState.BOUNCED, MailState.DELIVERED),
        )
        .order_by("address", "-created_at", "-pk")
        .distinct("address")
        .values_list("address", "state")
    )
    return {address for address, state in rows if state == MailState.BOUNCED}


# --- what a resource's people set themselves ------------------------------------------------------------------
def security_contacts(resource: Resource) -> list[Contact]:
    """The security contacts of a resource, in the order they were named."""
    return list(
        resource.contacts.filter(source=ContactSource.SECURITY, left_at=None).order_by("added_at", "pk")
    )


def add_security_contact(resource: Resource, *, email: str, actor: str) -> Contact:
    """Name somebody who gets security notices about the resource, and tell them; a second time changes nothing.

    Refusal when it is no address, or there are ten already.
    """
    email = email.strip()
    if not can_be_mailed(email):
        raise Refusal("Enter an e-mail address, such as security@example.com.", code="not_an_address")
    with transaction.atomic():
        Resource.objects.select_for_update(of=("self",)).get(pk=resource.pk)
        present = security_contacts(resource)
        for contact in present:
            if contact.email.casefold() == email.casefold():
                return contact
        if len(present) >= SECURITY_CONTACTS_MOST:
            raise Refusal(
                f"There are {SECURITY_CONTACTS_MOST} security contacts already. Remove one, or use a mailing list.",
                code="too_many_contacts",
            )
        former = Contact.objects.filter(
            resource=resource, source=ContactSource.SECURITY, email__iexact=email
        ).first()
        contact = former or Contact(resource=resource, source=ContactSource.SECURITY)
        contact.email, contact.added_by, contact.added_at, contact.left_at = (
            email,
            actor[:200],
            timezone.now(),
            None,
        )
        contact.save()
        audit.record("security_contact.added", resource=resource, actor=actor, email=email)
        _tell(contact, resource, actor=actor)
        return contact


def remove_security_contact(resource: Resource, *, contact_id: int, actor: str) -> None:
    """Take a security contact away; one that is not there (any more) is no error."""
    with transaction.atomic():
        contact = (
            Contact.objects.select_for_update(of=("self",))
            .filter(pk=contact_id, resource=resource, source=ContactSource.SECURITY, left_at=None)
            .first()
        )
        if contact is None:
            return
        contact.left_at = timezone.now()
        contact.save(update_fields=["left_at"])
        audit.record("security_contact.removed", resource=resource, actor=actor, email=contact.email)


def _tell(contact: Contact, resource: Resource, *, actor: str) -> None:
    service = service_of(resource)
    name, app = resource.name or str(resource.uuid), resource.app_name
    on_app = f" of the Heroku app {app}" if app else ""
    outbox.post(
        key=f"security-contact:{contact.pk}:{contact.added_at.timestamp():.6f}",
        kind="security-contact",
        to=contact.email,
        subject=f"You are a security contact of {name}",
        text=(
            f"{actor} named this address as a security contact of the {service.name} add-on {name}{on_app}.\n\n"
            "We write to it when a vulnerability affects the add-on, and tell what to do. "
            "Nothing else is sent here.\n\n"
            "If this is a mistake, ask that person to remove the address: in the Heroku Dashboard, open the app's "
            f"Resources tab, choose {service.name}, and go to Contacts. Or write to {service.support_email}.\n"
        ),
        reply_to=service.support_email,
    )
