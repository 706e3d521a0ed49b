"""POST /v1/chat/completions: whole answers and streams."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import structlog

from addon.inference.gateway.calls import Call, Rooms, admit, check_model
from addon.inference.gateway.chat_request import ChatRequest, check_chat
from addon.inference.gateway.errors import ApiError, failed
from addon.inference.gateway.http import ClientGone, Exchange
from addon.inference.gateway.images import fetch_images
from addon.inference.gateway.keys import Caller
from addon.inference.gateway.upstreams.registry import Served
from addon.inference.models import Outcome

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 12.0
_FINISH = frozenset({"stop", "length", "tool_calls", "content_filter"})
_COUNT_MOST = 2**31 - 1
_DONE = b"data: [DONE]\n\n"


async def chat(exchange: Exchange, rooms: Rooms, caller: Caller, request_id: uuid.UUID) -> None:
    """Answer one request; ApiError while nothing has been sent."""
    body = await exchange.body()
    request = check_chat(
        body,
        check_model(body.get("model"), caller),
        cache_prompt=exchange.given.get(b"x-heroku-prompt-caching", b"").lower() != b"false",
    )
    served = rooms.upstreams.serving(request.model, region=caller.region)
    call = await admit(
        rooms,
        caller,
        request.model,
        request_id=request_id,
        tokens=request.input_estimate + request.output_most,
        streamed=request.stream,
    )
    exchange.headers.update(call.admission.headers())
    if served.stand_in:
        exchange.headers["x-served-by"] = f"{served.stand_in} (stands in for {request.model.id})"
    try:
        await fetch_images(request.upstream["messages"])
        if request.stream:
            await _stream(exchange, call, request, served)
        else:
            await _whole(exchange, call, request, served)
    except BaseException:
        if not exchange.started:
            call.undo()
        raise


class Envelope:
    """The fields around an answer's choices: ours, whatever the upstream's are."""

    def __init__(self, request: ChatRequest, served: Served, request_id: uuid.UUID) -> None:
        self._show = request.include_reasoning
        fingerprint = f"stand-in-{_slug(served.stand_in)}" if served.stand_in else f"aw-{request.model.id}"
        self.fields = {
            "id": f"chatcmpl-{request_id.hex}",
            "object": "chat.completion.chunk" if request.stream else "chat.completion",
            "created": int(time.time()),
            "model": request.model.id,
            "system_fingerprint": fingerprint,
        }

    def choice(self, choice: dict[str, Any], *, part: str) -> dict[str, Any]:
        """The choice in our form; `part` is "message" or "delta"."""
        given = choice.get(part) or {}
        finish = choice.get("finish_reason")
        if part == "delta" and len(given) == 1 and "content" in given and finish is None:
            # Nearly every piece of every stream.
            return {"index": 0, "delta": given, "logprobs": None, "finish_reason": None}
        message = {name: given[name] for name in ("role", "content", "tool_calls") if name in given}
        if part == "message":
            message = {"role": "assistant", "content": None, "refusal": None, **message}
            if not message.get("tool_calls"):
                message.pop("tool_calls", None)
        if self._show:
            message.update(_reasoning(given))
        return {
            "index": 0,
            part: message,
            "logprobs": None,
            "finish_reason": finish if finish in _FINISH or finish is None else "stop",
        }


def _reasoning(given: dict[str, Any]) -> dict[str, Any]:
    """The reasoning in Heroku's form and in the one that open servers have in common.

    `signature` and `redacted_content` come from Bedrock, which wants them back with the next turn as they are.
    """
    text = given.get("reasoning_content")
    found = {
        "thinking": text,
        "signature": given.get("reasoning_signature"),
        "redacted_content": given.get("reasoning_redacted"),
    }
    found = {name: value for name, value in found.items() if value}
    if not found:
        return {}
    return {"reasoning": found, "reasoning_content": text} if text else {"reasoning": found}


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


async def _whole(exchange: Exchange, call: Call, request: ChatRequest, served: Served) -> None:
    # Finished and metered even when the client has left: the upstream charges for it as well.
    found = await served.upstream.chat(served.name, request)
    envelope = Envelope(request, served, call.id)
    try:
        choice = envelope.choice(found["choices"][0], part="message")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        log.error("inference.upstream.unreadable", upstream=served.upstream.where)
        raise failed() from error
    used = read_usage(found.get("usage"))
    if used is None:
        used = _estimated(request, len(orjson.dumps(choice["message"])) // 4)
    call.first_byte()
    await call.deliver(**used)
    answer = {
        **envelope.fields,
        "choices": [choice],
        "usage": shown_usage(used),
    }
    await exchange.answer(200, answer)


class _Stream:
    """A stream under way: what has come, so that a cut one is metered for what was produced."""

    def __init__(self, exchange: Exchange, call: Call, request: ChatRequest, served: Served) -> None:
        self._exchange, self._call, self._request = exchange, call, request
        self._envelope = Envelope(request, served, call.id)
        self._last_sent = time.monotonic()
        # What is the same around every choice.
        self._before = b"data: " + orjson.dumps(self._envelope.fields)[:-1] + b',"choices":['
        self._after = b'],"usage":null}\n\n' if request.include_usage else b"]}\n\n"
        self._beginning = asyncio.Lock()
        self.used: dict[str, Any] | None = None
        self.chunks = self.characters = 0

    async def send(self, raw: bytes, *, last: bool = False) -> None:
        """Send whole events; ApiError 503 when the first cannot be, because the stream cannot be written down."""
        if not self._exchange.started:
            await self._begin()
        self._last_sent = time.monotonic()
        await self._exchange.stream(raw, last=last)

    async def _begin(self) -> None:
        async with self._beginning:
            if not self._exchange.started:
                await self._call.begin_stream(
                    input_tokens=self._request.input_estimate,
                    produced=lambda: int(self.counted()["output_tokens"]),
                )
                await self._exchange.start_stream()

    async def finish(self, raw: bytes, *, outcome: Outcome) -> None:
        """Meter the stream and send its last events."""
        used = self.counted()
        if outcome is Outcome.FAILED and not self.chunks and not self.used:
            used["input_tokens"] = 0  # Nothing was delivered but comments.
        try:
            await self._call.deliver(outcome=outcome, **used)
        except ApiError as error:
            raw = error_event(error)  # Metered later, but it is not known when.
        await self.send(raw, last=True)

    def events(self, found: list[dict[str, Any]]) -> bytes:
        """The upstream's chunks as events in our form."""
        out: list[bytes] = []
        for chunk in found:
            if (told := chunk.get("usage")) and (usage := read_usage(told)):
                self.used = usage
            for choice in chunk.get("choices") or ():
                shaped = self._envelope.choice(choice, part="delta")
                self._count(choice.get("delta") or {})
                out += (self._before, orjson.dumps(shaped), self._after)
        return b"".join(out)

    def _count(self, delta: dict[str, Any]) -> None:
        size = len(delta.get("content") or "") + len(delta.get("reasoning_content") or "")
        for each in delta.get("tool_calls") or ():
            size += len((each.get("function") or {}).get("arguments") or "")
        if size:
            self.chunks += 1
            self.characters += size

    def counted(self) -> dict[str, Any]:
        """The upstream's own count, or what its chunks amount to: one token each, or four characters."""
        return self.used or _estimated(self._request, max(self.chunks, self.characters // 4))

    def end(self) -> bytes:
        """The last events of a complete stream."""
        if not self._request.include_usage:
            return _DONE
        last: dict[str, Any] = {**self._envelope.fields, "choices": [], "usage": shown_usage(self.counted())}
        return b"data: " + orjson.dumps(last) + b"\n\n" + _DONE

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Send a comment whenever nothing was sent for a while, so that no router on the way closes the connection.

        Every `send` is one call with whole events, so a comment never lands inside of one.
        """

        async def keep() -> None:
            while True:
                await asyncio.sleep(max(0.01, self._last_sent + KEEP_ALIVE_SECONDS - time.monotonic()))
                if time.monotonic() - self._last_sent >= KEEP_ALIVE_SECONDS:
                    with suppress(ApiError):  # It could not be begun: the answer itself may be luckier.
                        await self.send(b": keep-alive\n\n")

        keeper = asyncio.get_running_loop().create_task(keep())
        try:
            yield
        finally:
            keeper.cancel()


async def _stream(exchange: Exchange, call: Call, request: ChatRequest, served: Served) -> None:
    stream = _Stream(exchange, call, request, served)
    try:
        async with (
            exchange.watched(),
            stream.kept_alive(),
            served.upstream.chat_stream(served.name, request) as batches,
        ):
            async for found in batches:
                if raw := stream.events(found):
                    await stream.send(raw)
        if not exchange.started:
            raise failed()
    except ApiError as error:
        if not exchange.started:
            raise
        await stream.finish(error_event(error), outcome=Outcome.FAILED)
    except BaseException as error:
        # The client left, the process is being stopped, or a fault of ours: what was produced is metered.
        if exchange.started:
            outcome = Outcome.HUNG_UP if isinstance(error, ClientGone) else Outcome.FAILED
            await asyncio.shield(call.deliver(outcome=outcome, **stream.counted()))
        raise
    else:
        await stream.finish(stream.end(), outcome=Outcome.COMPLETE)


def error_event(error: ApiError) -> bytes:
    """An error in the middle of a stream, as OpenAI's clients raise it."""
    return b"data: " + orjson.dumps(error.body) + b"\n\n"


def read_usage(usage: Any) -> dict[str, Any] | None:
    """The counts of an upstream's usage object; None when it has none that can be true."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    found = {
        "input_tokens": usage.get("prompt_tokens"),
        "output_tokens": usage.get("completion_tokens") or 0,
        "cached_tokens": (details.get("cached_tokens") if isinstance(details, dict) else None) or 0,
    }
    if any(not isinstance(count, int) or not 0 <= count <= _COUNT_MOST for count in found.values()):
        return None
    return found


def shown_usage(used: dict[str, Any]) -> dict[str, Any]:
    """The usage object of an answer."""
    return {
        "prompt_tokens": used["input_tokens"],
        "completion_tokens": used["output_tokens"],
        "total_tokens": used["input_tokens"] + used["output_tokens"],
        "prompt_tokens_details": {"cached_tokens": used.get("cached_tokens", 0)},
    }


def _estimated(request: ChatRequest, output: int) -> dict[str, Any]:
    return {"input_tokens": request.input_estimate, "output_tokens": output, "estimated": True}
