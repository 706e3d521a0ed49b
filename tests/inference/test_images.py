"""Images by https address: fetched from the open internet alone, whatever a name resolves to and wherever it leads."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from addon.inference.gateway import images
from addon.inference.gateway.errors import ApiError
from tests.inference.threaded import ThreadedServer
from tests.support.certificates import self_signed

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"
"""What counts as an address of the open internet here, and one of the gateway's own."""


class Pictures(ThreadedServer):
    """An https server on every address of the loopback, which notes by which of them it was asked."""

    host = "0.0.0.0"  # noqa: S104 - the public one and the private one of this test

    def __init__(self, file: Path) -> None:
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(file)
        self.trusted = ssl.create_default_context(cafile=str(file))
        self.asked_at: list[str] = []
        super().__init__()

    def routes(self) -> list[web.RouteDef]:
        """Fit and unfit images."""
        return [web.get("/{what}", self._serve_image)]

    async def _serve_image(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.asked_at.append(request.transport.get_extra_info("sockname")[0])
        what = request.match_info["what"]
        if what == "elsewhere":
            raise web.HTTPFound(f"https://{PRIVATE}:{self.port}/dot.jpg")
        if what == "gone":
            raise web.HTTPNotFound
        if what == "slow":
            await asyncio.sleep(5)
        bodies = {"large": PNG + bytes(images.LARGEST_IMAGE), "page": b"<html>"}
        # The label does not matter: it is a PNG.
        return web.Response(body=bodies.get(what, PNG), content_type="image/jpeg")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pictures]:
    file = self_signed(tmp_path_factory.mktemp("tls"), "images.example", PUBLIC, PRIVATE)
    server = Pictures(file)
    yield server
    server.close()


class Names:
    """What a name server answers, one list after the other, the last for ever."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = [[PUBLIC]]
        self.looked_up = 0

    def __call__(self, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        self.looked_up += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, pictures: Pictures) -> Names:
    """The names of this test; the certificate is trusted, and PUBLIC counts as public."""
    found, real = Names(), images.is_public
    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(images, "is_public", lambda address: address == PUBLIC or real(address))

    def connector() -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            resolver=images.PublicResolver(), use_dns_cache=False, force_close=True, ssl=pictures.trusted
        )

    monkeypatch.setattr(images, "public_connector", connector)
    pictures.asked_at.clear()
    return found


def fetched(*urls: str) -> list[str]:
    """What stands in the addresses' places."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "y"}, *parts]},
    ]

    async def fetch() -> None:
        try:
            await images.fetch_images(messages)
        finally:
            # aiohttp leaves a TLS connection to the loop to close, which here ends at once.
            await asyncio.sleep(0.1)

    asyncio.run(fetch())
    return [part["image_url"]["url"] for part in messages[1]["content"][1:]]


def test_images_are_fetched_and_sent_as_data_with_the_label_they_deserve(
    pictures: Pictures, names: Names
) -> None:
    url = f"https://images.example:{pictures.port}/dot.jpg"
    data = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    given = "data:image/gif;base64,R0lGODlh"
    assert fetched(url, given, url) == [data, given, data]
    assert pictures.asked_at == [PUBLIC, PUBLIC]


def test_a_name_that_turns_private_after_the_check_is_of_no_use(pictures: Pictures, names: Names) -> None:
    names.answers = [[PUBLIC], [PRIVATE]]
    fetched(f"https://images.example:{pictures.port}/dot.jpg")
    assert names.looked_up == 1  # What was checked is what was connected to.
    assert pictures.asked_at == [PUBLIC]
    with pytest.raises(ApiError, match="cannot be fetched"):
        fetched(f"https://images.example:{pictures.port}/dot.jpg")
    assert pictures.asked_at == [PUBLIC]


def test_of_mixed_addresses_the_private_ones_are_left_alone(pictures: Pictures, names: Names) -> None:
    names.answers = [[PRIVATE, "10.0.0.7", PUBLIC, "169.254.169.254"]]
    fetched(f"https://images.example:{pictures.port}/dot.jpg")
    assert pictures.asked_at == [PUBLIC]


@pytest.mark.parametrize(
    "host", [PRIVATE, "[::1]", "[::ffff:127.0.0.1]", "localhost", "2130706433", "0x7f.1"]
)
def test_no_way_of_writing_a_private_address_reaches_it(pictures: Pictures, names: Names, host: str) -> None:
    names.answers = [[PRIVATE]]
    with pytest.raises(ApiError) as refused:
        fetched(f"https://{host}:{pictures.port}/dot.jpg")
    assert (refused.value.status, refused.value.code) == (400, "invalid_image")
    assert pictures.asked_at == []


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("elsewhere", "it answered with status 302"),
        ("gone", "it answered with status 404"),
        ("large", "it is larger than 3.75 MB"),
        ("page", "it is not a PNG, JPEG, GIF or WebP image"),
        ("slow", "it cannot be fetched"),
    ],
)
def test_an_unfit_image_is_a_400_that_says_why(
    pictures: Pictures, names: Names, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    if what == "slow":
        monkeypatch.setattr(images, "SECONDS", 0.4)
    with pytest.raises(ApiError, match=reason) as refused:
        fetched(f"https://images.example:{pictures.port}/{what}")
    assert refused.value.status == 400
    assert pictures.asked_at == [PUBLIC]


def test_a_certificate_that_nobody_vouches_for_is_refused(
    pictures: Pictures, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setattr(images, "is_public", lambda address: address == PUBLIC)
    with pytest.raises(ApiError, match="cannot be fetched"):
        fetched(f"https://images.example:{pictures.port}/dot.jpg")
    assert pictures.asked_at == []
