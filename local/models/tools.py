"""Tool calls by constrained output: the small model's server ignores `tools`, but it does keep to a JSON schema."""

import json
import uuid
from typing import Any

_KEPT = ("type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "$ref", "$defs")


def constrained(body: dict[str, Any]) -> dict[str, Any]:
    """The request without tools, whose answer can only be a call of one of them or, where allowed, a reply."""
    choice, tools = body.get("tool_choice", "auto"), [tool["function"] for tool in body["tools"]]
    if isinstance(choice, dict):
        tools = [tool for tool in tools if tool["name"] == choice["function"]["name"]]
    options = [_call(tool) for tool in tools]
    if choice == "auto":
        options.append(_object({"reply": {"type": "string"}}))
    described = "\n".join(
        f"- {tool['name']}: {tool.get('description', '')} Arguments: {json.dumps(tool.get('parameters', {}))}"
        for tool in tools
    )
    told = 'You can call one of these tools. Answer with JSON: {"tool": "<name>", "arguments": {...}}' + (
        ' or {"reply": "<text>"}' if choice == "auto" else ""
    )
    sent = {name: value for name, value in body.items() if name not in ("tools", "tool_choice", "stream")}
    sent.pop("stream_options", None)
    sent["messages"] = [{"role": "system", "content": f"{told}\n{described}"}, *plain(body["messages"])]
    schema = options[0] if len(options) == 1 else {"anyOf": options}
    sent["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
    return sent


def plain(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The history as text, which is all that the model's template knows: calls, results, a word for images."""
    found = []
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, list):
            content = " ".join(part.get("text", "[image]") for part in content)
        for call in message.get("tool_calls") or ():
            function = call["function"]
            content += f"\n(called {function['name']} with {function['arguments']})"
        role = message["role"]
        if role == "tool":
            role, content = "user", f"(the tool answered) {content}"
        found.append({"role": role, "content": content})
    return found


def as_call(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with the constrained text as a tool call or a reply. Text that was cut off stays text."""
    choice = answer["choices"][0]
    message = choice["message"]
    try:
        found = json.loads(message["content"])
    except (json.JSONDecodeError, TypeError):
        return answer
    if "reply" in found:
        message["content"] = found["reply"]
        return answer
    call = {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": found["tool"], "arguments": json.dumps(found["arguments"])},
    }
    choice["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice["finish_reason"] = "tool_calls"
    return answer


def as_events(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """A whole answer as the chunks of a stream, the last one with the usage."""
    choice = answer["choices"][0]
    message = choice["message"]
    delta: dict[str, Any] = {"role": "assistant", "content": message.get("content")}
    if calls := message.get("tool_calls"):
        delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
    around = {"object": "chat.completion.chunk", "id": answer["id"], "created": answer["created"]}
    return [
        {**around, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**around, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {**around, "choices": [], "usage": answer["usage"]},
    ]


def _call(tool: dict[str, Any]) -> dict[str, Any]:
    parameters = tool.get("parameters") or {"type": "object", "properties": {}}
    # The grammar knows a part of JSON schema only; what is beside it does not constrain.
    kept = {name: parameters[name] for name in _KEPT if name in parameters}
    return _object({"tool": {"const": tool["name"]}, "arguments": kept})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
