"""An instant model server, and a bare pass-through of the gateway's own stack, as ASGI applications.

The pass-through reads the body, posts it to INSTANT_URL with aiohttp and relays what comes: no keys, no limits, no
metering, no look inside.
"""

import os
from typing import Any

import aiohttp
import orjson

CHUNKS = 50
_USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}
_WHOLE = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "instant",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": _USAGE,
    }
)


def _event(**fields: Any) -> bytes:
    around = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "instant"}
    return b"data: " + orjson.dumps({**around, **fields}) + b"\n\n"


_CHUNK = _event(choices=[{"index": 0, "delta": {"content": " word"}, "finish_reason": None}])
_LAST = _event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
_LAST += _event(choices=[], usage=_USAGE) + b"data: [DONE]\n\n"
_session: list[aiohttp.ClientSession] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer every chat completion at once, a stream in 50 chunks."""
    if scope["type"] != "http":
        return
    streamed = b'"stream":true' in (await _body(receive)).replace(b" ", b"")
    if not streamed:
        await _start(send, b"application/json", len(_WHOLE))
        await send({"type": "http.response.body", "body": _WHOLE})
        return
    await _start(send, b"text/event-stream", None)
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": _CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": _LAST})


async def passthrough(scope: Any, receive: Any, send: Any) -> None:
    """Relay to INSTANT_URL."""
    if scope["type"] != "http":
        return
    if not _session:
        _session.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    body = await _body(receive)
    async with _session[0].post(os.environ["INSTANT_URL"] + scope["path"], data=body) as answer:
        kind = answer.headers["content-type"].encode()
        if answer.content_length is not None:
            raw = await answer.read()
            await _start(send, kind, len(raw))
            await send({"type": "http.response.body", "body": raw})
            return
        await _start(send, kind, None)
        async for piece in answer.content.iter_any():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Any) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _start(send: Any, kind: bytes, length: int | None) -> None:
    headers = [(b"content-type", kind)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
