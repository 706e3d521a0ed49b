"""The second factor: codes of an authenticator (RFC 6238: six digits, 30 seconds, SHA-1), and recovery codes."""

import base64
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.db import transaction
from django.utils import timezone

from operators.models import Account, RecoveryCode
from provisioning.sealing import pepper_ring

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ISSUER = "Addonworks operators"
STEP_SECONDS = 30
STEPS_ASIDE = 1
"""A device's clock may be this many steps off."""
RECOVERY_CODES = 10
_SECRET_BYTES = 20
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read for something else


def account_of(user: "User") -> Account:
    """The operator's account, made when it is not there yet."""
    account, _ = Account.objects.get_or_create(user=user)
    return account


def pending_secret(account: Account) -> bytes:
    """The secret an account is being set up with: the same until a code has confirmed it."""
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        if locked.confirmed_at:
            raise ValueError("the second factor is set up already")
        known = locked.get_sealed("totp_secret")
        if known is None:
            known = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()
            locked.set_sealed(totp_secret=known)
            locked.save(update_fields=["totp_secret"])
    return base64.b32decode(known)


def provisioning_uri(secret: bytes, *, username: str) -> str:
    """The `otpauth://` address that an authenticator reads."""
    return _totp(secret).get_provisioning_uri(username, ISSUER)


def readable_secret(secret: bytes) -> str:
    """The secret as a person types it: base 32 in groups of four."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def qr_code(text: str) -> str:
    """`text` as a QR code: an inline SVG that takes its colours from the page."""
    return segno.make(text, error="m").svg_inline(
        scale=5, border=2, dark="#14201d", light="#ffffff", omitsize=True, svgclass="qr", lineclass=None
    )


def confirm(account: Account, code: str) -> list[str] | None:
    """Finish the set-up with a first right code; the recovery codes, shown this once, or None for a wrong code."""
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        if locked.confirmed_at or not _use_code(locked, code):
            return None
        locked.confirmed_at = timezone.now()
        locked.save(update_fields=["confirmed_at"])
        return new_recovery_codes(locked)


def verify(account: Account, code: str) -> str | None:
    """`"totp"` or `"recovery"` when `code` is right for a set-up account, and used up by this; None otherwise.

    Of two tries with the same code at the same instant, one succeeds.
    """
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        if not locked.confirmed_at:
            return None
        if _use_code(locked, code):
            return "totp"
        if _use_recovery_code(locked, code):
            return "recovery"
    return None


def new_recovery_codes(account: Account) -> list[str]:
    """Replace every recovery code by ten new ones, and return them: they are stored as digests only."""
    ring = pepper_ring()
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(3))
        for _ in range(RECOVERY_CODES)
    ]
    with transaction.atomic():
        account.recovery_codes.all().delete()
        RecoveryCode.objects.bulk_create(
            RecoveryCode(account=account, digest=_digest(code, ring.current), pepper_version=ring.current)
            for code in codes
        )
    return codes


def reset(account: Account) -> None:
    """Take the second factor away: the operator sets up a new one at the next sign-in; open sessions lose theirs."""
    with transaction.atomic():
        account.recovery_codes.all().delete()
        account.set_sealed(totp_secret=None)
        account.confirmed_at, account.last_step = None, 0
        account.save(update_fields=["totp_secret", "confirmed_at", "last_step"])


def current_code(secret: bytes, *, at: float | None = None) -> str:
    """The code that a device shows now, or at a Unix time."""
    return _totp(secret).generate(int(time.time() if at is None else at)).decode()


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, 6, SHA1(), STEP_SECONDS)  # noqa: S303 - HMAC-SHA-1 is what authenticators speak


def _use_code(account: Account, code: str) -> bool:
    digits = "".join(code.split())
    known = account.get_sealed("totp_secret")
    if known is None or len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        return False
    totp, now = _totp(base64.b32decode(known)), int(time.time()) // STEP_SECONDS
    for step in range(now - STEPS_ASIDE, now + STEPS_ASIDE + 1):
        right = hmac.compare_digest(totp.generate(step * STEP_SECONDS), digits.encode())
        if right and step > account.last_step:
            account.last_step = step
            account.save(update_fields=["last_step"])
            return True
    return False


def _use_recovery_code(account: Account, code: str) -> bool:
    text = "".join(code.lower().split())
    if len(text) < 15:
        return False
    for row in account.recovery_codes.filter(used_at__isnull=True):
        if row.pepper_version in pepper_ring().keys and hmac.compare_digest(
            row.digest, _digest(text, row.pepper_version)
        ):
            row.used_at = timezone.now()
            row.save(update_fields=["used_at"])
            return True
    return False


def _digest(code: str, version: int) -> str:
    canonical = f"operators:recovery:{code.replace('-', '')}".encode()
    return hmac.new(pepper_ring().keys[version], canonical, hashlib.sha256).hexdigest()
