"""A scripted model server: the last message tells it, as JSON, how to answer. Instant unless told otherwise."""

import asyncio
import json
from typing import Any

from aiohttp import web

from tests.inference.threaded import ThreadedServer


class ScriptedUpstream(ThreadedServer):
    """An OpenAI-compatible server in a thread.

    The script's fields: `say` (words), `prompt` and `completion` (token counts), `delay` (seconds before the answer, or
    before each chunk of a stream), `hold` (nothing after a stream's first chunk until `release`), `status` (of an
    error), `break_after` (chunks, then the connection ends).
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self._holding: set[asyncio.Event] = set()
        super().__init__()

    def release(self) -> None:
        """Let the answers go on that are held now."""
        for held in tuple(self._holding):
            self._loop.call_soon_threadsafe(held.set)

    @property
    def held(self) -> int:
        """How many answers are held."""
        return len(self._holding)

    async def _hold(self) -> None:
        held = asyncio.Event()
        self._holding.add(held)
        await held.wait()
        self._holding.discard(held)

    def routes(self) -> list[web.RouteDef]:
        """Chat completions, and rerank by words in common."""
        return [web.post("/v1/chat/completions", self._chat), web.post("/v1/rerank", self._rerank)]

    async def _rerank(self, request: web.Request) -> web.Response:
        """A document's score is the share of the query's words that it has."""
        body = await request.json()
        words = set(body["query"].lower().split())
        scores = [len(words & set(text.lower().split())) / len(words) for text in body["documents"]]
        rows = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
        return web.json_response({"results": rows})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.received.append(body)
        try:
            script = json.loads(body["messages"][-1]["content"])
        except (json.JSONDecodeError, TypeError):
            script = {}
        try:
            return await self._play(request, body, script if isinstance(script, dict) else {})
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up += 1
            raise

    async def _play(
        self, request: web.Request, body: dict[str, Any], script: dict[str, Any]
    ) -> web.StreamResponse:
        words = script.get("say", "Hello there, friend").split(" ")
        usage = {
            "prompt_tokens": script.get("prompt", 11),
            "completion_tokens": script.get("completion", len(words)),
            "prompt_tokens_details": {"cached_tokens": 3},
        }
        if status := script.get("status"):
            return web.json_response({"error": {"message": "told to fail"}}, status=status)
        delay = script.get("delay", 0)
        if not body.get("stream"):
            await asyncio.sleep(delay)
            if script.get("hold"):
                await self._hold()
            message = {"role": "assistant", "content": " ".join(words)}
            if "think" in script:
                message["reasoning_content"] = script["think"]
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({"id": "theirs", "choices": [choice], "usage": usage})
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for number, word in enumerate(words):
            if number == script.get("break_after"):
                assert request.transport is not None
                request.transport.close()
                return stream
            if delay:
                await asyncio.sleep(delay)
            if number == 1 and script.get("hold"):
                await self._hold()
            text = word if number == 0 else f" {word}"
            delta = {"role": "assistant", "content": text} if number == 0 else {"content": text}
            await self._event(stream, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        await self._event(stream, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await self._event(stream, {"choices": [], "usage": usage})
        await stream.write(b"data: [DONE]\n\n")
        return stream

    async def _event(self, stream: web.StreamResponse, event: dict[str, Any]) -> None:
        event = {"id": "theirs", "object": "chat.completion.chunk", "model": "theirs", **event}
        await stream.write(f"data: {json.dumps(event)}\n\n".encode())
