"""The provider's web side: the mails to look at, the events in Mailgun's form, and the switch for faults."""

import hashlib
import hmac
import html
import secrets
import time
from base64 import b64decode
from typing import Any

import aiohttp
from aiohttp import web

from local.mailbox.smtp import SmtpServer
from local.mailbox.store import Mailbox, Received

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .4rem .6rem; vertical-align: top;
border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); } pre { white-space: pre-wrap; }
iframe { width: 100%; height: 40rem; border: 1px solid; background: white; } .muted { opacity: .75; }
"""
_SECURITY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; img-src data:; base-uri 'none'"


class Web:
    """The handlers; `api_key` guards the events, `webhook` gets each event signed with `webhook_key`."""

    def __init__(
        self, mailbox: Mailbox, smtp: SmtpServer, *, api_key: str, webhook: str = "", webhook_key: str = ""
    ) -> None:
        self.mailbox, self.smtp = mailbox, smtp
        self._api_key, self._webhook, self._webhook_key = api_key, webhook, webhook_key
        self.events_down = False

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self.index),
                web.get("/health", self.health),
                web.get("/mails", self.listed),
                web.get("/mails/{number:[0-9]+}", self.one),
                web.get("/mails/{number:[0-9]+}/html", self.one_html),
                web.delete("/mails", self.forget),
                web.put("/faults", self.faults),
                web.get("/v3/{domain}/events", self.events),
            ]
        )
        return application

    async def health(self, request: web.Request) -> web.Response:
        """Alive."""
        return web.json_response({"status": "alive"})

    async def listed(self, request: web.Request) -> web.Response:
        """Every mail's envelope as JSON, for tests."""
        found = self.mailbox.mails(recipient=request.query.get("recipient", ""))
        return web.json_response(
            {"mails": [_envelope(mail) for mail in found], "connections": self.smtp.connections}
        )

    async def forget(self, request: web.Request) -> web.Response:
        """Empty the box."""
        self.mailbox.forget()
        return web.json_response({"status": "empty"})

    async def faults(self, request: web.Request) -> web.Response:
        """Misbehave from now on as the JSON body says; see `Faults`. `events_down` takes the events away."""
        try:
            wanted = await request.json()
            self.events_down = bool(wanted.pop("events_down", False))
            self.smtp.misbehave(**wanted)
        except (ValueError, TypeError, AttributeError) as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from None
        return web.json_response({"status": "armed"})

    async def events(self, request: web.Request) -> web.Response:
        """A page of events, as Mailgun's `GET /v3/<domain>/events` answers."""
        if self.events_down:
            raise web.HTTPServiceUnavailable
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        expected = f"api:{self._api_key}"
        if not hmac.compare_digest(_decoded(given), expected):
            raise web.HTTPUnauthorized
        query = request.query
        start, limit = int(query.get("start", "0")), min(int(query.get("limit", "100")), 300)
        items = self.mailbox.events(
            message_id=query.get("message-id", ""),
            begin=float(query.get("begin", "0")),
            start=start,
            limit=limit,
        )
        following = request.url.update_query(start=str(start + limit), limit=str(limit))
        return web.json_response({"items": items, "paging": {"next": str(following)}})

    async def tell(self, event: dict[str, Any]) -> None:
        """Send one event to the webhook, signed; tried a few times."""
        if not self._webhook:
            return
        timestamp, token = str(int(time.time())), secrets.token_hex(25)
        signature = hmac.new(
            self._webhook_key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256
        ).hexdigest()
        body = {
            "signature": {"timestamp": timestamp, "token": token, "signature": signature},
            "event-data": event,
        }
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            for _ in range(3):
                try:
                    async with session.post(self._webhook, json=body) as answer:
                        if answer.status in (200, 406):
                            return
                except (aiohttp.ClientError, TimeoutError):
                    continue

    async def index(self, request: web.Request) -> web.Response:
        """The newest mails, for people."""
        rows = "".join(
            f"<tr><td><a href='/mails/{mail.number}'>{html.escape(mail.subject) or '(no subject)'}</a></td>"
            f"<td>{html.escape(mail.recipient)}</td><td>{time.strftime('%H:%M:%S', time.gmtime(mail.at))}</td></tr>"
            for mail in self.mailbox.mails()[:200]
        )
        table = (
            f"<table><tr><th>Subject</th><th>To</th><th>At (UTC)</th></tr>{rows}</table>"
            if rows
            else "<p>No mail yet. What the provider sends on this machine ends here, and nowhere else.</p>"
        )
        return _page("Mailbox", f"<h1>Mailbox</h1>{table}")

    async def one(self, request: web.Request) -> web.Response:
        """One mail: its headers, its text, its HTML in a frame, and what became of it."""
        mail = self._found(request)
        headers = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in mail.parsed().items()
        )
        told = self.mailbox.events(message_id=mail.message_id.strip("<>"))
        events = ", ".join(event["event"] for event in told)
        content = (
            f"<p><a href='/'>Mailbox</a></p><h1>{html.escape(mail.subject)}</h1><table>{headers}</table>"
        )
        content += f"<p class='muted'>Events: {html.escape(events)}</p>"
        content += f"<h2>Text</h2><pre>{html.escape(mail.text('plain'))}</pre>"
        if mail.text("html"):
            content += f"<h2>HTML</h2><iframe sandbox title='HTML' src='/mails/{mail.number}/html'></iframe>"
        if "application/json" in request.headers.get("Accept", ""):
            parts = {"text": mail.text("plain"), "html": mail.text("html")}
            return web.json_response({**_envelope(mail), **parts, "headers": dict(mail.parsed().items())})
        return _page(mail.subject, content)

    async def one_html(self, request: web.Request) -> web.Response:
        """The HTML of one mail by itself, without scripts and without the network."""
        return _answer(self._found(request).text("html"))

    def _found(self, request: web.Request) -> Received:
        mail = self.mailbox.find(int(request.match_info["number"]))
        if mail is None:
            raise web.HTTPNotFound
        return mail


def _envelope(mail: Received) -> dict[str, Any]:
    return {
        "number": mail.number,
        "recipient": mail.recipient,
        "sender": mail.sender,
        "message_id": mail.message_id,
        "subject": mail.subject,
        "at": mail.at,
    }


def _decoded(given: str) -> str:
    try:
        return b64decode(given).decode()
    except ValueError:
        return ""


def _page(title: str, content: str) -> web.Response:
    return _answer(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style><body>{content}</body></html>"
    )


def _answer(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _SECURITY})
