"""The mails that came, and what became of each."""

import email
import email.policy
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from email.message import EmailMessage
from itertools import islice
from typing import Any

KEPT_MOST = 50_000


@dataclass(frozen=True)
class Received:
    """One mail as it was accepted."""

    number: int
    at: float
    sender: str
    recipient: str
    message_id: str
    subject: str
    raw: bytes = field(repr=False)

    def parsed(self) -> EmailMessage:
        """Its parts."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    def text(self, kind: str) -> str:
        """Its `plain` or `html` text, empty when it has none."""
        part = self.parsed().get_body((kind,))
        return str(part.get_content()) if part is not None else ""


class Mailbox:
    """Everything that was accepted, newest last, and the events; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: deque[Received] = deque(maxlen=KEPT_MOST)
        self._events: deque[dict[str, Any]] = deque(maxlen=3 * KEPT_MOST)
        self._number = 0

    def accept(self, *, sender: str, recipient: str, raw: bytes) -> Received:
        """Keep a mail; the provider has it from here on."""
        headers = email.message_from_bytes(
            raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.default
        )
        with self._lock:
            self._number += 1
            mail = Received(
                number=self._number,
                at=time.time(),
                sender=sender,
                recipient=recipient,
                message_id=str(headers.get("Message-ID", "")).strip(),
                subject=str(headers.get("Subject", "")),
                raw=raw,
            )
            self._mails.append(mail)
        self.tell(mail, "accepted")
        return mail

    def tell(self, mail: Received, event: str, **more: Any) -> dict[str, Any]:
        """Write an event of a mail down in Mailgun's form, and return it."""
        with self._lock:
            told = {
                "id": f"{mail.number}-{event}-{len(self._events)}",
                "event": event,
                "timestamp": time.time(),
                "recipient": mail.recipient,
                "message": {"headers": {"message-id": mail.message_id.strip("<>"), "to": mail.recipient}},
                **more,
            }
            self._events.append(told)
        return told

    def mails(self, *, recipient: str = "") -> list[Received]:
        """The mails that are kept, newest first."""
        with self._lock:
            found = list(self._mails)
        return [mail for mail in reversed(found) if not recipient or mail.recipient == recipient]

    def find(self, number: int) -> Received | None:
        """One mail."""
        return next((mail for mail in self.mails() if mail.number == number), None)

    def events(
        self, *, message_id: str = "", begin: float = 0.0, start: int = 0, limit: int = 300
    ) -> list[dict[str, Any]]:
        """Events from `begin` on, oldest first, without the first `start` of them."""
        with self._lock:
            found = list(self._events)
        wanted = (
            event
            for event in found
            if event["timestamp"] >= begin
            and (not message_id or event["message"]["headers"]["message-id"] == message_id)
        )
        return list(islice(wanted, start, start + limit))

    def forget(self) -> None:
        """Empty the box."""
        with self._lock:
            self._mails.clear()
            self._events.clear()
