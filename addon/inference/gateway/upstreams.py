"""Where models run: chat at any OpenAI-compatible server, rerank at any server of Cohere's or Jina's form."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import structlog

from addon.inference.config import UpstreamSettings
from addon.inference.gateway import metrics
from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.errors import ApiError, failed, invalid, unavailable

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 600.0
SILENCE_SECONDS = 120.0
TRIES = 2
RETRY_SECONDS = 0.05
OPEN_AFTER_FAILURES = 5
OPEN_SECONDS = 5.0


class Breaker:
    """Keeps requests away from an upstream that has failed several times in a row; now and then one may try."""

    def __init__(self) -> None:
        self._failures, self._closed_at = 0, 0.0

    def check(self) -> None:
        """Raise ApiError 503 while the upstream is known to be down."""
        now = time.monotonic()
        if self._failures < OPEN_AFTER_FAILURES:
            return
        if now < self._closed_at:
            raise unavailable("The model is unavailable right now. Please try again.")
        self._closed_at = now + OPEN_SECONDS

    def succeeded(self) -> None:
        """The upstream answered."""
        self._failures = 0

    def failed(self) -> None:
        """The upstream did not answer, or with a fault of its own."""
        self._failures += 1
        self._closed_at = time.monotonic() + OPEN_SECONDS


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model at an upstream: its name there, and what it stands in for when it is not the plan's own."""

    upstream: "Upstream"
    name: str
    stand_in: str | None


class Upstream:
    """One HTTP server. Retries happen only before its first byte, and only when it cannot have begun to work."""

    def __init__(self, settings: UpstreamSettings, session: aiohttp.ClientSession) -> None:
        self.settings, self._session, self._breaker = settings, session, Breaker()
        self._headers = {"content-type": "application/json"}
        if settings.api_key:
            self._headers["authorization"] = f"Bearer {settings.api_key.get_secret_value()}"

    async def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One whole completion in OpenAI's form; ApiError."""
        return await self._whole("/chat/completions", body)

    async def rerank(self, body: Mapping[str, Any]) -> list[tuple[int, float]]:
        """Pairs of a document's index and its score; ApiError."""
        found = await self._whole("/rerank", body)
        try:
            return [(int(row["index"]), float(row["relevance_score"])) for row in found["results"]]
        except (KeyError, TypeError, ValueError) as error:
            log.error("inference.upstream.unreadable", url=self.settings.url, error=type(error).__name__)
            raise failed() from error

    @asynccontextmanager
    async def chat_stream(self, body: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """A completion as it comes: lists of the data of whole events, without `[DONE]`.

        ApiError before the first event, for the status of the answer; `failed` ones later. Leaving the block early
        closes the connection, which tells the upstream to stop.
        """
        answer = await self._open("/chat/completions", body)
        try:
            yield self._events(answer)
        finally:
            answer.close()

    async def _events(self, answer: aiohttp.ClientResponse) -> AsyncIterator[list[bytes]]:
        rest = b""
        try:
            async for piece in answer.content.iter_any():
                rest += piece
                if b"\r" in rest:
                    rest = rest.replace(b"\r\n", b"\n")
                *events, rest = rest.split(b"\n\n")
                found = [data for data in map(_data, events) if data]
                done = b"[DONE]" in found
                if done:
                    found = found[: found.index(b"[DONE]")]
                if found:
                    yield found
                if done:
                    self._breaker.succeeded()
                    await _read_to_the_end(answer)
                    return
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._fault(type(error).__name__)
            raise failed("The model failed while it was answering.") from error
        self._fault("ended early")
        raise failed("The model failed while it was answering.")

    async def _whole(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._open(path, body)
        try:
            found: Any = orjson.loads(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError, orjson.JSONDecodeError) as error:
            self._fault(type(error).__name__)
            raise failed() from error
        finally:
            answer.release()
        if not isinstance(found, dict):
            raise failed()
        self._breaker.succeeded()
        return found

    async def _open(self, path: str, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        self._breaker.check()
        raw = orjson.dumps(body)
        try:
            answer = await self._post(path, raw)
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
            self._fault(type(error).__name__)
            raise unavailable("The model is unavailable right now. Please try again.") from error
        except TimeoutError as error:
            self._fault(type(error).__name__)
            raise ApiError(
                504, "The model took too long. Stream the answer, or ask for less.", code="timeout"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            self._fault(type(error).__name__)
            raise failed() from error
        if answer.status == 200:
            return answer
        try:
            raise await self._refused(answer)
        finally:
            answer.release()

    async def _post(self, path: str, raw: bytes) -> aiohttp.ClientResponse:
        url = self.settings.url + path
        for _ in range(TRIES - 1):
            try:
                return await self._session.post(url, data=raw, headers=self._headers)
            except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError):
                # Nothing has begun: it never got the request, or closed an idle connection under it.
                await asyncio.sleep(RETRY_SECONDS)
        return await self._session.post(url, data=raw, headers=self._headers)

    async def _refused(self, answer: aiohttp.ClientResponse) -> ApiError:
        """What the customer is told of an answer that is not 200."""
        text = (await answer.content.read(65_536)).decode(errors="replace")
        if answer.status in (400, 413, 422):
            self._breaker.succeeded()
            return invalid(_message(text) or "The model refused the request.", code="model_refused")
        if answer.status in (429, 503):
            # Not the customer's limit: ours at the upstream.
            after = answer.headers.get("retry-after", "")
            self._fault(str(answer.status))
            return unavailable(
                "The model is busy right now. Please try again.",
                retry_after=min(120, int(after)) if after.isdecimal() else 5,
            )
        # 401 and 404 too: a key or name in our settings is wrong, which no customer can mend.
        self._fault(str(answer.status))
        return failed()

    def _fault(self, reason: str) -> None:
        self._breaker.failed()
        metrics.count_upstream_fault(self.settings.url, reason)
        log.error("inference.upstream.fault", url=self.settings.url, reason=reason)


class Upstreams:
    """Every upstream of the settings, over one pool of connections."""

    def __init__(self, settings: Mapping[str, UpstreamSettings]) -> None:
        timeout = aiohttp.ClientTimeout(
            total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
        )
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        self._found = {name: Upstream(each, self.session) for name, each in settings.items()}

    def serving(self, model: Model, *, region: str) -> Served:
        """Where `model` runs: the settings' most telling name of `model@region`, `model`, `kind@region`, `kind`.

        ApiError 503 when none is set.
        """
        for name in (f"{model.id}@{region}", model.id, f"{model.kind}@{region}", model.kind):
            if upstream := self._found.get(name):
                settings = upstream.settings
                return Served(
                    upstream=upstream, name=settings.model or model.served_as, stand_in=settings.stand_in
                )
        log.error("inference.upstream.missing", alarm=True, model=model.id, region=region)
        raise unavailable(f"The model '{model.id}' is not available right now.", retry_after=60)

    async def close(self) -> None:
        """Close every connection."""
        await self.session.close()


async def _read_to_the_end(answer: aiohttp.ClientResponse) -> None:
    """Read what follows `[DONE]`, the end of the body as a rule, so that the connection can be used again."""
    try:
        async with asyncio.timeout(0.5):
            while await answer.content.readany():
                pass
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass  # The answer is complete all the same; the connection is closed.


def _data(event: bytes) -> bytes:
    """The data of one server-sent event; empty for a comment."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


def _message(text: str) -> str:
    """The message in an upstream's error body, of the forms in use."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    if isinstance(found, dict):
        error = found.get("error", found)
        found = error.get("message", "") if isinstance(error, dict) else error
    return found[:1000] if isinstance(found, str) else ""
