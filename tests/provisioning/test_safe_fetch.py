"""Addresses that customers name: only public ones are fetched, whatever names, redirects and servers try."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django import Settings

from provisioning import safe_fetch
from provisioning.safe_fetch import AddressRefused, FetchFailed, check_url, fetch, origin_of, public_addresses

Resolver = Callable[..., list[tuple[Any, ...]]]


class Site(BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        if self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.02)
            except OSError:
                return
        self.send_response(200)
        self.send_header("X-Host", self.headers["Host"])
        self.send_header("Content-Security-Policy", "one")
        self.send_header("Content-Security-Policy", "two")
        self.end_headers()
        self.wfile.write(b"hello" if self.path != "/large" else b"x" * 200_000)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A site on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def allowed(port: int, settings: Settings) -> int:
    """The same site, which customers' addresses may lead to."""
    settings.FETCH_ALSO_ALLOWED = frozenset({f"127.0.0.1:{port}"})
    return port


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What each name resolves to, one list for each time it is asked; the last one stays."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in known:
            return list(real(host, port, *args, **kwargs))
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "https://user:secret@example.com/",
        "https://user@example.com/",
        "https:///nothing",
        "https://exa mple.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://example.com\\@127.0.0.1/",
        "https://example.com:99999/",
        "https://example.com:22/",
        "http://localhost/",
        "http://printer/",
        "http://127.0.0.1/",
        "http://127.0.0.1:8000/",
        "http://10.0.0.8/",
        "http://172.16.3.4/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[ff02::1]/",
        "https://example.com;script-src/",
        "https://exa'mple.com/",
        "https://example.com,evil.example/",
        "https://example..com/",
        "https://\u202eexample.com/",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_what_is_no_public_web_address_is_refused_before_anything_is_asked(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, lambda *args, **kwargs: asked.append(args))
    with pytest.raises(AddressRefused) as refused:
        fetch(url)
    assert refused.value.message.endswith(".")
    assert asked == []


@pytest.mark.parametrize(
    "url", ["https://www.example.com", "http://example.com:8080/a?b=c#d", "https://bücher.example/"]
)
def test_public_addresses_are_accepted_as_they_are(url: str) -> None:
    assert check_url(url).hostname


@pytest.mark.parametrize(
    "url",
    ["http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://017700000001/", "http://127.1/"],
)
def test_numbers_that_only_resolvers_read_as_addresses_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        fetch(url)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://www.Example.com:443/a;b", "https://www.example.com"),
        ("http://example.com:8080", "http://example.com:8080"),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example"),
        ("http://[2606:4700::1111]:80/", "http://[2606:4700::1111]"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["8.8.8.8", "192.168.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["169.254.169.254"],
    ],
)
def test_a_name_with_a_private_address_among_its_own_is_refused(
    names: dict[str, list[list[str]]], addresses: list[str]
) -> None:
    names["inside.example"] = [addresses]
    with pytest.raises(AddressRefused, match="private network"):
        fetch("http://inside.example/")


def test_a_name_that_changes_between_check_and_connection_gains_nothing(
    names: dict[str, list[list[str]]], allowed: int
) -> None:
    """DNS rebinding: public while it is checked, this machine ever after; the connection goes where was checked."""
    connected: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    names["rebinding.example"] = [["93.184.216.34"], ["127.0.0.1"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_connection", connect)
        with pytest.raises(FetchFailed):
            fetch("http://rebinding.example:8080/")
    assert connected == [("93.184.216.34", 8080)]
    assert len(names["rebinding.example"]) == 1


def test_a_redirect_into_a_private_network_is_refused(
    allowed: int, names: dict[str, list[list[str]]]
) -> None:
    names["site.example"] = [["127.0.0.1"]]
    names["inside.example"] = [["10.0.0.1"]]
    for target in ("http://inside.example/", "http://169.254.169.254/", "file:///etc/passwd", "//[::1]/"):
        with pytest.raises(AddressRefused):
            fetch(f"http://site.example:{allowed}/to?{target}")
    with pytest.raises(FetchFailed, match="redirects"):
        fetch(f"http://site.example:{allowed}/to?/to?/to?/to?/to?/to?/to?/to")
    assert fetch(f"http://site.example:{allowed}/to?/end").url.endswith("/end")


def test_an_allowed_site_is_fetched_with_its_own_name_and_all_of_its_headers(
    allowed: int, names: dict[str, list[list[str]]]
) -> None:
    names["site.example"] = [["127.0.0.1"]]
    fetched = fetch(f"http://site.example:{allowed}/ü?q=ä b".replace(" ", "%20"))
    assert (fetched.status, fetched.body, fetched.truncated) == (200, b"hello", False)
    assert fetched.headers["x-host"] == f"site.example:{allowed}"
    assert fetched.headers["content-security-policy"] == "one, two"


def test_size_and_time_have_an_end(allowed: int, names: dict[str, list[list[str]]]) -> None:
    names["site.example"] = [["127.0.0.1"]]
    large = fetch(f"http://site.example:{allowed}/large", largest=1000)
    assert (len(large.body), large.truncated) == (1000, True)
    began = time.monotonic()
    with pytest.raises(FetchFailed, match="too long"):
        fetch(f"http://site.example:{allowed}/drip", seconds=0.4)
    assert time.monotonic() - began < 5


def test_a_site_that_never_answers_is_given_up(hanging_server: int, settings: Settings) -> None:
    settings.FETCH_ALSO_ALLOWED = frozenset({f"127.0.0.1:{hanging_server}"})
    for scheme in ("http", "https"):
        with pytest.raises(FetchFailed, match="too long"):
            fetch(f"{scheme}://127.0.0.1:{hanging_server}/", seconds=0.3)


def test_a_name_that_does_not_exist_is_said_to_be_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> list[str]:
        raise socket.gaierror(-2, "unknown")

    monkeypatch.setattr(safe_fetch, "_resolve", fail)
    with pytest.raises(FetchFailed, match="no site called nowhere"):
        public_addresses("nowhere.example", 443)
