"""What every upstream has: a pool of connections, tries, timeouts, a circuit breaker, and how its faults are told."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import orjson
import structlog
from yarl import URL

from addon.inference.gateway import metrics
from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.chat_request import ChatRequest
from addon.inference.gateway.errors import ApiError, failed, unavailable
from addon.inference.gateway.upstreams.breaker import Breaker

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 600.0
SILENCE_SECONDS = 120.0
"""Between two pieces of a stream. Bedrock itself cuts a stream that is silent for about so long."""
TRIES = 2
RETRY_SECONDS = 0.05
ERROR_BYTES = 65_536

WHOLE = aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS)
STREAMED = aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
BROKEN_OFF = "The model failed while it was answering."
_LOST = (aiohttp.ClientError, OSError, TimeoutError)

Chunks = AsyncIterator[list[dict[str, Any]]]


class Upstream(ABC):
    """One server that models run at. Tries again only before its first byte, when it cannot have begun to work."""

    def __init__(self, session: aiohttp.ClientSession, *, where: str) -> None:
        """`where` names the server to operators."""
        self.where, self._session, self._breaker = where, session, Breaker()

    @abstractmethod
    def name_of(self, model: Model, region: str) -> str | None:
        """What the server calls `model` for customers of `region`; None when it does not have it."""

    @abstractmethod
    async def chat(self, name: str, request: ChatRequest) -> dict[str, Any]:
        """One whole completion in OpenAI's form; ApiError."""

    @abstractmethod
    def chat_stream(self, name: str, request: ChatRequest) -> AbstractAsyncContextManager[Chunks]:
        """A completion as it comes: lists of chunks in OpenAI's form.

        ApiError before the first chunk, for the status of the answer; `failed` ones later. Leaving the block early
        closes the connection, which tells the server to stop.
        """

    @abstractmethod
    async def rerank(self, name: str, query: str, documents: list[str]) -> list[tuple[int, float]]:
        """Pairs of a document's index and its score; ApiError."""

    @abstractmethod
    def _refusal(self, status: int, headers: Mapping[str, str], text: str) -> ApiError:
        """What the customer is told of an answer that is not 200; tells the breaker of it."""

    @abstractmethod
    def _headers(self, url: URL, raw: bytes) -> Mapping[str, str]:
        """The headers of one try to post `raw` to `url`."""

    async def _whole(self, url: URL, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post `body` and return the JSON object that comes; ApiError."""
        answer = await self._open(url, body, WHOLE)
        try:
            found: Any = orjson.loads(await answer.read())
        except TimeoutError as error:
            raise self._too_slow(error) from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            self._fault(type(error).__name__)
            raise failed() from error
        finally:
            answer.release()
        if not isinstance(found, dict):
            raise self._unreadable("not an object")
        self._breaker.succeeded()
        return found

    async def _open(
        self, url: URL, body: Mapping[str, Any], patience: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Post `body` and return the answer, whose status is 200; ApiError."""
        self._breaker.check()
        raw = orjson.dumps(body)
        try:
            answer = await self._post(url, raw, patience)
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
            self._fault(type(error).__name__)
            raise unavailable("The model is unavailable right now. Please try again.") from error
        except TimeoutError as error:
            raise self._too_slow(error) from error
        except (aiohttp.ClientError, OSError) as error:
            self._fault(type(error).__name__)
            raise failed() from error
        if answer.status == 200:
            return answer
        try:
            text = (await answer.content.read(ERROR_BYTES)).decode(errors="replace")
        except _LOST:
            text = ""
        finally:
            answer.release()
        raise self._refusal(answer.status, answer.headers, text)

    async def _post(self, url: URL, raw: bytes, patience: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        for _ in range(TRIES - 1):
            try:
                return await self._session.post(
                    url, data=raw, headers=self._headers(url, raw), timeout=patience
                )
            except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError):
                # Nothing has begun: it never got the request, or closed an idle connection under it.
                await asyncio.sleep(RETRY_SECONDS)
        return await self._session.post(url, data=raw, headers=self._headers(url, raw), timeout=patience)

    async def _pieces(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The bytes of a stream as they come; ApiError when it breaks off or falls silent."""
        try:
            async for piece in answer.content.iter_any():
                yield piece
        except _LOST as error:
            self._fault(type(error).__name__)
            raise failed(BROKEN_OFF) from error

    def _ended_early(self) -> ApiError:
        self._fault("ended early")
        return failed(BROKEN_OFF)

    def _too_slow(self, error: Exception) -> ApiError:
        self._fault(type(error).__name__)
        return ApiError(504, "The model took too long. Stream the answer, or ask for less.", code="timeout")

    def _unreadable(self, reason: str) -> ApiError:
        log.error("inference.upstream.unreadable", upstream=self.where, reason=reason)
        return failed()

    def _throttled(self, retry_after: str) -> ApiError:
        """The server is well and has had enough of us: the breaker would stop every other model there, too."""
        metrics.count_upstream_fault(self.where, "throttled")
        log.error("inference.upstream.throttled", alarm=True, upstream=self.where)
        return busy(retry_after)

    def _fault(self, reason: str, *, detail: str = "") -> None:
        """Count a fault; `reason` is one of few words, `detail` the server's own for the log."""
        self._breaker.failed()
        metrics.count_upstream_fault(self.where, reason)
        log.error("inference.upstream.fault", upstream=self.where, reason=reason, detail=detail[:200])


async def read_to_the_end(answer: aiohttp.ClientResponse) -> None:
    """Read what follows a stream's last event, as a rule the end of the body: the connection can be used again."""
    try:
        async with asyncio.timeout(0.5):
            while await answer.content.readany():
                pass
    except _LOST:
        pass  # The answer is complete all the same; the connection is closed.


def busy(retry_after: str) -> ApiError:
    """503: it is not the customer's limit that was met but ours at the upstream, which says when to come again."""
    return unavailable(
        "The model is busy right now. Please try again.",
        retry_after=min(120, max(1, int(retry_after))) if retry_after.isdecimal() else 5,
    )
