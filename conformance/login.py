"""The customer's browser: Heroku's single sign-on form, and the session that follows."""

import hashlib
import time
import uuid as uuids
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from conformance.exchange import Exchange
from conformance.partner import new_session, send
from conformance.target import Target

_MOST_REDIRECTS = 10
EMAIL = "developer@example.com"


def form(
    target: Target,
    uuid: str,
    *,
    provider_id: str = "",
    age: float = 0.0,
    salt: str = "",
    signed_uuid: str = "",
) -> dict[str, str]:
    """The fields that Heroku posts, with every token it has.

    `age` is how many seconds old the timestamp is (negative: ahead), `salt` and `signed_uuid` replace what the tokens
    are made of. Source of the formulas: Dev Center, "Add-on Single Sign-on", and its older editions for v1's `token`.
    """
    timestamp = str(int(time.time() - age))
    user, salt, signed = str(uuids.uuid4()), salt or target.sso_salt, signed_uuid or uuid
    return {
        "resource_id": uuid,
        "id": provider_id or uuid,
        "timestamp": timestamp,
        "user_id": user,
        "email": EMAIL,
        "app": "example-app",
        "context_app": "example-app",
        "nav-data": "e30=",
        **tokens(salt=salt, uuid=signed, provider_id=provider_id or signed, timestamp=timestamp, user=user),
    }


def tokens(*, salt: str, uuid: str, provider_id: str, timestamp: str, user: str) -> dict[str, str]:
    """The three tokens: with the user, without, and v1's."""
    plain = f"{uuid}:{salt}:{timestamp}"
    return {
        "user_scoped_resource_token": hashlib.sha256(f"{plain}:{user}:{EMAIL}".encode()).hexdigest(),
        "resource_token": _sha1(plain),
        "token": _sha1(f"{provider_id}:{salt}:{timestamp}"),
    }


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def without(fields: dict[str, str], *names: str) -> dict[str, str]:
    """The form without some of its fields."""
    return {name: value for name, value in fields.items() if name not in names}


def query(fields: dict[str, str]) -> str:
    """The fields as the query of an address."""
    return urlencode(fields)


class Browser:
    """One browser with its cookies; every answer is recorded in `journal`."""

    def __init__(self, target: Target, journal: list[Exchange]) -> None:
        self.target, self.journal = target, journal
        self.session = new_session()
        # Browsers take this machine for safe, and send it cookies that say Secure over plain http as well.
        if _is_this_machine(target.sso_url):
            self.session.cookies.set_policy(DefaultCookiePolicy(secure_protocols=("https", "http")))

    def post(self, fields: dict[str, str]) -> Exchange:
        """Post the form to the SSO address; the first answer."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        return self._send("POST", self.target.sso_url, headers, query(fields).encode())

    def get(self, url: str) -> Exchange:
        """Open an address; the first answer."""
        return self._send("GET", url, {"Accept": "text/html"}, None)

    def follow(self, answer: Exchange) -> Exchange:
        """Follow redirects from an answer to the page at their end."""
        for _ in range(_MOST_REDIRECTS):
            location = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308) or not location:
                return answer
            answer = self.get(urljoin(answer.url, location))
        return answer

    def _send(
        self, method: str, url: str, headers: dict[str, str | None] | Any, data: bytes | None
    ) -> Exchange:
        exchange = send(self.session, method, url, headers=headers, data=data, limit=self.target.answer_limit)
        exchange = Exchange(**{**exchange.__dict__, "partner": False})
        self.journal.append(exchange)
        return exchange


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
