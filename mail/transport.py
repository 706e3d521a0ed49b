"""Handing mails over, one connection for many; what each refusal means."""

import re
import smtplib
from collections.abc import Callable
from email.message import Message
from email.utils import formatdate, parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address

from mail.models import Mail


class Unreachable(Exception):
    """The server does not talk to us (now): nothing is wrong with the mail, and it was not sent."""


class TryLater(Exception):
    """The server refused this mail for now (4xx); it was not sent."""


class AddressRefused(Exception):
    """The server refused the recipient for good (5xx after RCPT)."""


class MailRefused(Exception):
    """The server refused the mail for good (5xx after MAIL or its text)."""


class InDoubt(Exception):
    """The text was sent and no answer came: the server may have accepted it."""


def build(mail: Mail) -> EmailMultiAlternatives:
    """The mail as it is sent, at every try the same but for its date."""
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.text,
        to=[mail.to],
        reply_to=[mail.reply_to] if mail.reply_to else None,
        headers={
            **mail.headers,
            "Message-ID": mail.message_id,
            "Date": formatdate(mail.created_at.timestamp()),
            # RFC 3834: nobody's holiday notice answers us.
            "Auto-Submitted": "auto-generated",
        },
    )
    if mail.html:
        message.attach_alternative(mail.html, "text/html")
    return message


class Transport:
    """A connection that is opened with the first mail, kept for the next, and renewed when the server ends it."""

    def __init__(self) -> None:
        """Opens nothing yet."""
        self._backend = get_connection()
        self._used = False

    def send(self, mail: Mail, *, before_text: Callable[[], bool]) -> bool:
        """Hand `mail` over. False when `before_text` said no.

        `before_text` is called when the server is ready for the text: it commits that the mail's end is open from
        here on. Raises the exceptions above; only InDoubt, and the caller's death, leave the end open.
        """
        try:
            message = build(mail)
            text = _as_text(message.message())
        except (ValueError, UnicodeError) as error:
            raise MailRefused(f"cannot be written: {type(error).__name__}") from None
        if not isinstance(self._backend, EmailBackend):
            if not before_text():
                return False
            try:
                self._backend.send_messages([message])
            except OSError as error:
                raise Unreachable(type(error).__name__) from None
            return True
        return self._send(self._backend, mail, text, before_text)

    def close(self) -> None:
        """End the connection."""
        self._used = False
        # Django's `close` sends QUIT, and a server that is gone is no reason to fail.
        try:
            self._backend.close()
        except OSError:
            pass

    def _send(self, backend: EmailBackend, mail: Mail, text: bytes, before_text: Callable[[], bool]) -> bool:
        try:
            smtp = self._prepare(backend, mail)
        except Unreachable:
            if not self._used:
                raise
            # A server may end a connection after so many mails, or so much silence: a fresh one decides.
            self._drop(backend)
            smtp = self._prepare(backend, mail)
        if not before_text():
            # The server waits for a text: only the end of the connection takes that back.
            self._drop(backend)
            return False
        try:
            smtp.send(text)
            code, answer = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop(backend)
            raise InDoubt(f"no answer to the text: {type(error).__name__}") from None
        self._used = True
        if code == 250:
            return True
        if code == 421:
            self._drop(backend)
        refusal = _told(code, answer)
        raise TryLater(refusal) if code < 500 else MailRefused(refusal)

    def _prepare(self, backend: EmailBackend, mail: Mail) -> smtplib.SMTP:
        """Bring the conversation to where the server waits for the text."""
        try:
            backend.open()
        except smtplib.SMTPException as error:
            raise Unreachable(f"{type(error).__name__}: {str(error)[:200]}") from None
        except OSError as error:
            raise Unreachable(f"{settings.EMAIL_HOST}: {type(error).__name__}") from None
        smtp = backend.connection
        if smtp is None:
            raise Unreachable("the connection could not be opened")
        sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
        try:
            steps: tuple[tuple[Callable[[], tuple[int, bytes]], type[Exception]], ...] = (
                (lambda: smtp.mail(sender), MailRefused),
                (lambda: smtp.rcpt(sanitize_address(mail.to, "utf-8")), AddressRefused),
                (lambda: smtp.docmd("DATA"), MailRefused),
            )
            for say, refused in steps:
                code, answer = say()
                if code == 421:
                    self._drop(backend)
                    raise Unreachable(_told(code, answer))
                if code not in (250, 251, 354):
                    smtp.rset()
                    self._used = True
                    raise TryLater(_told(code, answer)) if code < 500 else refused(_told(code, answer))
        except (OSError, smtplib.SMTPException) as error:
            self._drop(backend)
            raise Unreachable(f"the connection broke: {type(error).__name__}") from None
        return smtp

    def _drop(self, backend: EmailBackend) -> None:
        """Forget the connection without the politeness of QUIT."""
        self._used = False
        if backend.connection is not None:
            backend.connection.close()
            backend.connection = None


def _as_text(message: Message) -> bytes:
    """What follows DATA (RFC 5321, 4.5.2): lines end in CRLF, a dot at the beginning of one is doubled, a dot ends."""
    content = re.sub(rb"\r?\n|\r", b"\r\n", message.as_bytes().rstrip(b"\r\n"))
    return re.sub(rb"(?m)^\.", b"..", content) + b"\r\n.\r\n"


def _told(code: int, answer: bytes) -> str:
    return f"{code} {answer.decode('utf-8', 'replace')}"[:500]
