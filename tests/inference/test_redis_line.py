"""The gateway's own connection to Redis: every kind of address, and whatever happens to it on the way."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from addon.inference.gateway.redis_line import RedisLine, RedisRefusal
from local.redis import Redis
from tests.support.certificates import self_signed


@asynccontextmanager
async def in_front_of(server: Redis, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """host:port of a relay to the server, which speaks TLS if told to."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", server.port)

        async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                # In two pieces: no answer need come whole.
                for piece in (data[:3], data[3:]):
                    sink.write(piece)
                    await sink.drain()
                    await asyncio.sleep(0.001)
            sink.close()

        await asyncio.gather(pipe(reader, here), pipe(there, writer), return_exceptions=True)

    listening = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def test_password_and_database_of_the_address_are_used(own_redis: Redis) -> None:
    async def run() -> None:
        line, other = (RedisLine(own_redis.url_of(number), patience_seconds=5) for number in (3, 0))
        assert await line.call("SET", "found", "in three") == "OK"
        assert await line.call("GET", "found") == "in three"
        assert await other.call("GET", "found") is None
        assert await line.call("EVAL", "return {1, 'two', 3}", 0) == [1, "two", 3]
        for each in (line, other):
            each.close()

    asyncio.run(run())


def test_a_wrong_password_is_a_refusal_each_time(own_redis: Redis) -> None:
    async def run() -> None:
        line = RedisLine(f"redis://:wrong@127.0.0.1:{own_redis.port}/0", patience_seconds=5)
        for _ in range(2):
            with pytest.raises(RedisRefusal, match="WRONGPASS"):
                await line.call("PING")
        line.close()

    asyncio.run(run())


def test_tls_is_spoken_and_checked_as_the_address_says(own_redis: Redis, tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(self_signed(tmp_path, "redis.example"))
    password = urlsplit(own_redis.url).password

    async def run() -> None:
        async with in_front_of(own_redis, tls=tls) as where:
            line = RedisLine(f"rediss://:{password}@{where}/0?ssl_cert_reqs=none", patience_seconds=5)
            assert await line.call("PING") == "PONG"
            line.close()
            checking = RedisLine(f"rediss://:{password}@{where}/0", patience_seconds=5)
            with pytest.raises(ssl.SSLCertVerificationError):
                await checking.call("PING")

    asyncio.run(run())


def test_an_error_leaves_the_connection_as_it_is(own_redis: Redis) -> None:
    async def run() -> None:
        line = RedisLine(own_redis.url, patience_seconds=5)
        number = await line.call("CLIENT", "ID")
        with pytest.raises(RedisRefusal, match="NOSCRIPT"):
            await line.call("EVALSHA", "0" * 40, 0)
        assert await line.call("CLIENT", "ID") == number
        line.close()

    asyncio.run(run())


def test_an_answer_that_nobody_waits_for_any_more_is_never_taken_for_the_next(own_redis: Redis) -> None:
    async def run() -> None:
        line = RedisLine(own_redis.url, patience_seconds=0.2)
        await line.call("SET", "key", "value")
        with pytest.raises(TimeoutError):
            await line.call("BLPOP", "nothing", 1)
        assert await line.call("GET", "key") == "value"
        asked = asyncio.ensure_future(line.call("BLPOP", "nothing", 1))
        await asyncio.sleep(0.05)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await line.call("GET", "key") == "value"
        line.close()

    asyncio.run(run())


def test_a_redis_that_ends_and_comes_back_is_an_error_and_then_none(own_redis: Redis) -> None:
    async def run() -> None:
        line = RedisLine(own_redis.url, patience_seconds=5)
        assert await line.call("PING") == "PONG"
        own_redis.kill()
        for _ in range(2):
            with pytest.raises(OSError):
                await line.call("PING")
        own_redis.start()
        assert await line.call("PING") == "PONG"
        line.close()

    asyncio.run(run())
