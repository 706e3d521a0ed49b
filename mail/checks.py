"""System checks: mail can leave, and in production it does so encrypted."""

from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

_SMTP = "django.core.mail.backends.smtp.EmailBackend"


@register(Tags.security)
def check_mail(**_: Any) -> list[CheckMessage]:
    """The sender is an address, production has a server, and its password does not travel in the open."""
    found: list[CheckMessage] = []
    try:
        validate_email(parseaddr(settings.DEFAULT_FROM_EMAIL)[1])
    except ValidationError:
        found.append(Error("DEFAULT_FROM_EMAIL holds no e-mail address.", id="mail.E001"))
    if settings.PRODUCTION and not settings.EMAIL_HOST:
        found.append(Error("EMAIL_HOST is empty: no mail can leave.", id="mail.E002"))
    encrypted = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    if settings.EMAIL_HOST_PASSWORD and not encrypted and settings.PRODUCTION:
        found.append(
            Error("EMAIL_HOST_PASSWORD would be sent unencrypted: set EMAIL_SECURITY.", id="mail.E003")
        )
    if settings.EMAIL_BACKEND == _SMTP and not settings.MAIL_EVENTS_URL and not settings.MAIL_WEBHOOK_KEYS:
        found.append(
            Warning(
                "Without MAIL_EVENTS_URL or MAIL_WEBHOOK_KEYS nobody learns of bounces, and a mail whose sender was "
                "killed is sent again unasked.",
                id="mail.W001",
            )
        )
    return found
