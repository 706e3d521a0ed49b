"""What an operator's session has proven: password first, then the second factor; and when it ends."""

import time
from typing import TYPE_CHECKING

from django.conf import settings

from operators.models import Account

if TYPE_CHECKING:
    from django.http import HttpRequest

_FACTOR = "operators.factor"
_SEEN = "operators.seen"
_STARTED = "operators.started"
SEEN_EVERY_SECONDS = 60


def mark_verified(request: "HttpRequest", account: Account) -> None:
    """Note that this session has shown the account's second factor; the session gets a new key."""
    request.session.cycle_key()
    now = int(time.time())
    request.session[_FACTOR] = _fingerprint(account)
    request.session[_SEEN] = request.session[_STARTED] = now


def is_verified(request: "HttpRequest") -> bool:
    """Whether this operator is let in: the second factor was shown, and the password is the operator's own."""
    return has_shown_factor(request) and not request.__dict__["operator_account"].password_is_temporary


def has_shown_factor(request: "HttpRequest") -> bool:
    """Whether the signed-in operator has shown the second factor in this session, lately enough.

    Ends with the factor itself (a reset), with `OPERATOR_SESSION_IDLE_SECONDS` without a page and with
    `OPERATOR_SESSION_ABSOLUTE_SECONDS` after the sign-in. Asked once per request.
    """
    known: bool | None = request.__dict__.get("_operator_factor")
    if known is None:
        known = _has_shown_factor(request)
        request.__dict__["_operator_factor"] = known
    return known


def _has_shown_factor(request: "HttpRequest") -> bool:
    session, user = request.session, request.user
    if not user.is_authenticated or not user.is_active or not user.is_staff or _FACTOR not in session:
        return False
    now = int(time.time())
    if now - session[_SEEN] > settings.OPERATOR_SESSION_IDLE_SECONDS:
        return False
    if now - session[_STARTED] > settings.OPERATOR_SESSION_ABSOLUTE_SECONDS:
        return False
    account = Account.objects.filter(user_id=user.pk, confirmed_at__isnull=False).first()
    if account is None or session[_FACTOR] != _fingerprint(account):
        return False
    request.__dict__["operator_account"] = account
    if now - session[_SEEN] >= SEEN_EVERY_SECONDS:
        session[_SEEN] = now
    return True


def _fingerprint(account: Account) -> str:
    return f"{account.pk}:{account.confirmed_at.timestamp() if account.confirmed_at else ''}"
