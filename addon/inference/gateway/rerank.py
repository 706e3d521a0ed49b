"""POST /v1/rerank, and /v2/rerank for Cohere's newer client: documents by their relevance to a query."""

import uuid
from typing import Any

from addon.inference.gateway.calls import Rooms, admit, check_model
from addon.inference.gateway.errors import failed, invalid
from addon.inference.gateway.http import Exchange
from addon.inference.gateway.keys import Caller

DOCUMENTS_MOST = 1000
DOCUMENTS_PER_UNIT = 100
_KNOWN = frozenset(
    (
        *("model", "query", "documents", "top_n", "allow_ignored_params"),
        # Sent by clients of Cohere's and Jina's.
        *("return_documents", "max_tokens_per_doc", "max_chunks_per_doc", "rank_fields", "priority"),
    )
)


async def rerank(exchange: Exchange, rooms: Rooms, caller: Caller, request_id: uuid.UUID) -> None:
    """Answer one request; ApiError with the document's messages."""
    body = await exchange.body()
    model = check_model(body.get("model"), caller)
    if model.kind != "rerank":
        raise invalid(
            f"'{model.id}' is a {model.kind} model: send it to /v1/chat/completions.",
            param="model",
            code="wrong_endpoint",
        )
    query, documents, top_n = check_rerank(body)
    served = rooms.upstreams.serving(model, region=caller.region)
    call = await admit(rooms, caller, model, request_id=request_id, tokens=0, streamed=False)
    exchange.headers.update(call.admission.headers())
    if served.stand_in:
        exchange.headers["x-served-by"] = f"{served.stand_in} (stands in for {model.id})"
    try:
        scores = await served.upstream.rerank(served.name, query, documents)
        if len({index for index, _ in scores if 0 <= index < len(documents)}) != len(documents):
            raise failed()
        units = -(-len(documents) // DOCUMENTS_PER_UNIT)
        call.first_byte()
        await call.deliver(search_units=units)
    except BaseException:
        call.undo()
        raise
    ranked = sorted(scores, key=lambda pair: (-pair[1], pair[0]))[:top_n]
    results: list[dict[str, Any]] = [
        {"index": index, "relevance_score": round(score, 6)} for index, score in ranked
    ]
    if body.get("return_documents") is True:
        for row in results:
            row["document"] = {"text": documents[row["index"]]}
    meta: dict[str, Any] = {
        "api_version": {"version": "2", "is_experimental": False},
        "billed_units": {"search_units": units},
    }
    if served.stand_in:
        meta["warnings"] = [f"{served.stand_in} stands in for {model.id}."]
    await exchange.answer(200, {"id": str(request_id), "results": results, "meta": meta})


def check_rerank(body: dict[str, Any]) -> tuple[str, list[str], int]:
    """The query, the documents as text, and how many results are wanted; ApiError 400."""
    query = body.get("query")
    if query is None or query == "":
        raise invalid("query is required", param="query")
    if not isinstance(query, str):
        raise invalid("query must be a string", param="query")
    given = body.get("documents")
    if given is None or given == []:
        raise invalid("documents array is required and cannot be empty", param="documents")
    if not isinstance(given, list):
        raise invalid("documents must be an array", param="documents")
    if len(given) > DOCUMENTS_MOST:
        raise invalid(
            f"documents array exceeds maximum of {DOCUMENTS_MOST} items (received {len(given)}). "
            "Please reduce the number of documents per request",
            param="documents",
        )
    documents = [_text(number, document) for number, document in enumerate(given)]
    top_n = body.get("top_n")
    if top_n is None:
        top_n = len(documents)
    if not isinstance(top_n, int) or isinstance(top_n, bool) or top_n < 1:
        raise invalid("top_n must be a whole number of at least 1", param="top_n")
    unknown = sorted(body.keys() - _KNOWN)
    if unknown and body.get("allow_ignored_params") is not True:
        names = ", ".join(f"'{name[:80]}'" for name in unknown[:20])
        raise invalid(
            f"Unrecognized request parameters: {names}. "
            "Leave out what is not supported, or set allow_ignored_params to true.",
            param=unknown[0][:80],
            code="unrecognized_parameter",
        )
    return query, documents, top_n


def _text(number: int, document: Any) -> str:
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str):
        raise invalid(
            f"documents[{number}] must be a string, or an object with a text", param=f"documents[{number}]"
        )
    return text
