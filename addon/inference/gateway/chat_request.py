"""What a chat completion may ask for, by the document's compatibility table, and what is asked of the upstream."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.errors import invalid

SUPPORTED = frozenset(
    (
        *("model", "messages", "modalities", "max_tokens", "max_completion_tokens", "parallel_tool_calls"),
        *(
            "reasoning_effort",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tool_options",
        ),
        *("tools", "top_p", "top_k", "extended_thinking", "include_reasoning", "allow_ignored_params"),
    )
)
IGNORED = frozenset(
    (
        *("n", "frequency_penalty", "logprobs", "audio", "logit_bias", "store", "metadata", "prediction"),
        *("presence_quality", "prompt_cache_key", "response_format", "safety_identifier", "service_tier"),
        *("top_logprobs", "verbosity", "web_search_options"),
        # Not in the table, and sent by stock clients.
        *("presence_penalty", "seed", "user"),
    )
)
EFFORTS = ("low", "medium", "high")
IMAGES_MOST = 20
IMAGE_TOKENS = 1_600
"""Reserved for each image; Amazon's models count about so many for a large one."""
_IMAGE_DATA = re.compile(r"data:image/(png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}\Z")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}\Z")
_BUDGETS = ((4_096, "low"), (16_384, "medium"))


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """A request that is fit to be answered. `upstream` is its body there but for the model's name."""

    model: Model
    upstream: dict[str, Any]
    stream: bool
    include_usage: bool
    include_reasoning: bool
    input_estimate: int
    output_most: int


def check_chat(body: Mapping[str, Any], model: Model) -> ChatRequest:
    """Read a request for `model`; ApiError 400 names the field and what is wrong with it."""
    if model.kind != "chat":
        raise invalid(
            f"'{model.id}' is a {model.kind} model: send it to /v1/rerank.",
            param="model",
            code="wrong_endpoint",
        )
    lenient = _take(body, "allow_ignored_params", _boolean) or False
    unknown = sorted(body.keys() - SUPPORTED - IGNORED)
    if unknown and not lenient:
        names = ", ".join(f"'{name[:80]}'" for name in unknown[:20])
        raise invalid(
            f"Unrecognized request parameter{'s' if len(unknown) > 1 else ''}: {names}. "
            "Leave out what is not supported, or set allow_ignored_params to true.",
            param=unknown[0][:80],
            code="unrecognized_parameter",
        )
    sent: dict[str, Any] = {}
    messages = [_message(number, message, model) for number, message in enumerate(_messages(body))]
    sent["messages"] = messages
    images = sum(
        part["type"] == "image_url"
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
    if images > IMAGES_MOST:
        raise invalid(f"A request may hold {IMAGES_MOST} images at most.", param="messages")
    for name, low, high in (("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0)):
        if (value := _take(body, name, _number)) is not None:
            if not low <= value <= high:
                raise invalid(f"{name} must be between {low:g} and {high:g}.", param=name)
            # Clients of OpenAI's may ask for up to 2; the models know no more than 1.
            sent[name] = min(value, 1.0)
    if (top_k := _take(body, "top_k", _integer)) is not None:
        if top_k < 1:
            raise invalid("top_k must be at least 1.", param="top_k")
        sent["top_k"] = top_k
    most = _most_tokens(body, model)
    sent["max_tokens"] = most
    if stop := _stop(body):
        sent["stop"] = stop
    stream = _take(body, "stream", _boolean) or False
    include_usage = _stream_options(body, stream)
    if stream:
        sent["stream"], sent["stream_options"] = True, {"include_usage": True}
    modalities = body.get("modalities")
    if modalities is not None and modalities != ["text"]:
        raise invalid('modalities must be ["text"].', param="modalities")
    _tools(body, model, sent)
    include_reasoning = _reasoning(body, model, sent)
    return ChatRequest(
        model=model,
        upstream=sent,
        stream=stream,
        include_usage=include_usage,
        include_reasoning=include_reasoning,
        input_estimate=_estimate(messages, sent.get("tools")) + images * IMAGE_TOKENS,
        output_most=most,
    )


def _take(body: Mapping[str, Any], name: str, kind: Callable[[Any], bool]) -> Any:
    value = body.get(name)
    if value is not None and not kind(value):
        raise invalid(f"{name} must be {_KINDS[kind]}.", param=name)
    return value


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_KINDS: dict[Callable[[Any], bool], str] = {
    _boolean: "true or false",
    _integer: "a whole number",
    _number: "a number",
}


def _messages(body: Mapping[str, Any]) -> list[Any]:
    messages = body.get("messages")
    if messages is None:
        raise invalid("messages is required", param="messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be an array of at least one message.", param="messages")
    return messages


def _message(number: int, message: Any, model: Model) -> dict[str, Any]:
    where = f"messages[{number}]"
    if not isinstance(message, dict):
        raise invalid(f"{where} must be an object.", param=where)
    role = message.get("role")
    if role not in ("system", "developer", "user", "assistant", "tool"):
        raise invalid(
            f"{where}.role must be one of system, developer, user, assistant, tool.", param=f"{where}.role"
        )
    found: dict[str, Any] = {"role": "system" if role == "developer" else role}
    calls = message.get("tool_calls") if role == "assistant" else None
    content = message.get("content")
    if content is None or content in ("", []):
        if not calls:
            raise invalid(
                f"{where}.content is required and cannot be empty: when there is nothing to say, send a placeholder.",
                param=f"{where}.content",
            )
        found["content"] = ""
    else:
        found["content"] = _content(content, where=f"{where}.content", role=role, model=model)
    if calls is not None:
        found["tool_calls"] = _tool_calls(calls, where=f"{where}.tool_calls")
    if role == "tool":
        identity = message.get("tool_call_id")
        if not isinstance(identity, str) or not identity:
            raise invalid(f"{where}.tool_call_id is required", param=f"{where}.tool_call_id")
        found["tool_call_id"] = identity
    if isinstance(name := message.get("name"), str) and name:
        found["name"] = name
    return found


def _content(content: Any, *, where: str, role: str, model: Model) -> Any:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(f"{where} must be a string or an array of content parts.", param=where)
    parts = [
        _part(part, where=f"{where}[{number}]", role=role, model=model) for number, part in enumerate(content)
    ]
    if all(part["type"] == "text" for part in parts):
        # Not every server takes parts everywhere; text alone means the same joined.
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(part: Any, *, where: str, role: str, model: Model) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        return {"type": "text", "text": part[kind]}
    if kind == "image_url" and role == "user":
        if "image" not in model.inputs:
            raise invalid(f"The model '{model.id}' does not take images.", param=where)
        return {"type": "image_url", "image_url": {"url": _image(part.get("image_url"), where=where)}}
    if isinstance(kind, str) and kind != "text":
        raise invalid(
            f"{where}: content of type '{kind[:40]}' is not supported in {role} messages.", param=where
        )
    raise invalid(f"{where} must be a content part such as {{'type': 'text', 'text': '…'}}.", param=where)


def _image(image: Any, *, where: str) -> str:
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str) or not (url.startswith("https://") or _IMAGE_DATA.match(url)):
        raise invalid(
            f"{where}.image_url.url must be an https address or data:image/<png, jpeg, gif, webp>;base64,….",
            param=where,
        )
    return url


def _tool_calls(calls: Any, *, where: str) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise invalid(f"{where} must be an array.", param=where)
    found = []
    for number, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if (
            not isinstance(function, dict)
            or not isinstance(call.get("id"), str)
            or not isinstance(function.get("name"), str)
            or not isinstance(function.get("arguments", ""), str)
        ):
            raise invalid(
                f"{where}[{number}] needs an id and a function with a name and arguments (a string of JSON).",
                param=where,
            )
        arguments = function.get("arguments", "").strip() or "{}"
        found.append(
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": function["name"], "arguments": _object_text(arguments, where, number)},
            }
        )
    return found


def _object_text(text: str, where: str, number: int) -> str:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise invalid(f"{where}[{number}].function.arguments must hold a JSON object.", param=where)
    return text


def _most_tokens(body: Mapping[str, Any], model: Model) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value: int | None = _take(body, name, _integer)
        if value is not None:
            if not 1 <= value <= model.max_output_tokens:
                raise invalid(
                    f"{name} must be between 1 and {model.max_output_tokens} for '{model.id}'.", param=name
                )
            return value
    return model.default_output_tokens


def _stop(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    if stops is None:
        return []
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise invalid("stop must be a string or an array of strings.", param="stop")
    return [each for each in stops if each]


def _stream_options(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise invalid("stream_options must be an object.", param="stream_options")
    if not stream:
        raise invalid("stream_options is for requests with stream set to true.", param="stream_options")
    return bool(_take(options, "include_usage", _boolean))


def _tools(body: Mapping[str, Any], model: Model, sent: dict[str, Any]) -> None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    parallel = _take(body, "parallel_tool_calls", _boolean)
    if not tools:
        if tools not in (None, []):
            raise invalid("tools must be an array.", param="tools")
        if choice not in (None, "none", "auto"):
            raise invalid("tool_choice needs tools to choose from.", param="tool_choice")
        return
    if not isinstance(tools, list):
        raise invalid("tools must be an array.", param="tools")
    sent["tools"] = [_tool(number, tool) for number, tool in enumerate(tools)]
    names = {tool["function"]["name"] for tool in sent["tools"]}
    if len(names) < len(sent["tools"]):
        raise invalid("Every tool needs a name of its own.", param="tools")
    sent["tool_choice"] = _tool_choice(choice, names)
    if parallel is not None and model.parallel_tool_calls:
        sent["parallel_tool_calls"] = parallel


def _tool(number: int, tool: Any) -> dict[str, Any]:
    where = f"tools[{number}]"
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise invalid(f"{where}: tools of type 'function' are supported, no others.", param=f"{where}.type")
    function = tool.get("function")
    if not isinstance(function, dict):
        raise invalid(f"{where}.function is required", param=f"{where}.function")
    name = function.get("name")
    if not isinstance(name, str) or not _TOOL_NAME.match(name):
        raise invalid(
            f"{where}.function.name must be 1 to 128 letters, digits and _.:/-",
            param=f"{where}.function.name",
        )
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        raise invalid(f"{where}.function.parameters must be a JSON schema.", param=f"{where}.function")
    described = function.get("description")
    found = {
        "name": name,
        "description": described if isinstance(described, str) and described else name,
        "parameters": parameters,
    }
    if isinstance(function.get("strict"), bool):
        found["strict"] = function["strict"]
    return {"type": "function", "function": found}


def _tool_choice(choice: Any, names: set[str]) -> Any:
    if choice is None:
        return "auto"
    if choice in ("none", "auto", "required"):
        return choice
    function = (
        choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    )
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise invalid(
            "tool_choice must be none, auto, required or {'type': 'function', 'function': {'name': '…'}}.",
            param="tool_choice",
        )
    if name not in names:
        raise invalid(f"tool_choice names '{name[:80]}', which is not among the tools.", param="tool_choice")
    return {"type": "function", "function": {"name": name}}


def _reasoning(body: Mapping[str, Any], model: Model, sent: dict[str, Any]) -> bool:
    """Set the effort for models that know one; tell whether the reasoning is to be shown."""
    effort = body.get("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise invalid(f"reasoning_effort must be one of {', '.join(EFFORTS)}.", param="reasoning_effort")
    show = _take(body, "include_reasoning", _boolean)
    thinking = body.get("extended_thinking")
    if thinking is not None:
        if not isinstance(thinking, dict):
            raise invalid("extended_thinking must be an object.", param="extended_thinking")
        enabled = _take(thinking, "enabled", _boolean)
        budget = _take(thinking, "budget_tokens", _integer)
        shown = _take(thinking, "include_reasoning", _boolean)
        show = shown if shown is not None else show
        if enabled and not model.reasoning:
            raise invalid(
                f"The model '{model.id}' does not support extended_thinking.", param="extended_thinking"
            )
        if budget is not None and budget < 1_024:
            raise invalid(
                "extended_thinking.budget_tokens must be at least 1024.",
                param="extended_thinking.budget_tokens",
            )
        if enabled and effort is None:
            effort = next((name for most, name in _BUDGETS if (budget or 0) <= most), "high")
    if effort is not None and model.reasoning:
        sent["reasoning_effort"] = effort
    return show is not False


def _estimate(messages: list[dict[str, Any]], tools: Any) -> int:
    """Tokens of the input, rather too many than too few; the true number replaces it at the end."""
    characters = 0
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            characters += len(content)
        else:
            characters += sum(len(part.get("text", "")) for part in content)
        for call in message.get("tool_calls", ()):
            characters += len(call["function"]["name"]) + len(call["function"]["arguments"])
    if tools:
        characters += len(str(tools))
    return characters // 3 + 4 * len(messages) + 8
