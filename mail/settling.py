"""Finding out what became of mails: the provider's events, and those whose sender died before the server answered."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from mail import feed, pace
from mail.feed import FeedDown, FeedEvent
from mail.models import Mail, MailEvent, MailEventKind, MailState, Pace
from mail.outbox import wake_senders
from provisioning import rows

log = structlog.get_logger(__name__)

DOUBTS_AT_ONCE = 50
FEED_PATIENCE = timedelta(hours=1)
"""So long a feed that does not answer is waited for before a mail in doubt is sent again."""
_POLL_LOCK = 0x6D61696C
_ACCEPTED_BY = {MailEventKind.ACCEPTED, MailEventKind.DEFERRED, MailEventKind.COMPLAINED}


def apply_events(events: Iterable[FeedEvent]) -> int:
    """Write events down and move the mails they tell of; how many were new. Safe to repeat and in any order.

    Delivered outdoes sent, bounced outdoes both: an address may be taken first and refused later.
    """
    listed = list(events)
    with transaction.atomic():
        # In one order, so that two feeds that tell the same never wait for each other.
        mails = {
            mail.message_id: mail
            for mail in Mail.objects.select_for_update()
            .filter(message_id__in={event.message_id for event in listed})
            .order_by("pk")
            .only("pk", "message_id", "state")
        }
        ours = [event for event in listed if event.message_id in mails]
        known = set(
            MailEvent.objects.filter(event_id__in=[event.event_id for event in ours]).values_list(
                "event_id", flat=True
            )
        )
        new = {event.event_id: event for event in ours if event.event_id not in known}
        MailEvent.objects.bulk_create(
            [
                MailEvent(
                    event_id=event.event_id,
                    mail=mails[event.message_id],
                    kind=event.kind,
                    at=event.at,
                    detail=event.detail,
                )
                for event in new.values()
            ],
            ignore_conflicts=True,
        )
        for event in new.values():
            _move(mails[event.message_id], event)
    return len(new)


def _move(mail: Mail, event: FeedEvent) -> None:
    same = Mail.objects.filter(pk=mail.pk)
    over = {"lease_token": None, "lease_until": None}
    if event.kind == MailEventKind.BOUNCED:
        same.exclude(state=MailState.BOUNCED).update(
            state=MailState.BOUNCED, settled_at=event.at, last_error=event.detail or "bounced", **over
        )
    elif event.kind == MailEventKind.DELIVERED:
        same.filter(state__in=(MailState.QUEUED, MailState.SENDING, MailState.SENT)).update(
            state=MailState.DELIVERED, settled_at=event.at, sent_at=event.at, last_error="", **over
        )
    elif event.kind in _ACCEPTED_BY:
        # One that waits to be sent again, though the provider has it, is not sent again.
        same.filter(state__in=(MailState.QUEUED, MailState.SENDING), sending_since__isnull=False).update(
            state=MailState.SENT, sent_at=event.at, last_error="", **over
        )


def settle_doubts() -> int:
    """Look after mails that were handed over without an answer, because their sender died or lost the connection.

    What the provider's feed knows counts as sent. What it does not know, once it has had time to, is sent again with
    the same Message-ID; so is, after an hour, what a feed that is away cannot tell, and at once, where there is no feed
    at all: better twice than never. How many were looked after.
    """
    token = uuid4()
    found = rows.execute(
        "UPDATE mail_mail SET lease_token = %s, lease_until = clock_timestamp() + interval '60 seconds' "
        "WHERE id IN (SELECT id FROM mail_mail WHERE state = 'sending' AND lease_until < clock_timestamp() "
        "AND next_attempt_at <= clock_timestamp() ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id",
        [token, DOUBTS_AT_ONCE],
    )
    doubtful = Mail.objects.filter(pk__in=[row[0] for row in found], lease_token=token).order_by("pk")
    for mail in doubtful:
        _settle_doubt(mail)
    return len(found)


def _settle_doubt(mail: Mail) -> None:
    now = timezone.now()
    handed_over = mail.sending_since or mail.created_at
    known_by = handed_over + timedelta(seconds=settings.MAIL_EVENTS_LAG_SECONDS)
    if feed.is_pulled():
        if now < known_by:
            return _look_again(mail, at=known_by)
        try:
            events = feed.events_of(mail.message_id)
        except FeedDown as error:
            if now < handed_over + FEED_PATIENCE:
                return _look_again(mail, at=now + timedelta(seconds=30), error=str(error))
            events = []
        if events:
            apply_events(events)
            # Told before and kept: the events are not new, the doubt about this try is.
            _in_doubt(mail).update(
                state=MailState.SENT, sent_at=events[0].at, lease_token=None, lease_until=None, last_error=""
            )
            return None
    elif feed.is_pushed() and now < known_by:
        return _look_again(mail, at=known_by)
    return _send_again(mail)


def _in_doubt(mail: Mail) -> QuerySet[Mail]:
    return Mail.objects.filter(pk=mail.pk, state=MailState.SENDING, lease_token=mail.lease_token)


def _look_again(mail: Mail, *, at: datetime, error: str = "") -> None:
    _in_doubt(mail).update(
        lease_token=None,
        lease_until=timezone.now(),
        next_attempt_at=at,
        last_error=error or mail.last_error or "no answer to the text yet",
    )


def _send_again(mail: Mail) -> None:
    sent_again = _in_doubt(mail).update(
        state=MailState.QUEUED,
        doubts=mail.doubts + 1,
        next_attempt_at=timezone.now(),
        last_error="its end is not known: sent again",
        lease_token=None,
        lease_until=None,
    )
    if sent_again:
        log.warning("mail.sent_again", mail=mail.pk, kind=mail.kind, doubts=mail.doubts + 1)
        wake_senders()


def read_feed() -> int:
    """Take over what the provider's feed has to say since the last time; how many events were new.

    One reader at a time. The last stretch is read again each time, as late events may appear in it.
    """
    if not feed.is_pulled():
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_POLL_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    new, began = 0, timezone.now()
    overlap = timedelta(seconds=settings.MAIL_EVENTS_LAG_SECONDS)
    try:
        pace.ensure_row()
        until = Pace.objects.values_list("feed_read_until", flat=True).get(pk=1)
        for page in feed.events_since(until - overlap):
            new += apply_events(page)
            if page:
                until = max(until, min(page[-1].at, began))
                Pace.objects.filter(pk=1).update(feed_read_until=until)
    except FeedDown as error:
        log.warning("mail.feed_down", error=str(error))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_POLL_LOCK])
    return new
