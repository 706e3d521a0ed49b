"""Senders killed at random: everybody gets exactly one mail, and every state is known in the end."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from advisories.models import Advisory
from mail import sending, settling
from mail.models import Contact, Mail, MailState
from provisioning.models import Plan, Resource
from tests.support.mailbox import Provider
from tests.support.stack import PROJECT, until

RECIPIENTS, KILLS = 120, 4
SENDER = (
    "import time, django; django.setup()\nfrom mail import sending\n"
    "while True:\n    sending.deliver()\n    time.sleep(0.05)\n"
)


@contextmanager
def senders(provider: Provider, number: int) -> Iterator[Callable[[], None]]:
    """Processes that send, and what kills one of them as `kill -9` does and starts another."""
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    environment = {
        **os.environ,
        **provider.environment,
        "DATABASE_URL": url,
        "MAIL_LEASE_SECONDS": "4",
        "MAIL_PER_SECOND": "60",
        "MAIL_EVENTS_LAG_SECONDS": "0",
    }
    argv = [sys.executable, "-c", SENDER]
    running = [subprocess.Popen(argv, cwd=PROJECT, env=environment) for _ in range(number)]

    def kill_one() -> None:
        victim = running.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        running.append(subprocess.Popen(argv, cwd=PROJECT, env=environment))

    try:
        yield kill_one
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.django_db(transaction=True)
def test_senders_killed_at_random_mail_everybody_exactly_once(
    plans: None, sent: Callable[..., Advisory], provider: Provider
) -> None:
    plan = Plan.objects.filter(service="mobiloud")[0]
    resources = Resource.objects.bulk_create(
        [
            Resource(
                uuid=f"00000000-0000-4000-8000-{number:012d}",
                service="mobiloud",
                plan=plan,
                state="provisioned",
                region="us",
            )
            for number in range(RECIPIENTS)
        ]
    )
    Contact.objects.bulk_create(
        [
            Contact(resource=one, email=f"user{number}@example.com", source="owner")
            for number, one in enumerate(resources)
        ]
    )
    provider.misbehave(drop_after_text=0.02, drop_in_text=0.02)
    sent(about={"scope": {"services": ["mobiloud"]}})
    chance = random.Random(3)
    with senders(provider, 2) as kill_one:
        for part in range(1, KILLS + 1):
            wanted = part * RECIPIENTS // (KILLS + 1)
            end = time.monotonic() + 120
            while len(provider.mails()) < wanted and time.monotonic() < end:
                time.sleep(chance.random() * 0.05)
            kill_one()

        def over() -> bool:
            settling.settle_doubts()
            return not Mail.objects.filter(state__in=("queued", "sending")).exists()

        until(over, seconds=120, every=0.2)
    assert dict(provider.counts()) == {f"user{number}@example.com": 1 for number in range(RECIPIENTS)}
    until(
        lambda: settling.read_feed() == 0 and not Mail.objects.exclude(state=MailState.DELIVERED).exists(),
        seconds=60,
    )
    assert sending.deliver() == 0
