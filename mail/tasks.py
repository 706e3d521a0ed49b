"""Celery's door: each task calls one function."""

from celery import current_app, shared_task
from django.conf import settings

from mail import contacts_reading, retention, sending, settling
from mail.sending import BATCH

_LEASE = settings.MAIL_LEASE_SECONDS


@shared_task(name="mail.deliver", time_limit=_LEASE * 0.9, soft_time_limit=_LEASE * 0.8)
def deliver(*_: int) -> None:
    """Send what is due; when that is more than one batch, others are woken first."""
    if sending.number_due() > BATCH:
        wake_all()
    sending.deliver()


@shared_task(name="mail.assist", time_limit=_LEASE * 0.9, soft_time_limit=_LEASE * 0.8)
def assist() -> None:
    """Send what is due beside others."""
    sending.deliver()


@shared_task(name="mail.sweep", time_limit=110, soft_time_limit=100)
def sweep() -> None:
    """Look after mails in doubt, and wake workers for what is due."""
    while settling.settle_doubts() == settling.DOUBTS_AT_ONCE:
        pass
    if sending.number_due():
        wake_all()


@shared_task(name="mail.read_feed", time_limit=300, soft_time_limit=280)
def read_feed() -> None:
    """Take over the provider's events."""
    settling.read_feed()


@shared_task(name="mail.read_contacts", time_limit=110, soft_time_limit=100)
def read_contacts() -> None:
    """Ask Heroku for the people of some resources' apps."""
    contacts_reading.read_due()


@shared_task(name="mail.purge", time_limit=1800, soft_time_limit=1700)
def purge() -> None:
    """Delete what is older than it is to be kept."""
    retention.purge()


def wake_all() -> None:
    """As many senders as there is work for."""
    number = min(settings.MAIL_WORKERS, -(-sending.number_due() // BATCH))
    for _ in range(number):
        current_app.send_task("mail.assist", queue="notices", expires=30, retry=False)
