"""What the gateway needs goes away and comes back: nothing leaves unmetered, nothing is refused for Redis's sake."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import OperationalError
from structlog.testing import capture_logs

from addon.inference.gateway import chat, limits, usage
from addon.inference.gateway.catalogue import models
from addon.inference.gateway.chat_request import check_chat
from addon.inference.gateway.errors import ApiError, failed
from addon.inference.gateway.http import Exchange
from addon.inference.gateway.limits import Ask, Limiter
from addon.inference.gateway.usage import Meter
from addon.inference.gateway.usage_rows import Opening, Rows, Usage, UsageRows
from addon.inference.models import Outcome
from local.redis import Redis
from tests.inference.conftest import Addon, Gateway
from tests.support.stack import until


# --- Postgres -----------------------------------------------------------------------------------------------
@contextmanager
def postgres_away(gateway: Gateway) -> Iterator[None]:
    """Nobody gets into the gateway's database, and nobody stays in it."""
    server, _, name = gateway.database_url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        try:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')


def test_answers_wait_for_postgres_and_are_metered_once_it_is_back(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    ended: dict[str, float] = {}

    def ask(what: str, **fields: Any) -> bytes:
        # The stream begins before Postgres goes, and both end while it is away.
        answer = addon.say({"say": "a b c", "hold": True}, **fields)
        ended[what] = time.monotonic()
        assert answer.status_code == 200, answer.text
        return answer.content

    with ThreadPoolExecutor(2) as pool:
        whole, stream = pool.submit(ask, "whole"), pool.submit(ask, "stream", stream=True)
        until(lambda: gateway.upstream.held == 2 and len(gateway.open_streams(addon)) == 1)
        with postgres_away(gateway):
            gateway.upstream.release()
            until(lambda: gateway.upstream.held == 0)
            time.sleep(1.0)
            assert not ended
            back = time.monotonic()
        assert json.loads(whole.result())["usage"]["completion_tokens"] == 3
        assert stream.result().endswith(b"data: [DONE]\n\n")
    assert min(ended.values()) >= back
    rows = gateway.usage(addon)
    assert [(row["outcome"], row["output_tokens"]) for row in rows] == [("complete", 3)] * 2


def test_without_postgres_no_key_is_trusted_for_long_and_the_answer_says_to_come_again(
    gateway: Gateway,
) -> None:
    addon = gateway.provision("nova-lite")
    assert addon.say().status_code == 200
    with postgres_away(gateway):
        time.sleep(1.0)
        refused = addon.say()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
    assert until(lambda: addon.say().status_code == 200, seconds=10)
    assert len(gateway.usage(addon)) == 2


class Postgres(UsageRows):
    """In place of the commits: a database that is away until told otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.away = True
        self.usages: list[uuid.UUID] = []
        self.opened: set[uuid.UUID] = set()
        monkeypatch.setattr(usage, "PATIENCE_SECONDS", 0.3)
        monkeypatch.setattr(usage, "RETRY_SECONDS", 0.02)

    async def commit(self, rows: Rows) -> set[uuid.UUID]:
        if self.away:
            raise OperationalError("away")
        self.usages += [each.id for each in rows.usages]
        self.opened |= {each.id for each in rows.openings}
        self.opened -= set(rows.ended)
        return set()


def used(*, streamed: bool) -> Usage:
    return Usage(
        id=uuid.uuid4(),
        resource_id=1,
        at=datetime.now(UTC),
        model="nova-lite",
        region="us",
        outcome=Outcome.COMPLETE.value,
        streamed=streamed,
        first_milliseconds=1,
        milliseconds=2,
    )


def opening(identity: uuid.UUID) -> Opening:
    return Opening(
        id=identity,
        resource_id=1,
        at=datetime.now(UTC),
        model="nova-lite",
        region="us",
        input_tokens=5,
        first_milliseconds=1,
        produced=lambda: 1,
    )


def test_the_wait_for_postgres_is_bounded_and_what_was_not_delivered_is_never_metered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgres = Postgres(monkeypatch)
    whole, delivered, begun = used(streamed=False), used(streamed=True), uuid.uuid4()

    async def run() -> None:
        meter = Meter(postgres)
        began = time.monotonic()
        found = await asyncio.gather(
            meter.record(whole),
            meter.record(delivered),
            meter.open(opening(begun)),
            return_exceptions=True,
        )
        assert time.monotonic() - began < 2
        assert [isinstance(each, ApiError) and each.status for each in found] == [503] * 3
        postgres.away = False
        await meter.record(used(streamed=False))
        await meter.close()

    with capture_logs() as logs:
        asyncio.run(run())
    assert whole.id not in postgres.usages
    assert postgres.usages.count(delivered.id) == 1
    assert postgres.opened == set()
    (alarm,) = [each for each in logs if each["event"] == "inference.usage.waiting"]
    assert alarm["alarm"] is True


# --- Redis --------------------------------------------------------------------------------------------------
def test_redis_away_raises_one_alarm_refuses_nobody_and_counts_for_all_again_when_it_is_back(
    own_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REDIS_QUIET_SECONDS", 0.1)

    async def run() -> None:
        limiter, other = Limiter(own_redis.url), Limiter(own_redis.url)
        later = Limiter(own_redis.url)
        number = 0

        async def admitted(by: Limiter) -> int:
            nonlocal number
            number += 1
            return (await by.admit(Ask("admit", "w", f"id{number}", 1, 100, 1000))).requests

        assert [await admitted(limiter), await admitted(other)] == [1, 2]
        own_redis.stop()
        assert [await admitted(limiter) for _ in range(20)] == list(range(1, 21))
        own_redis.start()
        await asyncio.sleep(0.15)
        # This Redis keeps nothing: its window is empty after the start, and counts for all.
        assert [await admitted(limiter), await admitted(later), await admitted(limiter)] == [1, 2, 3]
        for each in (limiter, other, later):
            await each.close()

    with capture_logs() as logs:
        asyncio.run(run())
    events = [each["event"] for each in logs]
    assert events.count("inference.limits.local") == 1
    assert events.count("inference.limits.shared_again") == 1
    assert all(each["alarm"] for each in logs if each["event"] == "inference.limits.local")


def test_answers_go_on_without_redis(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    assert addon.say().status_code == 200
    gateway.redis.stop()
    try:
        answers = [addon.say({"say": "still here"}, stream=number % 2 == 0) for number in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert answers[0].headers["x-ratelimit-limit-requests"] == "150"
    finally:
        gateway.redis.start()
    assert len(gateway.usage(addon)) == 7
    # Both processes count together again: no two see the same number left.
    until(lambda: shared_again(addon), seconds=30, every=0.5)


def shared_again(addon: Addon) -> bool:
    left = [int(addon.say().headers["x-ratelimit-remaining-requests"]) for _ in range(6)]
    return left == list(range(left[0], left[0] - 6, -1))


# --- silence ------------------------------------------------------------------------------------------------
class Silent:
    """An upstream that says nothing for a while, then one word, and then ends as told."""

    where = "silent"

    def __init__(self, *, seconds: float, error: ApiError | None = None) -> None:
        self._seconds, self._error = seconds, error

    @asynccontextmanager
    async def chat_stream(self, *_: Any) -> AsyncIterator[Any]:
        async def chunks() -> AsyncIterator[list[dict[str, Any]]]:
            await asyncio.sleep(self._seconds)
            if self._error:
                raise self._error
            yield [{"choices": [{"delta": {"content": "word"}, "finish_reason": None}]}]

        yield chunks()


class Noted:
    """In place of a call: notes what is metered, and whether a stream was written down before its first byte."""

    def __init__(self, sent: list[bytes]) -> None:
        self.id, self._sent = uuid.uuid4(), sent
        self.begun_before: int | None = None
        self.delivered: list[dict[str, Any]] = []

    async def begin_stream(self, **_: Any) -> None:
        self.begun_before = len(self._sent)

    async def deliver(self, **given: Any) -> None:
        self.delivered.append(given)


def streamed(upstream: Silent) -> tuple[list[bytes], Noted]:
    """Everything that is sent of one stream, and its metering."""
    sent: list[bytes] = []
    noted = Noted(sent)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def run() -> None:
        exchange = Exchange({"method": "POST", "path": "/", "headers": []}, receive, send)
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        request = check_chat(body, models()["nova-lite"])
        served: Any = type("Served", (), {"upstream": upstream, "name": "m", "stand_in": None})
        call: Any = noted
        await chat._stream(exchange, call, request, served)

    asyncio.run(run())
    return sent, noted


def test_a_silent_upstream_s_client_is_kept_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "KEEP_ALIVE_SECONDS", 0.1)
    sent, noted = streamed(Silent(seconds=0.55))
    assert noted.begun_before == 0
    comments = sent.count(b": keep-alive\n\n")
    assert 3 <= comments <= 5
    assert sent[1 : 1 + comments] == [b": keep-alive\n\n"] * comments
    assert b'"content":"word"' in sent[1 + comments]
    assert sent[-1] == b"data: [DONE]\n\n"
    assert noted.delivered[0]["outcome"] == Outcome.COMPLETE
    # A busy one is sent none.
    assert b": keep-alive\n\n" not in streamed(Silent(seconds=0))[0]


def test_a_stream_that_failed_after_nothing_but_comments_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat, "KEEP_ALIVE_SECONDS", 0.05)
    sent, noted = streamed(Silent(seconds=0.2, error=failed("gone")))
    assert b'"message":"gone"' in sent[-1]
    (given,) = noted.delivered
    assert (given["outcome"], given["input_tokens"], given["output_tokens"]) == (Outcome.FAILED, 0, 0)
    with pytest.raises(ApiError, match="gone"):
        streamed(Silent(seconds=0, error=failed("gone")))
