"""Fetching addresses that customers name, without letting them reach what only we can reach.

The host is resolved once, every address it has must be public, and the connection goes to an address that was
checked: a name that answers differently a moment later (DNS rebinding) changes nothing. Redirects are followed here,
each checked anew; size and time have limits, and no credentials, cookies or proxies are used.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import certifi
import idna
from django.conf import settings

from provisioning.services import Refusal

URL_LONGEST = 2000
_REDIRECTS = 5
_CHUNK = 16_384
_CONNECT_SECONDS = 4.0
_ADDRESSES_TRIED = 3
_PATH_SAFE = "/%:@!$&'()*+,;=-._~?[]"
_TLS = ssl.create_default_context(cafile=certifi.where())
_AGENT = "Addonworks-SiteCheck/1.0"
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_FORBIDDEN_IN_URL = frozenset(chr(code) for code in (*range(0x21), 0x7F)) | {"\\", "<", ">", '"'}
# Addresses that only carry an IPv4 one: what counts is the address inside.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HOST = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_resolver = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


class AddressRefused(Refusal):
    """The address is not one that we fetch: not http(s), with credentials, or not public."""

    def __init__(self, message: str) -> None:
        """A sentence for the customer."""
        super().__init__(message, code="address_refused")


class FetchFailed(Refusal):
    """The address is fine, but nothing useful came from it."""

    def __init__(self, message: str) -> None:
        """A sentence for the customer."""
        super().__init__(message, code="fetch_failed")


@dataclass(frozen=True)
class Fetched:
    """What came back: `url` after redirects, header names in lower case, and the first bytes of the body."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool


def check_url(url: str) -> SplitResult:
    """The parts of a public http(s) address as it is written; AddressRefused names what is wrong. Asks no network."""
    if len(url) > URL_LONGEST:
        raise AddressRefused(f"The address is longer than {URL_LONGEST} characters.")
    if not url or any(character in _FORBIDDEN_IN_URL for character in url):
        raise AddressRefused("Enter a whole address without spaces, such as https://www.example.com.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("That is not an address. Enter one such as https://www.example.com.") from None
    if parts.scheme not in ("http", "https"):
        raise AddressRefused("Only addresses that begin with https:// or http:// can be used.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("Leave the user name and password out of the address.")
    if not parts.hostname:
        raise AddressRefused("The address names no site. Enter one such as https://www.example.com.")
    if port is not None and port < 1024 and port not in (80, 443):
        raise AddressRefused(f"Port {port} is not one that web sites use.")
    host = _ascii_host(parts.hostname)
    if literal := _literal(host):
        _check_address(literal, port or _default_port(parts.scheme))
    elif "." not in host:
        raise AddressRefused(f"{parts.hostname} is not a public site. Enter its full name.")
    return parts


def origin_of(url: str) -> str:
    """The origin of a public address as browsers write it: ASCII, lower case, without a port that goes without saying.

    Safe to stand in a header. AddressRefused as `check_url`.
    """
    parts = check_url(url)
    host = _ascii_host(parts.hostname or "")
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _default_port(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"


def fetch(
    url: str,
    *,
    seconds: float = 8.0,
    largest: int = 1_000_000,
    accept: str = "*/*",
    redirects: int = _REDIRECTS,
) -> Fetched:
    """GET `url` and read at most `largest` bytes within `seconds` in all, redirects included.

    AddressRefused when the address, or one it redirects to, is not a public web address; FetchFailed when there is
    no answer. Any status is an answer.
    """
    end = time.monotonic() + seconds
    for _ in range(redirects + 1):
        parts = check_url(url)
        answer = _get(parts, url, end=end, largest=largest, accept=accept)
        target = answer.headers.get("location")
        if answer.status not in _REDIRECT_STATUS or not target:
            return answer
        url = urljoin(url, target)
    raise FetchFailed("The site redirects too many times.")


def public_addresses(host: str, port: int, *, seconds: float = 5.0) -> list[str]:
    """Every address of `host`, all of them public; AddressRefused otherwise, FetchFailed when it has none."""
    ascii_host = _ascii_host(host)
    try:
        found = _resolver.submit(_resolve, ascii_host, port).result(timeout=max(0.05, seconds))
    except (OSError, UnicodeError):
        raise FetchFailed(f"There is no site called {host}. Check the spelling.") from None
    except FutureTimeout:
        raise FetchFailed(f"Looking up {host} took too long. Try again in a minute.") from None
    addresses = list(dict.fromkeys(found))
    for address in addresses:
        _check_address(ipaddress.ip_address(address.partition("%")[0]), port)
    return addresses


def _resolve(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _ascii_host(host: str) -> str:
    try:
        name = host.rstrip(".") if host.isascii() else idna.encode(host.rstrip("."), uts46=True).decode()
    except idna.IDNAError:
        name = ""
    if not _HOST.fullmatch(name) and _literal(name) is None:
        raise AddressRefused(f"{host} is not the name of a site.")
    return name.lower()


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _check_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    if f"{address}:{port}" in settings.FETCH_ALSO_ALLOWED:
        return
    inner: ipaddress.IPv4Address | ipaddress.IPv6Address = address
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if carried is None and address in _NAT64:
            carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        inner = carried or address
    public = all(
        each.is_global and not each.is_multicast and not each.is_reserved and not each.is_unspecified
        for each in ((inner,) if inner is not address else (address,))
    )
    if not public:
        raise AddressRefused("This address leads into a private network. Enter one that anybody can open.")


def _get(parts: SplitResult, url: str, *, end: float, largest: int, accept: str) -> Fetched:
    host = _ascii_host(parts.hostname or "")
    port = parts.port or _default_port(parts.scheme)
    last = FetchFailed(f"{parts.hostname} does not answer. Is the site up?")
    for address in public_addresses(host, port, seconds=_left(end))[:_ADDRESSES_TRIED]:
        try:
            with _connected(address, port, end=end) as plain:
                sock = _TLS.wrap_socket(plain, server_hostname=host) if parts.scheme == "https" else plain
                return _ask(sock, parts, url, port=port, end=end, largest=largest, accept=accept)
        except ssl.SSLCertVerificationError:
            last = FetchFailed(f"The certificate of {parts.hostname} is not valid.")
        except (http.client.HTTPException, OSError, ValueError):
            # At the end the connection is cut, wherever it was: what is told is that, not the cut.
            _left(end)
    raise last


@contextmanager
def _connected(address: str, port: int, *, end: float) -> Iterator[socket.socket]:
    """A connection that is cut at `end`, however slowly the other side goes on, TLS and headers included."""
    sock = socket.create_connection((address, port), timeout=min(_CONNECT_SECONDS, _left(end)))
    sock.settimeout(_left(end))
    # A duplicate, because TLS takes the socket over.
    guard = sock.dup()
    timer = threading.Timer(_left(end), _cut, [guard])
    timer.daemon = True
    timer.start()
    try:
        yield sock
    finally:
        timer.cancel()
        _cut(guard)
        guard.close()
        sock.close()


def _cut(guard: socket.socket) -> None:
    with suppress(OSError):
        guard.shutdown(socket.SHUT_RDWR)


def _ask(
    sock: socket.socket, parts: SplitResult, url: str, *, port: int, end: float, largest: int, accept: str
) -> Fetched:
    host = _ascii_host(parts.hostname or "")
    shown = f"[{host}]" if ":" in host else host
    connection = http.client.HTTPConnection(host, port)
    connection.sock = sock
    headers = {
        "Host": shown if port == _default_port(parts.scheme) else f"{shown}:{port}",
        "User-Agent": _AGENT,
        "Accept": accept,
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    if parts.query:
        path += f"?{quote(parts.query, safe=_PATH_SAFE)}"
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = bytearray()
        while len(body) <= largest:
            _left(end)
            piece = response.read1(min(_CHUNK, largest + 1 - len(body)))
            if not piece:
                break
            body += piece
        _left(end)
        named: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            named[name] = f"{named[name]}, {value}" if name in named else value
        return Fetched(url, response.status, named, bytes(body[:largest]), len(body) > largest)
    finally:
        connection.close()
        sock.close()


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise FetchFailed("The site takes too long to answer.")
    return left
