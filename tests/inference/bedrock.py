"""A stand-in for AWS Bedrock: refuses what AWS refuses, checks signatures, answers with real event-stream frames."""

import asyncio
import binascii
import hmac
import json
import struct
from typing import Any

from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.inference.bedrock_rules import misshapen, refusal
from tests.inference.threaded import ThreadedServer

ACCESS_KEY, SECRET_KEY, API_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "bedrock-api-key-example"
STATUSES = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
USAGE = {"inputTokens": 20, "outputTokens": 7, "totalTokens": 27}


def frame(kind: str, payload: Any, *, message_type: str = "event") -> bytes:
    """One event-stream message: prelude, its CRC, headers, payload, CRC of everything before."""
    raw = json.dumps(payload).encode()
    name = {"event": ":event-type", "exception": ":exception-type"}[message_type]
    headers = b""
    for key, value in ((":message-type", message_type), (name, kind), (":content-type", "application/json")):
        headers += struct.pack(f">B{len(key)}sBH", len(key), key.encode(), 7, len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(raw), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + raw
    return message + struct.pack(">I", binascii.crc32(message))


class BedrockStandIn(ThreadedServer):
    """Bedrock in every region. The customer's last text tells it, as JSON, how to answer.

    The script's fields: `say` (words), `think` (reasoning, with `signature`), `call` (pairs of a tool's name and its
    input, null for none at all), `stop` (the reason), `usage` (counts), `error` (an exception in place of an answer,
    with `message`), `raise` (an exception after the words of a stream), `corrupt` (a wrong CRC there), `cut` (the
    connection ends there), `delay` (seconds before each word), `slowly` (every frame in pieces), `no_usage`.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.refusals: list[str] = []
        super().__init__()

    def routes(self) -> list[web.RouteDef]:
        """Both of the runtimes' calls."""
        return [
            web.post("/model/{model}/converse", self._converse),
            web.post("/model/{model}/converse-stream", self._stream),
            web.post("/rerank", self._rerank),
        ]

    # --- what is refused ------------------------------------------------------------------------------------
    async def _taken(self, request: web.Request, operation: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The body and its script; an HTTP error as AWS answers it."""
        raw = await request.read()
        if not self._lets_in(request, raw):
            raise self._error("AccessDeniedException", "The request signature does not match.")
        body = json.loads(raw)
        model = request.match_info.get("model", "")
        if refused := refusal(operation, body, model=model or "rerank"):
            self.refusals.append(refused)
            raise self._error("ValidationException", refused)
        self.received.append(
            {
                "model": model,
                "region": request.headers["authorization"].partition("Credential=")[2],
                "body": body,
            }
        )
        script = _script(body)
        if name := script.get("error"):
            raise self._error(name, script.get("message", "told to fail"), script.get("retry_after"))
        return body, script

    def _lets_in(self, request: web.Request, raw: bytes) -> bool:
        given = request.headers.get("authorization", "")
        if given.startswith("Bearer "):
            return given == f"Bearer {API_KEY}"
        if not given.startswith("AWS4-HMAC-SHA256 "):
            return False
        fields = dict(
            part.strip().split("=", 1) for part in given.removeprefix("AWS4-HMAC-SHA256 ").split(",")
        )
        key, _, region, service, _ = fields["Credential"].split("/")
        signed = {name: request.headers[name] for name in fields["SignedHeaders"].split(";")}
        # The path as it came over the wire: what was signed must not have been encoded another way.
        url = f"http://{request.headers['host']}{request.raw_path}"
        asked = AWSRequest("POST", url, data=raw, headers=signed)
        asked.context["timestamp"] = request.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), service, region)
        text = signer.string_to_sign(asked, signer.canonical_request(asked))
        right = signer.signature(text, asked)
        return key == ACCESS_KEY and service == "bedrock" and hmac.compare_digest(right, fields["Signature"])

    def _error(self, name: str, message: str, retry_after: int | None = None) -> web.HTTPException:
        kind = type(name, (web.HTTPError,), {"status_code": STATUSES[name]})
        headers = {"x-amzn-ErrorType": f"{name}:http://internal.amazon.com/"}
        if retry_after:
            headers["Retry-After"] = str(retry_after)
        error: web.HTTPException = kind(
            text=json.dumps({"message": message}), headers=headers, content_type="application/json"
        )
        return error

    # --- answers --------------------------------------------------------------------------------------------
    async def _converse(self, request: web.Request) -> web.StreamResponse:
        _, script = await self._taken(request, "Converse")
        content: list[dict[str, Any]] = []
        if "think" in script:
            text = {"text": script["think"], "signature": script.get("signature", "c2lnbg==")}
            content.append({"reasoningContent": {"reasoningText": text}})
        if "redacted" in script:
            content.append({"reasoningContent": {"redactedContent": script["redacted"]}})
        if words := script.get("say", "" if "call" in script else "Hello there"):
            content.append({"text": words})
        for number, (name, given) in enumerate(script.get("call", ())):
            use = {"toolUseId": f"tooluse_{number}", "name": name, "input": given or {}}
            content.append({"toolUse": use})
        answer = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": script.get("stop", "tool_use" if "call" in script else "end_turn"),
            "usage": {**USAGE, **script.get("usage", {})},
            "metrics": {"latencyMs": 5},
        }
        wrong = misshapen("Converse", answer)
        assert wrong is None, wrong
        return web.json_response(answer)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        _, script = await self._taken(request, "ConverseStream")
        stream = web.StreamResponse(headers={"Content-Type": "application/vnd.amazon.eventstream"})
        await stream.prepare(request)
        try:
            for raw in frames(script):
                if raw is None:
                    assert request.transport is not None
                    request.transport.close()
                    return stream
                pieces = [raw[:9], raw[9:40], raw[40:]] if script.get("slowly") else [raw]
                for piece in pieces:
                    await stream.write(piece)
                    await asyncio.sleep(0.002 if script.get("slowly") else 0)
                await asyncio.sleep(script.get("delay", 0))
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up += 1
            raise
        return stream

    async def _rerank(self, request: web.Request) -> web.StreamResponse:
        body, _ = await self._taken(request, "Rerank")
        query = set(body["queries"][0]["textQuery"]["text"].lower().split())
        texts = [source["inlineDocumentSource"]["textDocument"]["text"] for source in body["sources"]]
        scored = [
            {"index": index, "relevanceScore": len(query & set(text.lower().split())) / len(query)}
            for index, text in enumerate(texts)
        ]
        scored.sort(key=lambda row: -row["relevanceScore"])
        # Results of a page, and a token for the next.
        first = int(body.get("nextToken", "0"))
        answer: dict[str, Any] = {"results": scored[first : first + 100]}
        if first + 100 < len(scored):
            answer["nextToken"] = str(first + 100)
        wrong = misshapen("Rerank", answer)
        assert wrong is None, wrong
        return web.json_response(answer)


def frames(script: dict[str, Any]) -> list[bytes | None]:
    """A scripted stream in AWS's order of events; None where the connection ends."""
    found: list[bytes | None] = [frame("messageStart", {"role": "assistant"})]
    block = 0
    if "think" in script:
        for piece in (
            {"text": script["think"][:3]},
            {"text": script["think"][3:]},
            {"signature": script.get("signature", "c2lnbg==")},
        ):
            delta = {"contentBlockIndex": block, "delta": {"reasoningContent": piece}}
            found.append(frame("contentBlockDelta", delta))
        found.append(frame("contentBlockStop", {"contentBlockIndex": block}))
        block += 1
    if words := script.get("say", "" if "call" in script else "Hello there"):
        # Text begins without a start, as AWS sends it.
        for number, word in enumerate(words.split(" ")):
            delta = {"contentBlockIndex": block, "delta": {"text": word if number == 0 else f" {word}"}}
            found.append(frame("contentBlockDelta", delta))
        if "raise" in script:
            return [*found, frame(script["raise"], {"message": "told to fail"}, message_type="exception")]
        if script.get("corrupt"):
            return [*found, frame("contentBlockStop", {"contentBlockIndex": block})[:-1] + b"\x00"]
        if script.get("cut"):
            return [*found, None]
        found.append(frame("contentBlockStop", {"contentBlockIndex": block}))
        block += 1
    for number, (name, given) in enumerate(script.get("call", ())):
        use = {"toolUseId": f"tooluse_{number}", "name": name}
        found.append(frame("contentBlockStart", {"contentBlockIndex": block, "start": {"toolUse": use}}))
        if given is not None:
            text = json.dumps(given)
            for piece_of_text in ("", text[:4], text[4:]):
                delta = {"contentBlockIndex": block, "delta": {"toolUse": {"input": piece_of_text}}}
                found.append(frame("contentBlockDelta", delta))
        found.append(frame("contentBlockStop", {"contentBlockIndex": block}))
        block += 1
    reason = script.get("stop", "tool_use" if "call" in script else "end_turn")
    found.append(frame("messageStop", {"stopReason": reason}))
    if not script.get("no_usage"):
        counts = {**USAGE, **script.get("usage", {})}
        found.append(frame("metadata", {"usage": counts, "metrics": {"latencyMs": 5}}))
    return found


def _script(body: dict[str, Any]) -> dict[str, Any]:
    texts = [body["queries"][0]["textQuery"]["text"]] if "queries" in body else []
    for turn in body.get("messages", ()):
        texts += [block["text"] for block in turn["content"] if "text" in block]
    for text in reversed(texts):
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(found, dict):
            return found
    return {}
