"""Upstreams that are slow, broken or down: what is tried again, when they are left alone, and what clients are told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest
from aiohttp import web

from addon.inference.config import OpenAISettings
from addon.inference.gateway.catalogue import models
from addon.inference.gateway.chat_request import check_chat
from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.upstreams import breaker, http, openai
from addon.inference.gateway.upstreams.openai import OpenAIUpstream
from tests.inference.threaded import ThreadedServer

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "hi"}}], "usage": {"prompt_tokens": 1}}
CHUNK = b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n'
Play = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Moody(ThreadedServer):
    """Plays one scene after the other, one for each request, and the last for all that follow."""

    def __init__(self) -> None:
        self.scenes: list[Play] = []
        self.asked = 0
        super().__init__()

    def routes(self) -> list[web.RouteDef]:
        """Chat completions alone."""
        return [web.post("/chat/completions", self._play)]

    async def _play(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        scene = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        return await scene(request)


async def well(request: web.Request) -> web.StreamResponse:
    if not (await request.json()).get("stream"):
        return web.json_response(ANSWER)
    return await streamed(request, CHUNK + b"data: [DONE]\n\n")


async def cut(request: web.Request) -> web.StreamResponse:
    """The connection ends before an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def slow(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.json_response(ANSWER)


async def begun_and_cut(request: web.Request) -> web.StreamResponse:
    await streamed(request, CHUNK)
    return await cut(request)


async def begun_and_silent(request: web.Request) -> web.StreamResponse:
    answer = await streamed(request, CHUNK)
    await asyncio.sleep(5)
    return answer


async def streamed(request: web.Request, raw: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(raw)
    return answer


def status(code: int, **headers: str) -> Play:
    async def play(request: web.Request) -> web.StreamResponse:
        body = {"error": {"message": "theirs"}}
        return web.json_response(body, status=code, headers=headers)

    return play


def saying(raw: bytes) -> Play:
    async def play(request: web.Request) -> web.StreamResponse:
        return await streamed(request, raw)

    return play


@pytest.fixture(scope="module")
def shared() -> Iterator[Moody]:
    server = Moody()
    yield server
    server.close()


@pytest.fixture
def moody(shared: Moody) -> Moody:
    shared.asked = 0
    return shared


class Asking:
    """One upstream, asked again and again."""

    def __init__(self, session: aiohttp.ClientSession, server: Moody) -> None:
        settings = OpenAISettings(url=f"http://127.0.0.1:{server.port}")
        self._upstream = OpenAIUpstream(settings, session)

    async def ask(self, *, stream: bool = False) -> str:
        """`ok`, or the pieces that came and the status of the error."""
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": stream}
        request = check_chat(body, models()["nova-lite"])
        came = 0
        try:
            if not stream:
                await self._upstream.chat("m", request)
                return "ok"
            async with self._upstream.chat_stream("m", request) as batches:
                async for batch in batches:
                    came += len(batch)
        except ApiError as error:
            return f"{came} then {error.status}" if came else str(error.status)
        return "ok"


def asking(server: Moody, play: Callable[[Asking], Awaitable[None]], *scenes: Play) -> None:
    """Run `play` with a fresh upstream before the scenes."""
    server.scenes = list(scenes)

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            await play(Asking(session, server))

    asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_cannot_have_begun_is_tried_once_more(moody: Moody, stream: bool) -> None:
    async def play(it: Asking) -> None:
        assert await it.ask(stream=stream) == "ok"
        assert moody.asked == 2

    asking(moody, play, cut, well)


def test_it_is_not_tried_for_ever(moody: Moody) -> None:
    async def play(it: Asking) -> None:
        assert await it.ask() == "503"
        assert moody.asked == 2

    asking(moody, play, cut)


@pytest.mark.parametrize("scene", [begun_and_cut, status(500), status(400), status(503)])
def test_what_has_begun_or_was_answered_is_never_tried_again(moody: Moody, scene: Play) -> None:
    async def play(it: Asking) -> None:
        assert await it.ask(stream=True) != "ok"
        assert moody.asked == 1

    asking(moody, play, scene)


def test_a_stream_that_breaks_off_or_makes_no_sense_fails_after_what_came(moody: Moody) -> None:
    async def play(it: Asking) -> None:
        assert await it.ask(stream=True) == "1 then 500"
        assert await it.ask(stream=True) == "1 then 500"
        assert await it.ask(stream=True) == "500"
        assert await it.ask(stream=True) == "500"

    asking(
        moody,
        play,
        begun_and_cut,
        saying(CHUNK),  # Ends without [DONE].
        saying(b"data: {nonsense\n\n"),
        saying(b'data: {"error": {"message": "out of memory"}}\n\n'),
    )


def test_lines_of_any_kind_and_cut_anywhere_are_read(moody: Moody) -> None:
    async def play(it: Asking) -> None:
        assert await it.ask(stream=True) == "ok"

    asking(
        moody,
        play,
        saying(b": ping\r\n\r\nevent: x\r\n" + CHUNK.replace(b"\n", b"\r\n") + b"data:[DONE]\n\n"),
    )


def test_a_whole_answer_has_its_time_and_a_stream_its_longest_silence(
    moody: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WHOLE", aiohttp.ClientTimeout(total=0.2))
    monkeypatch.setattr(openai, "STREAMED", aiohttp.ClientTimeout(total=5, sock_read=0.2))

    async def play(it: Asking) -> None:
        assert await it.ask() == "504"
        assert await it.ask(stream=True) == "1 then 500"

    asking(moody, play, slow, begun_and_silent)
    assert moody.asked == 2


@pytest.mark.parametrize(
    ("code", "told"), [(400, 400), (422, 400), (401, 500), (404, 500), (429, 503), (500, 500), (503, 503)]
)
def test_statuses_are_mapped_to_whose_fault_they_are(moody: Moody, code: int, told: int) -> None:
    async def play(it: Asking) -> None:
        assert await it.ask() == str(told)

    asking(moody, play, status(code))


def test_the_breaker_opens_lets_one_try_and_closes(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.3)

    async def play(it: Asking) -> None:
        assert [await it.ask() for _ in range(5)] == ["500"] * 5
        assert [await it.ask() for _ in range(4)] == ["503"] * 4
        assert moody.asked == 5
        await asyncio.sleep(0.35)
        # Half open: one of many may try, and fails.
        assert sorted(await asyncio.gather(*[it.ask() for _ in range(4)])) == ["500", "503", "503", "503"]
        assert moody.asked == 6
        await asyncio.sleep(0.35)
        moody.scenes = [well]
        assert await it.ask() == "ok"
        assert await asyncio.gather(*[it.ask() for _ in range(4)]) == ["ok"] * 4

    asking(moody, play, status(500))


@pytest.mark.parametrize("code", [400, 429])
def test_neither_a_bad_request_nor_being_throttled_opens_the_breaker(moody: Moody, code: int) -> None:
    async def play(it: Asking) -> None:
        for _ in range(7):
            await it.ask()
        assert moody.asked == 7

    asking(moody, play, status(code))


def test_the_server_s_own_patience_is_passed_on_within_reason(moody: Moody) -> None:
    async def run(after: str) -> str:
        moody.scenes = [status(429, **{"Retry-After": after})]
        async with aiohttp.ClientSession() as session:
            upstream = OpenAIUpstream(OpenAISettings(url=f"http://127.0.0.1:{moody.port}"), session)
            body = {"messages": [{"role": "user", "content": "hi"}]}
            with pytest.raises(ApiError) as refused:
                await upstream.chat("m", check_chat(body, models()["nova-lite"]))
            return refused.value.headers["retry-after"]

    # OpenAI's clients give up where they are told to wait for more than two minutes.
    given = ["7", "0", "9999", "Wed, 21 Oct 2026 07:28:00 GMT"]
    assert [asyncio.run(run(after)) for after in given] == ["7", "1", "120", "5"]
