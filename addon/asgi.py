"""The web process: the inference gateway, and Django's synchronous views served from a fixed pool of threads.

The gateway's addresses meet no Django middleware: it answers in the event loop, where Django costs a millisecond.

Django's own ASGI handler starts a thread and hops between it and the event loop several times for each request, which
costs more than most of our views do. Here a request makes one hop, and its thread keeps its database connection.
"""

import asyncio
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from typing import Any

from asgiref.sync import AsyncToSync
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from asgiref.wsgi import WsgiToAsgiInstance
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "addon.settings")

django_application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - after Django is set up

from addon.inference.gateway.app import Gateway  # noqa: E402 - after Django is set up

LARGEST_BODY = 16 * 1_048_576
"""Bytes that are read before anybody has looked at the request; Django's own limit for what it keeps is lower."""

_gateway = Gateway()
_threads = ThreadPoolExecutor(max_workers=settings.WEB_THREADS, thread_name_prefix="django")


class PooledDjango(WsgiToAsgiInstance):
    """One request, run in the pool. A body of known length is sent in one piece, any other as it comes."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the request's body and answer. A client that hangs up meanwhile is answered nothing."""
        self.scope = {
            **scope,
            # WSGI cannot tell X_Request_Id from X-Request-Id: names that no proxy in front would check are dropped.
            "headers": [(name, value) for name, value in scope["headers"] if b"_" not in name],
        }
        self.sync_send = AsyncToSync(send)
        with SpooledTemporaryFile(max_size=65_536) as body:
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return
                body.write(message.get("body", b""))
                more = message.get("more_body", False)
                if body.tell() > LARGEST_BODY:
                    await _too_large(send)
                    return
            self.body_length = body.tell()
            body.seek(0)
            await self.run_wsgi_app(body)

    def build_environ(self, scope: Any, body: Any) -> dict[str, Any]:
        """The environ, with the length a body sent in chunks turned out to have: Django reads no more than that."""
        environ: dict[str, Any] = super().build_environ(scope, body)  # type: ignore[no-untyped-call]
        environ["CONTENT_LENGTH"] = str(self.body_length)
        return environ

    async def run_wsgi_app(self, body: Any) -> None:
        """Called once the request's body is there."""
        self.loop = asyncio.get_running_loop()
        send = self.sync_send.awaitable
        whole = await self.loop.run_in_executor(_threads, self._run, body)
        if whole is not None:
            await send(self.response_start)
            await send({"type": "http.response.body", "body": whole})

    def start_response(
        self, status: str, response_headers: list[tuple[str, str]], exc_info: Any = None
    ) -> None:
        """Called by Django, whose Set-Cookie values begin with a space: not a header to strict HTTP parsers."""
        stripped = [(name, value.strip()) for name, value in response_headers]
        super().start_response(status, stripped, exc_info)  # type: ignore[no-untyped-call]

    def _run(self, body: Any) -> bytes | None:
        """In a thread: the whole body, or None when it was streamed from here."""
        environ = self.build_environ(self.scope, body)
        response: Iterable[bytes] = self.wsgi_application(environ, self.start_response)
        try:
            if self.response_content_length is not None or self.scope["method"] == "HEAD":
                return b"".join(response)
            self._send(self.response_start)
            for piece in response:
                self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self._send({"type": "http.response.body", "body": b""})
            return None
        finally:
            close = getattr(response, "close", None)
            if close:
                close()

    def _send(self, message: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self._send_async(message), self.loop).result()

    async def _send_async(self, message: dict[str, Any]) -> None:
        await self.sync_send.awaitable(message)


async def _too_large(send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    body = b'{"id": "too_large", "message": "The request is too large."}'
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI entry point."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["type"] == "http" and _gateway.serves(scope["path"]):
        await _gateway(scope, receive, send)
        return
    await PooledDjango(django_application)(scope, receive, send)  # type: ignore[no-untyped-call]


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await _gateway.close()
            _threads.shutdown(wait=True)
            await send({"type": "lifespan.shutdown.complete"})
            return
