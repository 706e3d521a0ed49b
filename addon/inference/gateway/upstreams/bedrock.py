"""AWS Bedrock: chat by Converse and ConverseStream, rerank by the agents' runtime."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer, ParserError
from yarl import URL

from addon.inference.config import BedrockSettings
from addon.inference.gateway.catalogue import BedrockModel, Model
from addon.inference.gateway.chat_request import ChatRequest
from addon.inference.gateway.errors import ApiError, failed, invalid
from addon.inference.gateway.upstreams.bedrock_answer import MALFORMED, StreamReader, whole_answer
from addon.inference.gateway.upstreams.bedrock_request import ConverseRequest, converse_request
from addon.inference.gateway.upstreams.http import (
    BROKEN_OFF,
    STREAMED,
    Chunks,
    Upstream,
    busy,
    read_to_the_end,
)

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
# What a ValidationException says when our settings are wrong, not the customer's request.
_OURS = ("model identifier", "on-demand throughput", "inference profile", "model arn")


class BedrockUpstream(Upstream):
    """Bedrock in one of AWS's regions."""

    def __init__(self, settings: BedrockSettings, session: aiohttp.ClientSession) -> None:
        region = settings.aws_region
        super().__init__(session, where=f"bedrock {region}")
        self._settings = settings
        self._runtime = settings.url or f"https://bedrock-runtime.{region}.amazonaws.com"
        self._agents = settings.url or f"https://bedrock-agent-runtime.{region}.amazonaws.com"
        self._bearer = settings.api_key.get_secret_value() if settings.api_key else None
        self._signer = None if self._bearer else _signer(settings)

    def name_of(self, model: Model, region: str) -> str | None:
        """The settings' id, or the catalogue's for the customer's region."""
        found = self._settings.model or (model.bedrock.ids.get(region) if model.bedrock else None)
        if found and model.kind == "rerank" and not found.startswith("arn:"):
            return f"arn:aws:bedrock:{self._settings.aws_region}::foundation-model/{found}"
        return found

    async def chat(self, name: str, request: ChatRequest) -> dict[str, Any]:
        """One whole completion; ApiError."""
        asked = self._asked(request)
        answer = await self._whole(self._url(name, "converse"), asked.body)
        if answer.get("stopReason") in MALFORMED:
            self._fault(str(answer["stopReason"]))
            raise failed()
        try:
            return whole_answer(answer, names=asked.names, tag=_tag(request))
        except _UNREADABLE as error:
            raise self._unreadable(type(error).__name__) from error

    @asynccontextmanager
    async def chat_stream(self, name: str, request: ChatRequest) -> AsyncIterator[Chunks]:
        """A completion as it comes; ApiError."""
        asked = self._asked(request)
        answer = await self._open(self._url(name, "converse-stream"), asked.body, STREAMED)
        try:
            yield self._chunks(answer, StreamReader(names=asked.names, tag=_tag(request)))
        finally:
            answer.close()

    async def rerank(self, name: str, query: str, documents: list[str]) -> list[tuple[int, float]]:
        """Pairs of a document's index and its score; ApiError."""
        sources = [
            {
                "type": "INLINE",
                "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": document}},
            }
            for document in documents
        ]
        body: dict[str, Any] = {
            "queries": [{"type": "TEXT", "textQuery": {"text": query}}],
            "sources": sources,
            "rerankingConfiguration": {
                "type": "BEDROCK_RERANKING_MODEL",
                "bedrockRerankingConfiguration": {
                    "modelConfiguration": {"modelArn": name},
                    "numberOfResults": len(documents),
                },
            },
        }
        found: list[tuple[int, float]] = []
        try:
            while True:
                answer = await self._whole(URL(self._agents + "/rerank"), body)
                found += [(int(row["index"]), float(row["relevanceScore"])) for row in answer["results"]]
                if not answer.get("nextToken") or len(found) >= len(documents):
                    return found
                body["nextToken"] = answer["nextToken"]
        except _UNREADABLE as error:
            raise self._unreadable(type(error).__name__) from error

    def _asked(self, request: ChatRequest) -> ConverseRequest:
        return converse_request(request, request.model.bedrock or BedrockModel(ids={}))

    def _url(self, name: str, operation: str) -> URL:
        # Encoded as AWS signs it: ids hold colons, and those of inference profiles slashes.
        return URL(f"{self._runtime}/model/{quote(name, safe='')}/{operation}", encoded=True)

    async def _chunks(self, answer: aiohttp.ClientResponse, reader: StreamReader) -> Chunks:
        frames = EventStreamBuffer()
        async for piece in self._pieces(answer):
            frames.add_data(piece)
            found: list[dict[str, Any]] = []
            broken: Exception | None = None
            try:
                for frame in frames:
                    found += self._read(frame.headers, frame.payload, reader)
            except (ApiError, ParserError, *_UNREADABLE) as error:
                broken = error
            if found:
                # Also what came right before a fault: it was said.
                if not broken:
                    self._breaker.succeeded()
                yield found
            if isinstance(broken, ApiError):
                raise broken
            if broken:
                self._fault(type(broken).__name__)
                raise failed(BROKEN_OFF) from broken
            if found and "usage" in found[-1]:
                await read_to_the_end(answer)
                return
        if not reader.is_complete:
            raise self._ended_early()

    def _read(self, headers: Mapping[str, Any], payload: bytes, reader: StreamReader) -> list[dict[str, Any]]:
        kind = headers.get(":message-type")
        if kind == "event":
            event = orjson.loads(payload)
            if event.get("stopReason") in MALFORMED:
                self._fault(str(event["stopReason"]))
                raise failed(BROKEN_OFF)
            return reader.read(headers[":event-type"], event)
        if kind == "exception":
            name = str(headers.get(":exception-type", ""))
            raise self._exception(name[:1].upper() + name[1:], _message(payload.decode(errors="replace")), "")
        self._fault("error in the stream", detail=str(headers.get(":error-code")))
        raise failed(BROKEN_OFF)

    def _headers(self, url: URL, raw: bytes) -> Mapping[str, str]:
        if self._signer is None:
            return {"content-type": "application/json", "authorization": f"Bearer {self._bearer}"}
        request = AWSRequest("POST", str(url), data=raw, headers={"content-type": "application/json"})
        self._signer.add_auth(request)
        return dict(request.headers.items())

    def _refusal(self, status: int, headers: Mapping[str, str], text: str) -> ApiError:
        # `ValidationException:http://…` is known, too.
        name = headers.get("x-amzn-errortype", "").partition(":")[0]
        names = {400: "ValidationException", 408: "ModelTimeoutException", 429: "ThrottlingException"}
        return self._exception(
            name or names.get(status, str(status)), _message(text), headers.get("retry-after", "")
        )

    def _exception(self, name: str, message: str, retry_after: str) -> ApiError:
        """What the customer is told of one of Bedrock's exceptions."""
        if name == "ValidationException" and not any(each in message.lower() for each in _OURS):
            self._breaker.succeeded()
            return invalid(message or "The model refused the request.", code="model_refused")
        if name in ("ThrottlingException", "ServiceQuotaExceededException"):
            return self._throttled(retry_after)
        self._fault(name, detail=message)
        if name in ("ModelNotReadyException", "ServiceUnavailableException"):
            return busy(retry_after)
        if name == "ModelTimeoutException":
            return ApiError(
                504, "The model took too long. Stream the answer, or ask for less.", code="timeout"
            )
        # Access denied and resource not found, too: it is our access, which no customer can mend.
        return failed()


def _signer(settings: BedrockSettings) -> SigV4Auth:
    secret, token = settings.secret_access_key, settings.session_token
    credentials = Credentials(
        settings.access_key_id,
        secret.get_secret_value() if secret else None,
        token.get_secret_value() if token else None,
    )
    return SigV4Auth(credentials, "bedrock", settings.aws_region)


def _tag(request: ChatRequest) -> str | None:
    """The tag of the model's reasoning. Models that do not reason on their own do it before they call tools."""
    model = request.model
    if model.bedrock is None or not (model.reasoning or "tools" in request.upstream):
        return None
    return model.bedrock.thinking_tag


def _message(text: str) -> str:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    message = (found.get("message") or found.get("Message")) if isinstance(found, dict) else None
    return message[:1000] if isinstance(message, str) else ""
