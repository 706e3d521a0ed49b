"""Posting, sending over SMTP, and what each of the server's answers leads to."""

import time
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from mail import outbox, pace, sending, settling
from mail.models import Mail, MailState, Pace
from mail.transport import Transport
from tests.support.mailbox import Provider

pytestmark = pytest.mark.django_db


def write(name: str = "ada", **changes: Any) -> Mail:
    """A letter to somebody."""
    letter: dict[str, Any] = {
        "key": f"test:{name}",
        "to": f"{name}@example.com",
        "subject": "About your add-on",
        "text": "Hello\n.a line with a dot\nÜmläut",
        "html": "<p>Hello</p>",
        **changes,
    }
    return outbox.post(**letter)


def state(mail: Mail) -> str:
    mail.refresh_from_db()
    return mail.state


def test_a_letter_arrives_whole_in_text_and_html_with_the_message_id_of_its_key(provider: Provider) -> None:
    mail = write(reply_to="support@example.com", headers={"X-Advisory": "ADV-1"})
    assert sending.deliver() == 1
    assert state(mail) == MailState.SENT
    [got] = provider.mails()
    message = got.parsed()
    assert isinstance(message, EmailMessage)
    assert got.recipient == message["To"] == "ada@example.com"
    assert got.text("plain").replace("\r", "").strip() == "Hello\n.a line with a dot\nÜmläut"
    assert got.text("html").strip() == "<p>Hello</p>"
    assert got.message_id == mail.message_id == outbox.message_id_of("test:ada")
    assert (message["Reply-To"], message["X-Advisory"]) == ("support@example.com", "ADV-1")
    assert message["Auto-Submitted"] == "auto-generated"


def test_the_same_key_is_one_mail_whatever_it_says(provider: Provider) -> None:
    first = write()
    assert write(subject="Another").pk == first.pk
    sending.deliver()
    write(subject="A third")
    sending.deliver()
    assert [mail.subject for mail in provider.mails()] == ["About your add-on"]


def test_what_is_rolled_back_was_never_posted(provider: Provider) -> None:
    with transaction.atomic():
        write()
        transaction.set_rollback(True)
    assert sending.deliver() == 0
    assert not Mail.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"to": "nobody"},
        {"to": "a@example.com\nBcc: b@example.com"},
        {"key": ""},
        {"text": ""},
        {"headers": {"X-A": "b\r\nBcc: c@example.com"}},
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        write(**change)


def test_many_mails_share_a_connection_and_urgent_ones_go_first(provider: Provider) -> None:
    before = provider.smtp.connections
    for number in range(30):
        write(f"user{number}")
    write("urgent", urgent=True)
    assert sending.deliver() == 31
    assert provider.smtp.connections == before + 1
    assert provider.mails()[-1].recipient == "urgent@example.com"


def test_an_address_the_server_does_not_know_has_bounced_and_is_not_tried_again(provider: Provider) -> None:
    provider.misbehave(unknown_addresses=["ada@example.com"])
    mail, other = write(), write("bob")
    sending.deliver()
    assert (state(mail), state(other)) == (MailState.BOUNCED, MailState.SENT)
    assert "no such user" in mail.last_error
    provider.misbehave()
    assert sending.deliver() == 0


def test_a_refusal_for_now_is_tried_again_with_growing_pauses_until_seventy_two_hours_are_over(
    provider: Provider,
) -> None:
    provider.misbehave(try_later=1.0)
    mail, pauses = write(), []
    for _ in range(9):
        sending.deliver()
        assert state(mail) == MailState.QUEUED
        pauses.append(mail.next_attempt_at - timezone.now())
        Mail.objects.update(next_attempt_at=timezone.now())
    assert timedelta(seconds=10) < pauses[0] < timedelta(seconds=31)
    assert timedelta(minutes=25) < pauses[-1] <= timedelta(hours=1)
    assert mail.give_up_at - mail.created_at > timedelta(hours=71, minutes=59)
    Mail.objects.update(give_up_at=timezone.now() + timedelta(seconds=30))
    sending.deliver()
    assert state(mail) == MailState.FAILED
    assert "451" in mail.last_error
    assert provider.mails() == []


def test_a_server_that_is_away_costs_no_try_and_pauses_everybody(
    provider: Provider, settings: Settings
) -> None:
    mail = write()
    settings.EMAIL_PORT = 1  # nobody listens there
    assert sending.deliver() == 0
    assert (state(mail), mail.attempt, mail.lease_token) == (MailState.QUEUED, 0, None)
    assert pace.is_paused()
    settings.EMAIL_PORT = provider.smtp_port
    assert sending.deliver() == 0
    Pace.objects.update(paused_until=timezone.now())
    assert sending.deliver() == 1
    assert Pace.objects.get().failures == 0


@pytest.mark.parametrize("fault", ["refuse_connection", "drop_before_text"])
def test_a_connection_that_breaks_before_the_text_leaves_no_doubt(provider: Provider, fault: str) -> None:
    provider.misbehave(**{fault: 1.0})
    mail = write()
    sending.deliver()
    assert (state(mail), mail.doubts) == (MailState.QUEUED, 0)
    provider.misbehave()
    Pace.objects.update(paused_until=timezone.now())
    sending.deliver()
    assert len(provider.mails()) == 1


def test_a_connection_that_breaks_after_the_text_is_settled_by_the_feed_and_nothing_is_sent_twice(
    provider: Provider,
) -> None:
    provider.misbehave(drop_after_text=1.0)
    mail = write()
    sending.deliver()
    assert state(mail) == MailState.SENDING
    provider.misbehave()
    assert settling.settle_doubts() == 1
    assert state(mail) in (MailState.SENT, MailState.DELIVERED)
    sending.deliver()
    assert len(provider.mails()) == 1


def test_a_connection_that_breaks_within_the_text_is_sent_again_because_the_feed_does_not_know_it(
    provider: Provider,
) -> None:
    provider.misbehave(drop_in_text=1.0)
    mail = write()
    sending.deliver()
    assert state(mail) == MailState.SENDING
    assert sending.deliver() == 0
    provider.misbehave()
    settling.settle_doubts()
    assert (state(mail), mail.doubts) == (MailState.QUEUED, 1)
    sending.deliver()
    assert [got.message_id for got in provider.mails()] == [mail.message_id]


def test_a_feed_that_is_away_is_waited_for_and_after_an_hour_no_longer(provider: Provider) -> None:
    provider.misbehave(drop_in_text=1.0, events_down=True)
    mail = write()
    sending.deliver()
    settling.settle_doubts()
    assert state(mail) == MailState.SENDING
    assert mail.next_attempt_at > timezone.now() + timedelta(seconds=20)
    Mail.objects.update(sending_since=timezone.now() - settling.FEED_PATIENCE, next_attempt_at=timezone.now())
    settling.settle_doubts()
    assert state(mail) == MailState.QUEUED


def test_without_a_feed_a_mail_in_doubt_is_sent_again_with_the_same_message_id(
    provider: Provider, settings: Settings
) -> None:
    settings.MAIL_EVENTS_URL = ""
    provider.misbehave(drop_after_text=1.0)
    write()
    sending.deliver()
    provider.misbehave()
    settling.settle_doubts()
    sending.deliver()
    assert len({got.message_id for got in provider.mails()}) == 1
    assert len(provider.mails()) == 2


def test_a_sender_that_died_holding_a_mail_is_taken_over_when_its_lease_is_over(provider: Provider) -> None:
    mail = write()
    [claimed] = sending._claim()
    assert claimed.pk == mail.pk
    assert sending.deliver() == 0
    Mail.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sending.deliver() == 1


def test_one_who_comes_too_late_does_not_send(provider: Provider) -> None:
    mail = write()
    [late] = sending._claim()
    Mail.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sending.deliver() == 1
    sending._send_batch(Transport(), [late])
    assert len(provider.mails(mail.to)) == 1
    assert state(mail) == MailState.SENT


def test_mails_leave_at_the_shared_pace(provider: Provider, settings: Settings) -> None:
    settings.MAIL_PER_SECOND = 20.0
    for number in range(10):
        write(f"user{number}")
    Pace.objects.filter(pk=1).update(next_slot_at=timezone.now())
    began = time.monotonic()
    sending.deliver()
    assert time.monotonic() - began >= 0.44  # nine slots of a twentieth after the first


def test_a_second_worker_s_slots_come_after_those_of_the_first(db: None, settings: Settings) -> None:
    settings.MAIL_PER_SECOND = 0.01
    assert pace.reserve(2) == 0.0
    assert 100 < pace.reserve(1) <= 200
    assert 200 < pace.reserve(1) <= 300


def test_without_a_server_mails_go_to_django_s_backend(settings: Settings, woken: object) -> None:
    from django.core import mail as django_mail

    write()
    assert sending.deliver() == 1
    assert [message.to for message in django_mail.outbox] == [["ada@example.com"]]
