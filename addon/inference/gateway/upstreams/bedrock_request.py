"""A chat completion in the form of Bedrock's Converse.

Shapes are those of botocore's service model `bedrock-runtime`; the rules beside them are AWS's documentation of
Converse and of the Nova models.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from addon.inference.gateway.catalogue import BedrockModel
from addon.inference.gateway.chat_request import ChatRequest
from addon.inference.gateway.upstreams.schemas import inlined

PLACEHOLDER = "(empty)"
"""In place of text that Bedrock refuses because it is blank."""
CONTINUE = "Continue."
"""The turn of a user where the customer sent none: Bedrock's conversations begin with the user."""
CHARACTERS_PER_TOKEN = 3
"""Rather too few: a cache point after too short a prompt does no harm."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_IDENTITY = re.compile(r"[a-zA-Z0-9_.:-]{1,64}\Z")
_CACHE_POINT = {"cachePoint": {"type": "default"}}
_NOVA_SCHEMA = ("type", "properties", "required")
# Reasoning before text before calls; results before what the user says with them.
_ORDER = {"reasoningContent": 0, "toolResult": 0, "text": 1, "image": 1, "toolUse": 2}


@dataclass(frozen=True, kw_only=True)
class ConverseRequest:
    """The body of a Converse or ConverseStream call. `names` gives the customer's name of each renamed tool."""

    body: dict[str, Any]
    names: Mapping[str, str]


def converse_request(request: ChatRequest, bedrock: BedrockModel) -> ConverseRequest:
    """Translate; ApiError 400 for a tool's schema that cannot be sent."""
    asked = request.upstream
    names: dict[str, str] = {}
    tools = _tool_config(request, bedrock, names)
    system, turns = _conversation(asked["messages"], with_tools=tools is not None, names=names)
    body: dict[str, Any] = {"messages": turns, "inferenceConfig": _inference(request, bedrock)}
    if system:
        if request.cache_prompt and _is_worth_caching(system, request, "system"):
            system.append(_CACHE_POINT)
        body["system"] = system
    if tools:
        body["toolConfig"] = tools
    if more := _more_fields(asked, bedrock):
        body["additionalModelRequestFields"] = more
    return ConverseRequest(body=body, names=names)


def safe_name(name: str) -> str:
    """A tool's name as Bedrock takes it: the same where possible, else one made of it that no other name gets."""
    return name if _NAME.match(name) else _made_safe(name, r"[^a-zA-Z0-9_-]")


def _safe_identity(identity: str) -> str:
    return identity if _IDENTITY.match(identity) else _made_safe(identity, r"[^a-zA-Z0-9_.:-]")


def _made_safe(text: str, unfit: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{re.sub(unfit, '_', text)[:53]}_{digest}"


def _inference(request: ChatRequest, bedrock: BedrockModel) -> dict[str, Any]:
    asked = request.upstream
    found: dict[str, Any] = {}
    if "stop" in asked:
        found["stopSequences"] = asked["stop"]
    if _is_unbounded(request):
        # Nova 2 refuses a maximum and a temperature at this effort.
        return found
    # Always a maximum: without one Bedrock takes the model's largest answer off the quota until the end.
    found["maxTokens"] = asked["max_tokens"]
    if "temperature" in asked:
        found["temperature"] = asked["temperature"]
    elif _is_greedy(asked, bedrock):
        found["temperature"] = 0
    if "top_p" in asked:
        found["topP"] = asked["top_p"]
    return found


def _is_unbounded(request: ChatRequest) -> bool:
    effort = request.upstream.get("reasoning_effort")
    return effort is not None and effort == request.model.unbounded_effort


def _is_greedy(asked: Mapping[str, Any], bedrock: BedrockModel) -> bool:
    """Nova's tool calls often come out malformed unless it picks the likeliest token. A customer's choice stands."""
    chosen = asked.keys() & {"temperature", "top_p", "top_k"}
    return bedrock.nova and "tools" in asked and not chosen and "reasoning_effort" not in asked


def _more_fields(asked: Mapping[str, Any], bedrock: BedrockModel) -> dict[str, Any]:
    found: dict[str, Any] = {}
    top_k = 1 if _is_greedy(asked, bedrock) else asked.get("top_k")
    if top_k is not None:
        found.update({"inferenceConfig": {"topK": top_k}} if bedrock.nova else {"top_k": top_k})
    if bedrock.effort and (effort := asked.get("reasoning_effort")):
        found["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
    return found


def _tool_config(request: ChatRequest, bedrock: BedrockModel, names: dict[str, str]) -> dict[str, Any] | None:
    """The tools; None without any, also for `none`, which Bedrock has no word for. Fills `names`."""
    asked = request.upstream
    choice = asked.get("tool_choice")
    if not asked.get("tools") or choice == "none":
        return None
    tools: list[dict[str, Any]] = []
    for tool in asked["tools"]:
        function = tool["function"]
        schema = inlined(function["parameters"])
        if bedrock.nova:
            schema = {name: schema[name] for name in _NOVA_SCHEMA if name in schema} | {"type": "object"}
        spec = {
            "name": _named(function["name"], names),
            "description": function["description"],
            "inputSchema": {"json": schema},
        }
        tools.append({"toolSpec": spec})
    if request.cache_prompt and _is_worth_caching(tools, request, "tools"):
        tools.append(_CACHE_POINT)
    found: dict[str, Any] = {"tools": tools}
    # A forced call and reasoning exclude each other; `auto` is what goes without saying.
    if "reasoning_effort" not in asked:
        if choice == "required":
            found["toolChoice"] = {"any": {}}
        elif isinstance(choice, dict):
            found["toolChoice"] = {"tool": {"name": safe_name(choice["function"]["name"])}}
    return found


def _named(name: str, names: dict[str, str]) -> str:
    safe = safe_name(name)
    if safe != name:
        names[safe] = name
    return safe


def _is_worth_caching(part: list[dict[str, Any]], request: ChatRequest, kind: str) -> bool:
    caching = request.model.caching
    if not caching.get(kind):
        return False
    return len(orjson.dumps(part)) // CHARACTERS_PER_TOKEN >= int(caching["minimum_tokens"])


def _conversation(
    messages: list[dict[str, Any]], *, with_tools: bool, names: dict[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The system's blocks and the turns, which alternate and begin with the user."""
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message["role"]
        if role == "system":
            system += _texts(message["content"])
            continue
        if role == "tool":
            role, blocks = "user", [_result(message, with_tools)]
        elif role == "assistant":
            blocks = [*_reasoning(message), *_texts(message["content"]), *_calls(message, with_tools, names)]
        else:
            blocks = _texts(message["content"])
        if not turns and role == "assistant":
            turns.append({"role": "user", "content": [{"text": CONTINUE}]})
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        turns.append({"role": "user", "content": [{"text": CONTINUE}]})
    for turn in turns:
        turn["content"].sort(key=lambda block: _ORDER[next(iter(block))])
        if not turn["content"]:
            turn["content"].append({"text": PLACEHOLDER})
    return system, turns


def _texts(content: Any) -> list[dict[str, Any]]:
    """Text and images as blocks. Blank text is left out."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    found: list[dict[str, Any]] = []
    for part in parts:
        if part["type"] == "text":
            if part["text"].strip():
                found.append({"text": part["text"]})
        else:
            # `data:image/png;base64,…`: Bedrock's JSON has bytes in base64, too.
            label, _, encoded = part["image_url"]["url"].partition(";base64,")
            found.append(
                {"image": {"format": label.removeprefix("data:image/"), "source": {"bytes": encoded}}}
            )
    return found


def _reasoning(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reasoning goes back with its signature, byte for byte, or not at all: unsigned, it is not asked for."""
    found: list[dict[str, Any]] = []
    if signature := message.get("reasoning_signature"):
        text = {"text": message.get("reasoning_content", ""), "signature": signature}
        found.append({"reasoningContent": {"reasoningText": text}})
    if redacted := message.get("reasoning_redacted"):
        found.append({"reasoningContent": {"redactedContent": redacted}})
    return found


def _calls(message: Mapping[str, Any], with_tools: bool, names: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for call in message.get("tool_calls", ()):
        function = call["function"]
        if with_tools:
            use = {
                "toolUseId": _safe_identity(call["id"]),
                "name": _named(function["name"], names),
                "input": orjson.loads(function["arguments"]),
            }
            found.append({"toolUse": use})
        else:
            # Bedrock takes these blocks only together with tools.
            found.append({"text": f"[called {function['name']} with {function['arguments']}]"})
    return found


def _result(message: Mapping[str, Any], with_tools: bool) -> dict[str, Any]:
    content = message["content"]
    if not with_tools:
        return {"text": f"[result: {content.strip() or PLACEHOLDER}]"}
    blocks = _texts(content) or [{"text": PLACEHOLDER}]
    return {
        "toolResult": {
            "toolUseId": _safe_identity(message["tool_call_id"]),
            "content": blocks,
            "status": "success",
        }
    }
