"""An SMTP server on asyncio (RFC 5321: EHLO, HELO, MAIL, RCPT, DATA, RSET, NOOP, QUIT), with faults to order.

With a certificate it also speaks STARTTLS (RFC 3207) or TLS from the start (RFC 8314), and then takes AUTH PLAIN.
"""

import asyncio
import contextlib
import random
import re
import ssl
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from local.mailbox.store import Mailbox, Received

_ADDRESS = re.compile(rb"(?i)^(?:FROM|TO):\s*<([^<>]*)>")
MAIL_LARGEST = 20 * 1024 * 1024

Teller = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Faults:
    """How the server misbehaves: shares from 0 to 1 of conversations, and addresses with a fate."""

    refuse_connection: float = 0.0
    """421 instead of a greeting."""
    drop_before_text: float = 0.0
    drop_in_text: float = 0.0
    """The connection breaks while the text comes: it was not accepted."""
    drop_after_text: float = 0.0
    """It was accepted, and the connection breaks before the answer."""
    try_later: float = 0.0
    """451 after RCPT."""
    delay_seconds: float = 0.0
    """Before each answer to a text."""
    bounce_later: float = 0.0
    """Accepted, and the event says that it could not be delivered."""
    seed: int = 1
    unknown_addresses: list[str] = field(default_factory=list)
    """550 after RCPT."""
    bouncing_addresses: list[str] = field(default_factory=list)
    """Accepted, and bounced later."""


class SmtpServer:
    """One server; every accepted mail goes to `mailbox`, and what becomes of it is told there."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        certificate: ssl.SSLContext | None = None,
        tls_from_the_start: bool = False,
    ) -> None:
        self.mailbox, self.faults = mailbox, Faults()
        self._certificate, self._tls_from_the_start = certificate, tls_from_the_start
        self.logins: list[str] = []
        """User and password of each AUTH PLAIN, with a NUL between; any are let in."""
        self._tell: Teller | None = None
        self._chance = random.Random(self.faults.seed)  # noqa: S311
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    def tell_with(self, tell: Teller) -> None:
        """Await `tell(event)` with each event that is not `accepted`: for webhooks."""
        self._tell = tell

    def misbehave(self, **faults: Any) -> None:
        """Replace the faults; without any the server is well again. TypeError for one it does not know."""
        self.faults = Faults(**faults)
        self._chance = random.Random(self.faults.seed)  # noqa: S311

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port."""
        context = self._certificate if self._tls_from_the_start else None
        self._server = await asyncio.start_server(self._converse, host, port, limit=MAIL_LARGEST, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening; conversations under way end with the loop."""
        if self._server:
            self._server.close()

    def _happens(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._talk(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")
            await writer.drain()

        encrypted = self._certificate is not None and self._tls_from_the_start
        if self._happens(self.faults.refuse_connection):
            await say("421 too busy, come again")
            return
        await say("220 mailbox ready")
        sender: str | None = None
        recipients: list[str] = []
        while line := await reader.readline():
            verb, _, rest = line.strip().partition(b" ")
            match verb.upper():
                case b"EHLO":
                    offers = [*(["AUTH PLAIN"] if encrypted else []), "8BITMIME", "SMTPUTF8", "PIPELINING"]
                    if self._certificate and not encrypted:
                        offers.insert(0, "STARTTLS")
                    await say(
                        "250-mailbox\r\n"
                        + "".join(f"250-{offer}\r\n" for offer in offers[:-1])
                        + f"250 {offers[-1]}"
                    )
                case b"STARTTLS" if self._certificate and not encrypted:
                    await say("220 go ahead")
                    await writer.start_tls(self._certificate)
                    encrypted, sender, recipients = True, None, []
                case b"AUTH" if encrypted and rest.upper().startswith(b"PLAIN "):
                    self.logins.append(b64decode(rest[6:]).decode(errors="replace").strip("\0"))
                    await say("235 2.7.0 welcome")
                case b"HELO" | b"NOOP":
                    await say("250 fine")
                case b"MAIL" if (found := _ADDRESS.match(rest)) and sender is None:
                    sender, recipients = found[1].decode(errors="replace"), []
                    await say("250 fine")
                case b"RCPT" if (found := _ADDRESS.match(rest)) and sender is not None:
                    address = found[1].decode(errors="replace")
                    if address in self.faults.unknown_addresses:
                        await say("550 5.1.1 no such user")
                    elif self._happens(self.faults.try_later):
                        await say("451 4.3.0 try again later")
                    else:
                        recipients.append(address)
                        await say("250 fine")
                case b"DATA" if recipients and sender is not None:
                    if self._happens(self.faults.drop_before_text):
                        return
                    await say("354 end with a dot")
                    if not await self._take_text(reader, say, sender, recipients):
                        return
                    sender, recipients = None, []
                case b"RSET":
                    sender, recipients = None, []
                    await say("250 fine")
                case b"QUIT":
                    await say("221 bye")
                    return
                case b"MAIL" | b"RCPT" | b"DATA":
                    await say("503 5.5.1 not now")
                case _:
                    await say("502 5.5.2 not known here")

    async def _take_text(
        self, reader: asyncio.StreamReader, say: Any, sender: str, recipients: list[str]
    ) -> bool:
        """False when the connection is to break."""
        if self._happens(self.faults.drop_in_text):
            await reader.read(64)
            return False
        text = await reader.readuntil(b"\r\n.\r\n")
        raw = re.sub(rb"(?m)^\.\.", b".", text[:-3])
        for recipient in recipients:
            mail = self.mailbox.accept(sender=sender, recipient=recipient, raw=raw)
            task = asyncio.get_running_loop().create_task(self._pass_on(mail))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self.faults.delay_seconds:
            await asyncio.sleep(self.faults.delay_seconds)
        if self._happens(self.faults.drop_after_text):
            return False
        await say("250 2.0.0 accepted")
        return True

    async def _pass_on(self, mail: Received) -> None:
        if mail.recipient in self.faults.bouncing_addresses or self._happens(self.faults.bounce_later):
            event = self.mailbox.tell(
                mail,
                "failed",
                severity="permanent",
                reason="bounce",
                **{"delivery-status": {"code": 550, "message": "5.1.1 no such user"}},
            )
        else:
            event = self.mailbox.tell(
                mail, "delivered", **{"delivery-status": {"code": 250, "message": "OK"}}
            )
        if self._tell:
            await self._tell(event)
