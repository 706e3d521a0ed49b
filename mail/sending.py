"""Sending what is due: workers claim rows, hand them over at the shared pace, and write down what the server said."""

import random
import time
import uuid
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mail import pace
from mail.models import Mail, MailState
from mail.outbox import wake_senders
from mail.transport import AddressRefused, InDoubt, MailRefused, Transport, TryLater, Unreachable
from provisioning import rows
from provisioning.masking import mask_text

log = structlog.get_logger(__name__)

BATCH = 20
BACKOFF_FIRST_SECONDS = 30.0
BACKOFF_LONGEST_SECONDS = 3600.0


def deliver() -> int:
    """Send what is due until nothing is, the server is away, or this worker's time is up; how many were handed over.

    Any number may run at once: each row is claimed by one of them.
    """
    transport, sent = Transport(), 0
    end = time.monotonic() + settings.MAIL_LEASE_SECONDS * 0.4
    try:
        while not pace.is_paused():
            if time.monotonic() > end:
                wake_senders()
                break
            batch = _claim()
            if not batch:
                break
            handed_over, goes_on = _send_batch(transport, batch)
            sent += handed_over
            if not goes_on:
                break
    finally:
        transport.close()
    return sent


def number_due() -> int:
    """How many mails could be sent now, counted up to what all workers together take at once."""
    return int(
        rows.execute(
            f"SELECT count(*) FROM (SELECT FROM mail_mail WHERE {_DUE} LIMIT %s) AS due",  # noqa: S608
            [BATCH * settings.MAIL_WORKERS],
        )[0][0]
    )


_DUE = (
    "state = 'queued' AND next_attempt_at <= clock_timestamp() "
    "AND (lease_until IS NULL OR lease_until < clock_timestamp())"
)


def _claim() -> list[Mail]:
    """Lease some of the mails that are due, urgent ones first; no more than have a slot within a part of the lease."""
    number = max(1, min(BATCH, int(settings.MAIL_PER_SECOND * settings.MAIL_LEASE_SECONDS * 0.2)))
    token = uuid.uuid4()
    found = rows.execute(  # the condition is a constant of this module
        "UPDATE mail_mail SET lease_token = %s, lease_until = clock_timestamp() + %s * interval '1 second' "  # noqa: S608
        f"WHERE id IN (SELECT id FROM mail_mail WHERE {_DUE} "
        "ORDER BY urgent DESC, next_attempt_at, id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id",
        [token, settings.MAIL_LEASE_SECONDS, number],
    )
    claimed = Mail.objects.filter(pk__in=[row[0] for row in found], lease_token=token)
    return list(claimed.order_by("-urgent", "next_attempt_at", "pk"))


def _send_batch(transport: Transport, batch: list[Mail]) -> tuple[int, bool]:
    """How many were handed over, and whether it makes sense to go on."""
    sent, slot = 0, time.monotonic() + pace.reserve(len(batch))
    for position, mail in enumerate(batch):
        time.sleep(max(0.0, slot - time.monotonic()))
        slot += pace.slot_seconds()
        if mail.give_up_at <= timezone.now():
            _settle(mail, MailState.FAILED, error=mail.last_error or "not accepted in time")
            continue
        try:
            sent += _send(transport, mail)
        except Unreachable as error:
            _give_back(batch[position:], error=str(error))
            pace.pause(str(error))
            log.warning("mail.server_unreachable", error=str(error))
            return sent, False
    if sent:
        pace.went_well()
    return sent, True


def _send(transport: Transport, mail: Mail) -> bool:
    """Hand one mail over and write down how it ended; Unreachable when the server does not talk to us."""
    try:
        if not transport.send(mail, before_text=lambda: _begin(mail)):
            return False
    except TryLater as refusal:
        _postpone(mail, error=str(refusal))
    except AddressRefused as refusal:
        _settle(mail, MailState.BOUNCED, error=str(refusal))
    except MailRefused as refusal:
        _settle(mail, MailState.FAILED, error=str(refusal))
        log.error("mail.refused", mail=mail.pk, kind=mail.kind, error=str(refusal))
    except InDoubt as doubt:
        # The row stays `sending` without a lease: what became of it is found out by `settling`.
        _mine(mail, MailState.SENDING).update(
            lease_token=None,
            lease_until=timezone.now(),
            last_error=str(doubt),
            next_attempt_at=timezone.now(),
        )
    else:
        _mine(mail, MailState.SENDING).update(
            state=MailState.SENT, sent_at=timezone.now(), last_error="", lease_token=None, lease_until=None
        )
        return True
    return False


def _begin(mail: Mail) -> bool:
    """Commit that the mail is being handed over; False when the lease is no longer ours."""
    now = timezone.now()
    return bool(
        _mine(mail, MailState.QUEUED).update(
            state=MailState.SENDING,
            sending_since=now,
            lease_until=now + timedelta(seconds=settings.MAIL_LEASE_SECONDS),
        )
    )


def _mine(mail: Mail, state: MailState) -> QuerySet[Mail]:
    return Mail.objects.filter(pk=mail.pk, state=state, lease_token=mail.lease_token)


def _open(mail: Mail) -> QuerySet[Mail]:
    """The row, whether the refusal came before the text or after it."""
    return Mail.objects.filter(
        pk=mail.pk, state__in=(MailState.QUEUED, MailState.SENDING), lease_token=mail.lease_token
    )


def _settle(mail: Mail, state: MailState, *, error: str) -> None:
    _open(mail).update(
        state=state,
        settled_at=timezone.now(),
        last_error=mask_text(error)[:2000],
        attempt=mail.attempt + 1,
        lease_token=None,
        lease_until=None,
    )


def _postpone(mail: Mail, *, error: str) -> None:
    """Try again later, or give up when that would be too late."""
    at = min(timezone.now() + timedelta(seconds=_backoff(mail.attempt)), _last_try(mail))
    if at <= timezone.now():
        _settle(mail, MailState.FAILED, error=error)
        return
    _open(mail).update(
        state=MailState.QUEUED,
        attempt=mail.attempt + 1,
        next_attempt_at=at,
        last_error=mask_text(error)[:2000],
        lease_token=None,
        lease_until=None,
    )


def _last_try(mail: Mail) -> datetime:
    return mail.give_up_at - timedelta(seconds=60)


def _backoff(attempt: int) -> float:
    longest: float = min(BACKOFF_FIRST_SECONDS * 2.0 ** min(attempt, 20), BACKOFF_LONGEST_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def _give_back(batch: list[Mail], *, error: str) -> None:
    """Nothing was sent of these: they are due again as soon as the server is."""
    with transaction.atomic():
        Mail.objects.filter(
            pk__in=[mail.pk for mail in batch], state=MailState.QUEUED, lease_token=batch[0].lease_token
        ).update(lease_token=None, lease_until=None, last_error=mask_text(error)[:2000])
