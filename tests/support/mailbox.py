"""The stand-in mail provider in a thread of the test, real over the network, with its inside to look at."""

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from local.mailbox.smtp import SmtpServer
from local.mailbox.store import Mailbox, Received
from local.mailbox.web import Web

API_KEY = "key-of-the-feed"


class Provider:
    """A running provider: where it listens, what it got, and how it shall misbehave."""

    def __init__(
        self, *, certificate: ssl.SSLContext | None = None, tls_from_the_start: bool = False
    ) -> None:
        self.mailbox = Mailbox()
        self.smtp = SmtpServer(self.mailbox, certificate=certificate, tls_from_the_start=tls_from_the_start)
        self.web = Web(self.mailbox, self.smtp, api_key=API_KEY)
        self.smtp_port = self.web_port = 0

    @property
    def events_url(self) -> str:
        """Mailgun's address of the events, here."""
        return f"http://127.0.0.1:{self.web_port}/v3/example.com/events"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to send through it."""
        return {
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(self.smtp_port),
            "EMAIL_SECURITY": "none",
            "EMAIL_TIMEOUT": "10",
            "MAIL_EVENTS_URL": self.events_url,
            "MAIL_EVENTS_KEY": API_KEY,
            "MAIL_EVENTS_LAG_SECONDS": "1",
        }

    def mails(self, recipient: str = "") -> list[Received]:
        """What was accepted, newest first."""
        return self.mailbox.mails(recipient=recipient)

    def counts(self) -> Counter[str]:
        """How often each address was mailed."""
        return Counter(mail.recipient for mail in self.mails())

    def misbehave(self, **faults: Any) -> None:
        """See `Faults`; without any the server is well again."""
        self.web.events_down = bool(faults.pop("events_down", False))
        self.smtp.misbehave(**faults)

    def reset(self) -> None:
        """Well again, and empty."""
        self.misbehave()
        self.mailbox.forget()


@contextmanager
def running_provider(
    *, certificate: ssl.SSLContext | None = None, tls_from_the_start: bool = False
) -> Iterator[Provider]:
    """A provider on ports of its own; with a certificate it offers STARTTLS, or wants TLS from the start."""
    provider = Provider(certificate=certificate, tls_from_the_start=tls_from_the_start)
    started = threading.Event()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(provider.web.application(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.web_port = runner.addresses[0][1]
        provider.smtp_port = await provider.smtp.start("127.0.0.1", 0)
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(provider.smtp.stop())
        loop.run_until_complete(runner.cleanup())
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run, name="mail-provider")
    thread.start()
    assert started.wait(60)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
