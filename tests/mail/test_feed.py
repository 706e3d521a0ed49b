"""What the provider tells of a mail: asked for page by page, or sent to us signed."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from mail import feed, outbox, sending, settling
from mail.feed import FeedEvent
from mail.models import Mail, MailEvent, MailEventKind, MailState, Pace
from tests.mail.test_sending import state, write
from tests.support.mailbox import Provider
from tests.support.stack import until

pytestmark = pytest.mark.django_db


def event(mail: Mail, kind: MailEventKind, number: int = 1, detail: str = "") -> FeedEvent:
    return FeedEvent(f"{mail.pk}-{kind}-{number}", mail.message_id, kind, timezone.now(), detail)


def body(mail: Mail, name: str, *, key: str, at: float | None = None, **more: Any) -> str:
    """A webhook of Mailgun's, signed as its manual says."""
    timestamp, token = str(int(at or time.time())), "0123456789" * 5
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    data = {
        "id": f"{mail.pk}-{name}",
        "event": name,
        "timestamp": time.time(),
        "message": {"headers": {"message-id": mail.message_id.strip("<>")}},
        **more,
    }
    signed = {"timestamp": timestamp, "token": token, "signature": signature}
    return json.dumps({"signature": signed, "event-data": data})


def test_delivered_and_bounced_mails_become_so_and_the_events_are_kept(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 10)
    provider.misbehave(bouncing_addresses=["bob@example.com"])
    mails = [write(), write("bob"), *(write(f"user{number}") for number in range(12))]
    sending.deliver()
    until(lambda: len(provider.mailbox.events(limit=2000)) == 2 * len(mails))
    began = datetime.fromtimestamp(provider.mailbox.events()[0]["timestamp"], UTC) - timedelta(seconds=1)
    Pace.objects.update(feed_read_until=began)
    assert settling.read_feed() == 2 * len(mails)  # more than a page, and accepted before each
    assert [state(mail) for mail in mails[:2]] == [MailState.DELIVERED, MailState.BOUNCED]
    assert not Mail.objects.filter(state=MailState.SENT).exists()
    assert "no such user" in mails[1].last_error
    assert MailEvent.objects.filter(mail=mails[0]).count() == 2
    assert Pace.objects.get().feed_read_until > began
    assert settling.read_feed() == 0


@pytest.mark.parametrize("fraction", [0.0004, 0.0006])
def test_what_happened_within_the_millisecond_of_the_last_look_is_not_left_out(
    provider: Provider, fraction: float
) -> None:
    mail, moment = write(), 4_000_000_000 + fraction  # after all that really happens
    sending.deliver()
    provider.mailbox.tell(provider.mails()[0], "delivered", timestamp=moment, id="late")
    Pace.objects.update(feed_read_until=datetime.fromtimestamp(moment, UTC))
    assert settling.read_feed() == 1
    assert state(mail) == MailState.DELIVERED


def test_events_in_any_order_and_told_again_come_to_the_same() -> None:
    mail = write()
    told = [event(mail, MailEventKind.BOUNCED, detail="550 gone"), event(mail, MailEventKind.DELIVERED)]
    assert settling.apply_events(told) == 2
    assert settling.apply_events(told[::-1]) == 0
    assert (state(mail), mail.last_error) == (MailState.BOUNCED, "550 gone")


def test_a_mail_that_waits_to_be_sent_again_is_not_when_the_provider_has_it(provider: Provider) -> None:
    mail = write()
    settling.apply_events([event(mail, MailEventKind.ACCEPTED)])
    assert state(mail) == MailState.QUEUED  # never handed over: an accepted one cannot be ours
    Mail.objects.update(sending_since=timezone.now())
    settling.apply_events([event(mail, MailEventKind.ACCEPTED, 2)])
    assert state(mail) == MailState.SENT
    assert sending.deliver() == 0


def test_a_signed_webhook_is_kept_under_the_present_key_and_the_former(
    settings: Settings, client: Client
) -> None:
    settings.MAIL_WEBHOOK_KEYS = ("new", "old")
    mail = write()
    for key, name in (("old", "accepted"), ("new", "delivered")):
        Mail.objects.update(sending_since=timezone.now())
        answer = client.post("/mail/events", body(mail, name, key=key), content_type="application/json")
        assert answer.status_code == 200
    assert state(mail) == MailState.DELIVERED
    failed = body(mail, "failed", key="new", severity="permanent", reason="bounce")
    assert client.post("/mail/events", failed, content_type="application/json").status_code == 200
    assert state(mail) == MailState.BOUNCED


def test_a_temporary_failure_is_the_provider_s_to_try_again(settings: Settings, client: Client) -> None:
    settings.MAIL_WEBHOOK_KEYS = ("key",)
    mail = write()
    Mail.objects.update(state=MailState.SENDING, sending_since=timezone.now())
    told = body(mail, "failed", key="key", severity="temporary")
    client.post("/mail/events", told, content_type="application/json")
    assert state(mail) == MailState.SENT


@pytest.mark.parametrize("case", ["wrong key", "no key", "old", "no json", "no event", "changed token"])
def test_what_the_provider_did_not_sign_is_refused_and_changes_nothing(
    settings: Settings, client: Client, case: str
) -> None:
    settings.MAIL_WEBHOOK_KEYS = () if case == "no key" else ("key",)
    mail = write()
    sent = body(
        mail,
        "delivered",
        key="another" if case == "wrong key" else "key",
        at=time.time() - 2 * 86_400 if case == "old" else None,
    )
    sent = {"no json": "{", "no event": "[]", "changed token": sent.replace("0123", "3210", 1)}.get(
        case, sent
    )
    answer = client.post("/mail/events", sent, content_type="application/json")
    assert answer.status_code == 406
    assert (state(mail), MailEvent.objects.count()) == (MailState.QUEUED, 0)


def test_with_a_webhook_alone_a_mail_in_doubt_waits_for_it_and_is_then_sent_again(
    provider: Provider, settings: Settings
) -> None:
    settings.MAIL_EVENTS_URL, settings.MAIL_WEBHOOK_KEYS, settings.MAIL_EVENTS_LAG_SECONDS = "", ("key",), 300
    provider.misbehave(drop_in_text=1.0)
    mail = write()
    sending.deliver()
    settling.settle_doubts()
    assert state(mail) == MailState.SENDING
    Mail.objects.update(sending_since=timezone.now() - timedelta(seconds=301), next_attempt_at=timezone.now())
    settling.settle_doubts()
    assert state(mail) == MailState.QUEUED


def test_a_feed_with_a_wrong_key_or_that_is_away_changes_nothing(
    provider: Provider, settings: Settings
) -> None:
    write()
    sending.deliver()
    settings.MAIL_EVENTS_KEY = "wrong"
    assert settling.read_feed() == 0
    provider.misbehave(events_down=True)
    assert settling.read_feed() == 0
    assert outbox.find(["test:ada"]).get().state == MailState.SENT
