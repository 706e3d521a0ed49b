"""A web that is asked to stop, as each deploy does, takes nothing new and ends what it has begun."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.inference.conftest import Gateway
from tests.support.stack import until

HEROKU_KILLS_AFTER = 30.0


@pytest.fixture
def leaving(gateway: Gateway) -> Iterator[Gateway]:
    """The gateway with production's patience; afterwards it is as before."""

    def restart(graceful_seconds: int) -> None:
        gateway.graceful_seconds = graceful_seconds
        if gateway.is_alive("web"):
            gateway.kill_part("web")
        gateway.start_part("web")
        until(lambda: gateway._answers(f"{gateway.web_url}/healthz"))

    restart(25)
    yield gateway
    gateway.upstream.release()
    restart(3)


def test_a_stream_and_an_answer_under_way_are_finished_and_metered(leaving: Gateway) -> None:
    addon, script = leaving.provision("nova-lite"), {"say": "one two three", "hold": True}
    body = {"model": addon.model, "messages": [{"role": "user", "content": json.dumps(script)}]}
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(addon.say, script)
        with addon.post("/v1/chat/completions", {**body, "stream": True}, stream=True) as stream:
            lines = stream.iter_lines(chunk_size=1)
            assert b"one" in next(line for line in lines if b'"content":"one' in line.replace(b": ", b":"))
            until(lambda: leaving.upstream.held == 2)
            web, began = leaving.ask_part_to_stop("web"), time.monotonic()
            until(lambda: not leaving._answers(f"{leaving.web_url}/healthz"))
            assert web.is_alive()
            leaving.upstream.release()
            rest = [line for line in lines if line]
        assert rest[-1] == b"data: [DONE]"
        answer = whole.result(timeout=60)
    assert (answer.status_code, answer.json()["choices"][0]["message"]["content"]) == (200, "one two three")
    until(lambda: not web.is_alive())
    assert time.monotonic() - began < HEROKU_KILLS_AFTER
    assert web.process.returncode == 0
    web.clear()
    assert len(leaving.usage(addon)) == 2
