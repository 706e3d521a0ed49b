"""Chat at any OpenAI-compatible server, rerank at any server of Cohere's or Jina's form."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from yarl import URL

from addon.inference.config import OpenAISettings
from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.chat_request import ChatRequest
from addon.inference.gateway.errors import ApiError, failed, invalid
from addon.inference.gateway.upstreams.http import (
    BROKEN_OFF,
    STREAMED,
    Chunks,
    Upstream,
    busy,
    read_to_the_end,
)


class OpenAIUpstream(Upstream):
    """One server of this kind."""

    def __init__(self, settings: OpenAISettings, session: aiohttp.ClientSession) -> None:
        super().__init__(session, where=settings.url)
        self._settings = settings
        self._chat, self._rerank = URL(settings.url + "/chat/completions"), URL(settings.url + "/rerank")
        self._sent = {"content-type": "application/json"}
        if settings.api_key:
            self._sent["authorization"] = f"Bearer {settings.api_key.get_secret_value()}"

    def name_of(self, model: Model, region: str) -> str | None:
        """The settings' name, or the catalogue's."""
        return self._settings.model or model.served_as

    async def chat(self, name: str, request: ChatRequest) -> dict[str, Any]:
        """One whole completion; ApiError."""
        return await self._whole(self._chat, {"model": name, **request.upstream})

    async def rerank(self, name: str, query: str, documents: list[str]) -> list[tuple[int, float]]:
        """Pairs of a document's index and its score; ApiError."""
        body = {"model": name, "query": query, "documents": documents, "top_n": len(documents)}
        found = await self._whole(self._rerank, body)
        try:
            return [(int(row["index"]), float(row["relevance_score"])) for row in found["results"]]
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable(type(error).__name__) from error

    @asynccontextmanager
    async def chat_stream(self, name: str, request: ChatRequest) -> AsyncIterator[Chunks]:
        """A completion as it comes; ApiError."""
        answer = await self._open(self._chat, {"model": name, **request.upstream}, STREAMED)
        try:
            yield self._chunks(answer)
        finally:
            answer.close()

    async def _chunks(self, answer: aiohttp.ClientResponse) -> Chunks:
        rest = b""
        async for piece in self._pieces(answer):
            rest += piece
            if b"\r" in rest:
                rest = rest.replace(b"\r\n", b"\n")
            *events, rest = rest.split(b"\n\n")
            found, done = self._read(events)
            if found:
                self._breaker.succeeded()
                yield found
            if done:
                await read_to_the_end(answer)
                return
        raise self._ended_early()

    def _read(self, events: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
        """The chunks among whole events, and whether the stream is complete; ApiError for an error among them."""
        found: list[dict[str, Any]] = []
        for event in events:
            data = _data(event)
            if not data:
                continue
            if data == b"[DONE]":
                return found, True
            try:
                chunk = orjson.loads(data)
                error = chunk.get("error")
            except (orjson.JSONDecodeError, AttributeError) as unreadable:
                self._fault("unreadable stream")
                raise failed(BROKEN_OFF) from unreadable
            if error:
                self._fault("error in the stream", detail=str(error))
                raise failed(BROKEN_OFF)
            found.append(chunk)
        return found, False

    def _headers(self, url: URL, raw: bytes) -> Mapping[str, str]:
        return self._sent

    def _refusal(self, status: int, headers: Mapping[str, str], text: str) -> ApiError:
        if status in (400, 413, 422):
            self._breaker.succeeded()
            return invalid(_message(text) or "The model refused the request.", code="model_refused")
        if status == 429:
            return self._throttled(headers.get("retry-after", ""))
        self._fault(str(status))
        if status == 503:
            return busy(headers.get("retry-after", ""))
        # 401 and 404 too: a key or name in our settings is wrong, which no customer can mend.
        return failed()


def _data(event: bytes) -> bytes:
    """The data of one server-sent event; empty for a comment."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


def _message(text: str) -> str:
    """The message in a server's error body, of the forms in use."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    if isinstance(found, dict):
        error = found.get("error", found)
        found = error.get("message", "") if isinstance(error, dict) else error
    return found[:1000] if isinstance(found, str) else ""
