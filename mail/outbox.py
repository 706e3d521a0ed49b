"""Posting a mail: a row in the caller's transaction, sent by a worker after the commit."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.utils import timezone

from mail.models import Mail
from provisioning.wakeups import wake_task

CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One mail to one person, as a floor above words it.

    `key` says what it is about and to whom (`statement:2026-10:ada@example.com`): a second letter of the same key is
    the same mail, whatever it says. `kind` is a word for counting. `text` is needed, `html` is the same for those who
    can see it. An `urgent` letter goes before all others.
    """

    key: str
    to: str
    subject: str
    text: str
    html: str = ""
    kind: str = "notice"
    reply_to: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    urgent: bool = False


def post(
    *,
    key: str,
    to: str,
    subject: str,
    text: str,
    html: str = "",
    kind: str = "notice",
    reply_to: str = "",
    headers: Mapping[str, str] | None = None,
    urgent: bool = False,
) -> Mail:
    """Write one `Letter` into the outbox, or find it there; see there for the arguments.

    Part of the caller's transaction: a rollback takes it back, a commit wakes a worker. ValueError when `to` is no
    e-mail address, or the key or the text is empty.
    """
    letter = Letter(
        key=key,
        to=to,
        subject=subject,
        text=text,
        html=html,
        kind=kind,
        reply_to=reply_to,
        headers=headers or {},
        urgent=urgent,
    )
    post_all([letter])
    return Mail.objects.get(key=key)


def post_all(letters: Iterable[Letter]) -> int:
    """`post` many at once; how many were asked for. Keys that are there already are left as they are."""
    rows = [_row(letter) for letter in letters]
    for start in range(0, len(rows), CHUNK):
        Mail.objects.bulk_create(rows[start : start + CHUNK], ignore_conflicts=True)
    if rows:
        wake_senders()
    return len(rows)


def find(keys: Iterable[str]) -> QuerySet[Mail]:
    """The mails of these keys."""
    return Mail.objects.filter(key__in=list(keys))


def wake_senders() -> None:
    """After the commit, wake a worker that sends what is due and wakes others when there is much."""
    wake_task("mail.deliver", 0, queue_name="notices")


def message_id_of(key: str) -> str:
    """The Message-ID of a key: always the same, so that a mail sent twice can be told from two mails."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def _row(letter: Letter) -> Mail:
    if not letter.key or len(letter.key) > 200 or not letter.text:
        raise ValueError("a mail needs a key of at most 200 characters, and a text")
    for address in (letter.to, *([letter.reply_to] if letter.reply_to else [])):
        try:
            validate_email(address)
        except ValidationError:
            raise ValueError("not an e-mail address") from None
    for name, value in letter.headers.items():
        if "\n" in name + value or "\r" in name + value:
            raise ValueError("a header holds a line break")
    return Mail(
        key=letter.key,
        kind=letter.kind,
        to=letter.to,
        subject=" ".join(letter.subject.split())[:300],
        text=letter.text,
        html=letter.html,
        reply_to=letter.reply_to,
        headers=dict(letter.headers),
        urgent=letter.urgent,
        message_id=message_id_of(letter.key),
        give_up_at=timezone.now() + timedelta(hours=settings.MAIL_KEEP_TRYING_HOURS),
    )
