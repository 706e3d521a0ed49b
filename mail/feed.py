"""The provider's feed of what became of each mail, in Mailgun's form: asked for, or sent to us signed.

Sources: Mailgun's user manual, "Events" (event types and fields) and "Securing Webhooks" (the signature).
"""

import contextlib
import hashlib
import hmac
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings

from mail.models import MailEventKind

PAGE = 300
PAGES_MOST = 400
WEBHOOK_AGE_SECONDS = 86_400
"""A signed event may be this old: Mailgun repeats one for eight hours, and what it says is harmless to hear twice."""


class FeedDown(Exception):
    """The feed did not answer, or not in its form."""


class BadEvent(Exception):
    """What was sent to us is not signed with our key, or not an event."""


@dataclass(frozen=True)
class FeedEvent:
    """One event: the provider's id of it, the Message-ID with its angle brackets, what happened and when."""

    event_id: str
    message_id: str
    kind: MailEventKind
    at: datetime
    detail: str = ""


def is_pulled() -> bool:
    """Whether the provider can be asked."""
    return bool(settings.MAIL_EVENTS_URL)


def is_pushed() -> bool:
    """Whether the provider tells us by itself."""
    return bool(settings.MAIL_WEBHOOK_KEYS)


def events_of(message_id: str) -> list[FeedEvent]:
    """What the provider knows of one mail, nothing when it never had it. FeedDown when it cannot be asked."""
    return [
        event
        for page in _pages({"message-id": message_id.strip("<>"), "limit": str(PAGE), "ascending": "yes"})
        for event in page
        if event.message_id == message_id
    ]


def events_since(begin: datetime) -> Iterator[list[FeedEvent]]:
    """Pages of all events from `begin` on, oldest first. FeedDown when it cannot be asked (any more)."""
    # Cut off, not rounded: rounding up would leave out what happened within that millisecond.
    milliseconds = math.floor(begin.timestamp() * 1000)
    return _pages({"begin": f"{milliseconds / 1000:.3f}", "ascending": "yes", "limit": str(PAGE)})


def _pages(query: Mapping[str, str]) -> Iterator[list[FeedEvent]]:
    url, parameters = settings.MAIL_EVENTS_URL, dict(query)
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(PAGES_MOST):
            try:
                answer = session.get(
                    url,
                    params=parameters,
                    auth=("api", settings.MAIL_EVENTS_KEY),
                    timeout=(3.05, 15),
                    allow_redirects=False,
                )
                if answer.status_code != 200:
                    raise FeedDown(f"events: {answer.status_code}")
                document = answer.json()
                items, following = document["items"], document.get("paging", {}).get("next", "")
            except (requests.RequestException, ValueError, KeyError, AttributeError, TypeError) as error:
                raise FeedDown(f"events: {type(error).__name__}") from None
            if not items:
                return
            yield [event for item in items if (event := _event(item)) is not None]
            if not following or urlsplit(following).netloc != urlsplit(settings.MAIL_EVENTS_URL).netloc:
                return  # our key goes to the provider's host only
            url, parameters = following, {}


def read_webhook(document: Any) -> FeedEvent | None:
    """The event of a webhook's JSON body, None for one that says nothing about delivery.

    BadEvent unless it is signed with one of our keys and not too old.
    """
    try:
        signature = document["signature"]
        timestamp, token, given = (str(signature[name]) for name in ("timestamp", "token", "signature"))
        event = document["event-data"]
        age = abs(time.time() - float(timestamp))
    except (TypeError, KeyError, ValueError):
        raise BadEvent("not an event") from None
    if age > WEBHOOK_AGE_SECONDS:
        raise BadEvent("too old")
    expected = [
        hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
        for key in settings.MAIL_WEBHOOK_KEYS
    ]
    if not any(hmac.compare_digest(one, given) for one in expected):
        raise BadEvent("wrong signature")
    return _event(event)


def _event(item: Any) -> FeedEvent | None:
    """Mailgun's event as ours; None when it is of another kind, or not to be read."""
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        name, status = item["event"], item.get("delivery-status") or {}
        kind = {
            "accepted": MailEventKind.ACCEPTED,
            "delivered": MailEventKind.DELIVERED,
            "complained": MailEventKind.COMPLAINED,
            "rejected": MailEventKind.BOUNCED,
        }.get(name)
        if name == "failed":
            permanent = item.get("severity") == "permanent"
            kind = MailEventKind.BOUNCED if permanent else MailEventKind.DEFERRED
        if kind is None:
            return None
        said = " ".join(
            str(part)
            for part in (
                item.get("reason"),
                status.get("code"),
                status.get("message") or status.get("description"),
            )
            if part
        )
        message_id = str(item["message"]["headers"]["message-id"]).strip("<>")
        return FeedEvent(
            event_id=str(item["id"])[:120],
            message_id=f"<{message_id}>",
            kind=kind,
            at=datetime.fromtimestamp(float(item["timestamp"]), UTC),
            detail=said[:1000],
        )
    return None
