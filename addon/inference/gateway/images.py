"""Images by address: fetched by us, so that no upstream can be sent to addresses inside of a network."""

import asyncio
import base64
import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from addon.inference.gateway.errors import ApiError, invalid

LARGEST_IMAGE = 3_932_160
"""Bytes: 3.75 MB, the most that Amazon's models take."""
SECONDS = 10.0
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only. The connection is made to the very address that was checked."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of `host`; OSError when it has none."""
        loop = asyncio.get_running_loop()
        rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=socket.AF_UNSPEC)
        found = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, _, _, address in rows
            if is_public(str(address[0]))
        ]
        if not found:
            raise OSError("no public address")
        return found

    async def close(self) -> None:
        """Nothing is kept open."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet's."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found.sixtofour or found.teredo):
        return False
    return found.is_global and not found.is_multicast


def image_format(content: bytes) -> str | None:
    """The format by the content's first bytes, whatever it is labelled."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((name for signature, name in _SIGNATURES if content.startswith(signature)), None)


def public_connector() -> aiohttp.TCPConnector:
    """Connections to public addresses, each made to an address that was looked up and checked for it alone."""
    return aiohttp.TCPConnector(resolver=PublicResolver(), use_dns_cache=False, force_close=True)


async def fetch_images(messages: list[dict[str, Any]]) -> None:
    """Put data in place of every https image address in `messages`; ApiError 400 names the address's fault."""
    parts = [
        part["image_url"]
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url" and part["image_url"]["url"].startswith("https://")
    ]
    if not parts:
        return
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(
        connector=public_connector(), timeout=timeout, trust_env=False
    ) as session:
        contents = await asyncio.gather(*[_fetch(session, part["url"]) for part in parts])
    for part, (kind, content) in zip(parts, contents, strict=True):
        part["url"] = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


async def _fetch(session: aiohttp.ClientSession, url: str) -> tuple[str, bytes]:
    try:
        host = URL(url).host or ""
        # A literal address meets no resolver.
        if host and _literal(host) and not is_public(host):
            raise _unfit(url, "its address is not public")
        # A redirect could lead anywhere.
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise _unfit(url, f"it answered with status {answer.status}")
            content = b""
            async for piece in answer.content.iter_chunked(65_536):
                content += piece
                if len(content) > LARGEST_IMAGE:
                    raise _unfit(url, "it is larger than 3.75 MB")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise _unfit(url, "it cannot be fetched") from error
    kind = image_format(content)
    if kind is None:
        raise _unfit(url, "it is not a PNG, JPEG, GIF or WebP image")
    return kind, content


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _unfit(url: str, reason: str) -> ApiError:
    return invalid(
        f"The image at {url[:200]} cannot be used: {reason}.", param="messages", code="invalid_image"
    )
