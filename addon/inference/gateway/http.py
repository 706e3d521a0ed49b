"""Requests and answers of the raw ASGI protocol, and noticing that a client hangs up."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from addon.inference.gateway.errors import ApiError, invalid

if TYPE_CHECKING:
    from addon.inference.gateway.keys import Caller

LARGEST_BODY = 32 * 1_048_576
"""Bytes: images come inside the body."""

Headers = dict[bytes, bytes]


class ClientGone(Exception):
    """The client hung up."""


class Exchange:
    """One request and its answer. `headers` are sent with every answer.

    `caller` is there once it is known; `status` is 499, as nginx names it, until an answer begins.
    """

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.given: Headers = dict(scope["headers"])
        self.address: str = (scope.get("client") or ("",))[0]
        self.headers: dict[str, str] = {}
        self.caller: Caller | None = None
        self.status = 499
        self.started = False
        self._receive, self._send = receive, send

    async def body(self) -> dict[str, Any]:
        """The body's JSON object, whatever the content type says; ApiError for anything else, ClientGone."""
        pieces, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > LARGEST_BODY:
                self.headers["connection"] = "close"
                raise ApiError(413, "The request is larger than 32 MB.", code="request_too_large")
            pieces.append(piece)
            if not message.get("more_body", False):
                break
        try:
            parsed = orjson.loads(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        except orjson.JSONDecodeError as error:
            raise invalid(f"The body is not valid JSON: {error}", code="invalid_json") from None
        if not isinstance(parsed, dict):
            raise invalid("The body must be a JSON object.", code="invalid_json")
        return parsed

    async def answer(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON answer."""
        raw = orjson.dumps(content)
        sent = {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}
        await self._start(status, sent)
        await self._send({"type": "http.response.body", "body": raw if self.method != "HEAD" else b""})

    async def start_stream(self) -> None:
        """Begin an answer of server-sent events."""
        await self._start(
            200,
            {
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache, no-transform",
                "x-accel-buffering": "no",
            },
        )

    async def stream(self, raw: bytes, *, last: bool = False) -> None:
        """Send whole events."""
        await self._send({"type": "http.response.body", "body": raw, "more_body": not last})

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Raise ClientGone inside the block as soon as the client hangs up."""
        task, gone = asyncio.current_task(), False

        async def watch() -> None:
            nonlocal gone
            while (await self._receive())["type"] != "http.disconnect":
                pass
            gone = True
            if task:
                task.cancel()

        watcher = asyncio.get_running_loop().create_task(watch())
        try:
            yield
        except asyncio.CancelledError:
            if gone and task:
                task.uncancel()
                raise ClientGone from None
            raise
        finally:
            watcher.cancel()

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started, self.status = True, status
        sent = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in (*self.headers.items(), *headers.items())
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": sent})
