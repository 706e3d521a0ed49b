"""One connection to Redis, for the one call that every request waits for.

redis-py's asynchronous client takes 0.4 ms of processor time for a call, more than everything else the gateway does
for a short answer; its parser (hiredis) on a bare transport takes a quarter of that. redis-py still reads the address.
"""

import asyncio
from ssl import SSLContext
from typing import Any, cast

import hiredis
from redis.asyncio.connection import SSLConnection, parse_url

Word = str | int
NO_SCRIPT = "NOSCRIPT"


class RedisRefusal(Exception):
    """Redis answered with an error; its text begins with the error's name."""


class RedisLine:
    """A connection that is made with the first call and made anew after it broke. One call at a time."""

    def __init__(self, url: str, *, patience_seconds: float) -> None:
        """`url` as redis-py takes it, TLS and unix sockets included."""
        self._address: dict[str, Any] = dict(parse_url(url))
        self._patience = patience_seconds
        self._talk: _Talk | None = None

    async def call(self, *words: Word) -> Any:
        """Redis's answer to a command; RedisRefusal, or OSError or TimeoutError while it is away."""
        try:
            async with asyncio.timeout(self._patience):
                if self._talk is None or self._talk.is_over():
                    self._talk = await self._connect()
                return await self._talk.ask(words)
        except RedisRefusal:
            raise
        except BaseException:
            # What is still to come on this connection would answer the wrong question.
            self.close()
            raise

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._talk is not None:
            self._talk.end()
            self._talk = None

    async def _connect(self) -> "_Talk":
        loop, address = asyncio.get_running_loop(), self._address
        if path := address.get("path"):
            _, talk = await loop.create_unix_connection(_Talk, path)
        else:
            host, port = address.get("host", "localhost"), address.get("port", 6379)
            _, talk = await loop.create_connection(_Talk, host, port, ssl=self._tls())
        try:
            if password := address.get("password"):
                username = address.get("username")
                await talk.ask(("AUTH", username, password) if username else ("AUTH", password))
            if database := address.get("db"):
                await talk.ask(("SELECT", database))
        except BaseException:
            talk.end()
            raise
        return talk

    def _tls(self) -> SSLContext | None:
        if self._address.get("connection_class") is not SSLConnection:
            return None
        options = {name: value for name, value in self._address.items() if name.startswith("ssl_")}
        return SSLConnection(**options).ssl_context.get()


class _Talk(asyncio.Protocol):
    """What is said on one connection."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=RedisRefusal, encoding="utf-8")
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Any] | None = None

    def ask(self, words: tuple[Word, ...]) -> asyncio.Future[Any]:
        """Send a command; its answer will come."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._waiting.set_exception(ConnectionResetError("Redis has closed the connection"))
        else:
            self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]
        return self._waiting

    def is_over(self) -> bool:
        """Whether nothing can be asked here any more."""
        return self._transport is None or self._transport.is_closing()

    def end(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._reader.feed(data)
        found = self._reader.gets()
        # False stands for an answer that has not come whole; Redis itself says 0 and 1.
        if found is False or self._waiting is None or self._waiting.done():
            return
        if isinstance(found, RedisRefusal):
            self._waiting.set_exception(found)
        else:
            self._waiting.set_result(found)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionResetError("Redis has closed the connection"))
