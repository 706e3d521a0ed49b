"""Requests and tokens per minute: exact across processes, and kept up without Redis."""

import asyncio
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from addon.inference.gateway.catalogue import models
from addon.inference.gateway.chat_request import check_chat
from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.limits import Ask, Limiter, duration
from local.redis import Redis
from tests.inference.conftest import Addon, Gateway


def test_exactly_the_plan_s_requests_are_admitted_by_all_processes_together(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: addon.say(), range(200)))
    assert Counter(answer.status_code for answer in answers) == {200: 150, 429: 50}
    admitted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    left = sorted(int(answer.headers["x-ratelimit-remaining-requests"]) for answer in admitted)
    assert left == list(range(150))
    refusal = refused[-1]
    assert 1 <= int(refusal.headers["retry-after"]) <= 60
    assert refusal.json()["error"]["code"] == "rate_limit_exceeded"
    assert refusal.headers["x-ratelimit-limit-requests"] == "150"
    assert len(gateway.usage(addon)) == 150


def test_tokens_are_reserved_at_once_and_settled_to_what_was_used(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    script = json.dumps({"delay": 2.5, "prompt": 10, "completion": 20})
    reserved = check_chat(
        {"messages": [{"role": "user", "content": script}], "max_tokens": 10_000}, models()["nova-lite"]
    )
    room = 800_000 // (reserved.input_estimate + reserved.output_most)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: addon.say(script, max_tokens=10_000), range(100)))
    admitted = [answer for answer in answers if answer.status_code == 200]
    assert len(admitted) == room
    assert all("tokens per minute" in answer.text for answer in answers if answer.status_code != 200)
    after = addon.say({"prompt": 10, "completion": 20}, max_tokens=100)
    assert after.status_code == 200
    left = int(after.headers["x-ratelimit-remaining-tokens"])
    assert left > 800_000 - room * 30 - 500


def test_a_request_that_can_never_be_admitted_is_told_so(addon: Addon) -> None:
    answer = addon.say("x" * 2_500_000)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "request_exceeds_limit"


def test_what_the_model_refuses_takes_no_place_in_the_window(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    assert addon.say({"status": 400}).status_code == 400
    assert addon.say().headers["x-ratelimit-remaining-requests"] == "149"


def test_no_window_of_time_ever_holds_more_than_the_limit(own_redis: Redis) -> None:
    limit, window = 20, 0.5
    admitted: list[tuple[float, float]] = []

    async def hammer(limiter: Limiter, name: int, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            number += 1
            before = time.monotonic()
            try:
                await limiter.admit(Ask("admit", "w", f"{name}-{number}", 1, limit, 1_000))
            except ApiError:
                await asyncio.sleep(0.002)
            else:
                admitted.append((before, time.monotonic()))

    async def run() -> None:
        limiters = [Limiter(own_redis.url, window_seconds=window) for _ in range(4)]
        until = time.monotonic() + 2.2
        await asyncio.gather(*[hammer(each, name, until) for name, each in enumerate(limiters)])
        for each in limiters:
            await each.close()

    asyncio.run(run())
    # Each was admitted at some moment between these two, so the n-th moment lies between the n-th of each.
    before, after = sorted(b for b, _ in admitted), sorted(a for _, a in admitted)
    gaps = [after[n + limit] - before[n] for n in range(len(admitted) - limit)]
    assert min(gaps) >= window
    assert len(admitted) >= 3 * limit


def test_tokens_bind_as_exactly_and_a_dead_reservation_ends_with_its_window(own_redis: Redis) -> None:
    async def run() -> None:
        limiter = Limiter(own_redis.url, window_seconds=0.5)
        await limiter.admit(Ask("admit", "w", "dead", 600, 10, 1000))
        held = await limiter.admit(Ask("admit", "w", "b", 400, 10, 1000))
        with pytest.raises(ApiError) as refused:
            await limiter.admit(Ask("admit", "w", "c", 1, 10, 1000))
        wait = int(refused.value.headers["retry-after-ms"])
        assert 0 < wait <= 500
        limiter.settle(held, tokens=100)
        await limiter.admit(Ask("admit", "w", "d", 300, 10, 1000))
        await asyncio.sleep(wait / 1000 + 0.01)
        again = await limiter.admit(Ask("admit", "w", "e", 600, 10, 1000))
        assert again.tokens <= 1000
        limiter.cancel(again)
        last = await limiter.admit(Ask("admit", "w", "f", 600, 10, 1000))
        assert last.requests <= 3
        await limiter.close()

    asyncio.run(run())


def test_without_redis_every_process_keeps_the_limit_by_itself(own_redis: Redis) -> None:
    async def run() -> None:
        limiter = Limiter(own_redis.url)
        await limiter.admit(Ask("admit", "w", "a", 0, 3))
        own_redis.stop()
        for number in range(3):
            await limiter.admit(Ask("admit", "w", f"b{number}", 0, 3))
        with pytest.raises(ApiError) as refused:
            await limiter.admit(Ask("admit", "w", "c", 0, 3))
        assert refused.value.status == 429
        await limiter.close()

    asyncio.run(run())


def test_resets_are_written_as_openai_s_durations() -> None:
    assert [duration(ms) for ms in (300, 12_500, 60_000, 61_500)] == ["300ms", "12.5s", "1m0s", "1m1.5s"]
