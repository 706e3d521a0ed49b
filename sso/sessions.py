"""Dashboard sessions: a cookie for each resource, so that one browser has several dashboards open."""

import re
import secrets
import uuid as uuids
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.http import HttpResponseBase
from django.utils import timezone

from provisioning import rows
from provisioning.models import Resource
from sso.models import DashboardSession, Role
from sso.tokens import stored_digest

SEEN_EVERY = timedelta(minutes=1)
"""A session's last use is written at most this often."""
_COOKIE = re.compile(r"(?:__Host-)?dash-[0-9a-f]{12}")


def secure() -> bool:
    """Whether customers come over https: the cookies then say so."""
    return bool(settings.BASE_URL.startswith("https://"))


def cookie_name(uuid: uuids.UUID) -> str:
    """The cookie of the resource.

    Twelve digits of the uuid tell dashboards apart. Should two ever share them, the one opened last has the
    cookie and the other one asks to be opened again: a session is only ever good for the resource in its row.
    """
    return f"{'__Host-' if secure() else ''}dash-{uuid.hex[:12]}"


def start_session(
    resource: Resource,
    *,
    role: Role,
    user_id: str = "",
    email: str = "",
    app_hint: str = "",
    replaces: str = "",
    seconds: int | None = None,
) -> str:
    """Make a session and return its token, which is stored nowhere else.

    `replaces` is the token that the same browser held for this resource so far; that session ends. `seconds` is how
    long the session lasts at most, in place of `SSO_SESSION_ABSOLUTE_SECONDS`.
    """
    if replaces:
        DashboardSession.objects.filter(resource=resource, token_digest=stored_digest(replaces)).delete()
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    rows.insert(
        DashboardSession(
            token_digest=stored_digest(token),
            resource=resource,
            role=role,
            user_id=user_id,
            email=email,
            app_hint=app_hint,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(seconds=seconds or settings.SSO_SESSION_ABSOLUTE_SECONDS),
        )
    )
    return token


def set_cookie(response: HttpResponseBase, uuid: uuids.UUID, token: str) -> None:
    """Give the browser its token."""
    response.set_cookie(
        cookie_name(uuid),
        token,
        max_age=settings.SSO_SESSION_ABSOLUTE_SECONDS,
        path="/",
        secure=secure(),
        httponly=True,
        samesite="Lax",
    )


def find_session(
    cookies: Mapping[str, str], uuid: uuids.UUID, *, touch: bool = True
) -> DashboardSession | None:
    """The live session that the browser holds for this resource, or None.

    `touch` counts as use; what a page asks for by itself does not, or an open tab would never time out.
    """
    token = cookies.get(cookie_name(uuid), "")
    if not token:
        return None
    now = timezone.now()
    session = (
        DashboardSession.objects.select_related("resource__plan")
        .filter(_live(), token_digest=stored_digest(token), resource__uuid=uuid)
        .first()
    )
    if session and touch and session.last_seen_at <= now - SEEN_EVERY:
        DashboardSession.objects.filter(pk=session.pk, last_seen_at__lt=now).update(last_seen_at=now)
    return session


def end_sessions(cookies: Mapping[str, str], names: Iterable[str]) -> int:
    """End the sessions of the named cookies; how many there were."""
    digests = [stored_digest(cookies[name]) for name in names if cookies.get(name)]
    return DashboardSession.objects.filter(token_digest__in=digests).delete()[0]


def session_cookies(cookies: Mapping[str, str]) -> list[str]:
    """The names of every dashboard cookie of this browser."""
    return [name for name in cookies if _COOKIE.fullmatch(name)]


def forget_cookies(response: HttpResponseBase, names: Iterable[str]) -> None:
    """Have the browser drop these cookies. A `__Host-` one is only dropped by an answer that says Secure."""
    for name in names:
        response.set_cookie(name, "", max_age=0, path="/", secure=secure(), httponly=True, samesite="Lax")


def purge_sessions() -> int:
    """Delete the sessions that have run out; how many there were."""
    return DashboardSession.objects.exclude(_live()).delete()[0]


def _live() -> Q:
    now = timezone.now()
    idle_since = now - timedelta(seconds=settings.SSO_SESSION_IDLE_SECONDS)
    return Q(expires_at__gt=now, last_seen_at__gt=idle_since)
