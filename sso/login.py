"""Single sign-on: what Heroku's form proves, and the session that follows from it."""

import secrets
import uuid as uuids
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from provisioning import audit, rows
from provisioning.models import Resource
from provisioning.partner_secrets import partner_secrets
from provisioning.services import all_services
from provisioning.states import LIVE_STATES
from sso import sessions, tokens
from sso.models import Role, UsedToken
from sso.tokens import LoginForm

_NO_UUID = uuids.UUID(int=0)


class LoginRefused(Exception):
    """The form proves nothing. The text is a word for the log; the customer is told the same every time."""


class ResourceEnded(Exception):
    """The form is right, but the resource has ended or failed."""

    def __init__(self, resource: Resource) -> None:
        """The resource that was meant."""
        super().__init__(resource.state)
        self.resource = resource


@dataclass(frozen=True)
class Login:
    """A session that has begun, with the token for the browser."""

    resource: Resource
    token: str


def log_in(form: LoginForm, *, cookies: dict[str, str]) -> Login:
    """Verify the form, use its token up and start a session.

    With the user-scoped token the session is a member's, with the older one alone nobody says who this is: a
    viewer's. Raises LoginRefused, which leaves nothing behind, or ResourceEnded.
    """
    resource = _verified_resource(form)
    if resource.state not in LIVE_STATES:
        raise ResourceEnded(resource)
    member = bool(form.user_scoped_token)
    with transaction.atomic():
        _use_up(form, resource)
        token = sessions.start_session(
            resource,
            role=Role.MEMBER if member else Role.VIEWER,
            user_id=form.user_id if member else "",
            email=form.email if member else "",
            app_hint=form.app_hint,
            replaces=cookies.get(sessions.cookie_name(resource.uuid), ""),
        )
        audit.record("dashboard.opened", resource=resource, actor=form.email[:200] if member else "viewer")
    return Login(resource, token)


def _verified_resource(form: LoginForm) -> Resource:
    uuid, seconds = form.uuid, form.seconds
    resource = rows.fetch(Resource, "uuid = %s", [uuid or _NO_UUID])
    # An unknown resource costs the same hashes as a known one, under salts that nobody can have used.
    salts = partner_secrets(resource.service).sso_salts if resource else _decoy_salts()
    salt = tokens.matching_salt(form, salts)
    if not form.user_scoped_token and not form.resource_token:
        raise LoginRefused("token_missing")
    if seconds is None:
        raise LoginRefused("timestamp_unreadable")
    if resource is None or str(uuid) != form.resource_id:
        raise LoginRefused("resource_unknown")
    if salt is None:
        raise LoginRefused("token_wrong")
    if abs(timezone.now().timestamp() - seconds) > settings.SSO_WINDOW_SECONDS:
        raise LoginRefused("timestamp_outside_window")
    if form.user_scoped_token and not form.names_one_person:
        raise LoginRefused("person_unnamed")
    return resource


def _decoy_salts() -> list[str]:
    some_service = next(iter(all_services()))
    return [secrets.token_urlsafe(32) for _ in partner_secrets(some_service).sso_salts]


def _use_up(form: LoginForm, resource: Resource) -> None:
    """Mark the form's tokens as used, or refuse when the one that counts was used before.

    The user-scoped token counts where there is one: two people may open the same resource within one second,
    and their other token is then the same. It is marked too, under every salt, so that a form that was used
    does not open the dashboard again with its user-scoped token taken out.
    """
    plain = {
        tokens.resource_token(resource_id=str(resource.uuid), salt=salt, timestamp=form.timestamp)
        for salt in partner_secrets(resource.service).sso_salts
    }
    counting = form.user_scoped_token or form.resource_token
    if not _mark_used(counting):
        raise LoginRefused("token_used")
    for token in sorted(plain - {counting}):
        _mark_used(token)


def _mark_used(token: str) -> bool:
    """Whether this is the first use: of inserts at the same instant, the database lets one through."""
    # Beyond the window on both sides: a timestamp may lie ahead of our clock.
    expires_at = timezone.now() + timedelta(seconds=2 * settings.SSO_WINDOW_SECONDS + 60)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sso_usedtoken (digest, expires_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [tokens.stored_digest(token), expires_at],
        )
        return bool(cursor.rowcount == 1)


def purge_used_tokens() -> int:
    """Delete the tokens whose window is over; how many there were."""
    return UsedToken.objects.filter(expires_at__lt=timezone.now()).delete()[0]
