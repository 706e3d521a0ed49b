"""The messages of a chat completion: checked, and brought into one form for every upstream."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import orjson

from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.errors import invalid
from addon.inference.gateway.images import LARGEST_IMAGE, image_format

IMAGES_MOST = 20
_ROLES = ("system", "developer", "user", "assistant", "tool")
_IMAGE_DATA = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})\Z")


def check_messages(body: Mapping[str, Any], model: Model) -> list[dict[str, Any]]:
    """The messages for an upstream; ApiError 400 names the one that cannot be sent.

    Text is a string, images are https addresses or data whose label is true, `developer` is `system`, arguments of
    tool calls hold a JSON object, and every tool call is answered by the tool messages right after it.
    """
    messages = body.get("messages")
    if messages is None:
        raise invalid("messages is required", param="messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be an array of at least one message.", param="messages")
    found = [_message(number, message, model) for number, message in enumerate(messages)]
    if count_images(found) > IMAGES_MOST:
        raise invalid(f"A request may hold {IMAGES_MOST} images at most.", param="messages")
    _check_answers(found)
    return found


def count_images(messages: list[dict[str, Any]]) -> int:
    """How many images checked messages hold."""
    return sum(
        part["type"] == "image_url"
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
    )


def _message(number: int, message: Any, model: Model) -> dict[str, Any]:
    where = f"messages[{number}]"
    if not isinstance(message, dict):
        raise invalid(f"{where} must be an object.", param=where)
    role = message.get("role")
    if role not in _ROLES:
        raise invalid(f"{where}.role must be one of {', '.join(_ROLES)}.", param=f"{where}.role")
    found: dict[str, Any] = {"role": "system" if role == "developer" else role}
    calls = message.get("tool_calls") if role == "assistant" else None
    content = message.get("content")
    checked = "" if content is None else _content(content, where=f"{where}.content", role=role, model=model)
    if not checked and not calls:
        raise invalid(
            f"{where}.content is required and cannot be empty: when there is nothing to say, send a placeholder.",
            param=f"{where}.content",
        )
    found["content"] = checked
    if calls:
        found["tool_calls"] = _tool_calls(calls, where=f"{where}.tool_calls")
    if role == "tool":
        identity = message.get("tool_call_id")
        if not isinstance(identity, str) or not identity:
            raise invalid(f"{where}.tool_call_id is required", param=f"{where}.tool_call_id")
        found["tool_call_id"] = identity
    if role == "assistant" and model.reasoning:
        found.update(_reasoning(message))
    if isinstance(name := message.get("name"), str) and name:
        found["name"] = name
    return found


def _reasoning(message: Mapping[str, Any]) -> dict[str, str]:
    """The reasoning of an earlier answer as clients send it back: models that call tools want to have it again."""
    given = message.get("reasoning")
    given = given if isinstance(given, dict) else {}
    found = {
        "reasoning_content": given.get("thinking") or message.get("reasoning_content"),
        "reasoning_signature": given.get("signature"),
        "reasoning_redacted": given.get("redacted_content"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


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
    if (kind == "text" or (kind == "refusal" and role == "assistant")) and isinstance(part.get(kind), str):
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
    """The image's address, or its data with the label that its bytes deserve."""
    url = image.get("url") if isinstance(image, dict) else None
    if isinstance(url, str) and url.startswith("https://"):
        return url
    data = _IMAGE_DATA.match(url) if isinstance(url, str) else None
    if data is None:
        raise invalid(
            f"{where}.image_url.url must be an https address or data:image/<png, jpeg, gif, webp>;base64,….",
            param=where,
        )
    encoded = data[1]
    if len(encoded) % 4:
        raise invalid(f"{where}.image_url.url is not valid base64.", param=where)
    if len(encoded) // 4 * 3 - encoded.count("=", -2) > LARGEST_IMAGE:
        raise invalid(f"{where}: an image may have 3.75 MB at most.", param=where)
    kind = image_format(base64.b64decode(encoded[:64]))
    if kind is None:
        raise invalid(f"{where}.image_url.url is not a PNG, JPEG, GIF or WebP image.", param=where)
    return f"data:image/{kind};base64,{encoded}"


def _tool_calls(calls: Any, *, where: str) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise invalid(f"{where} must be an array.", param=where)
    found = []
    for number, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if (
            not isinstance(function, dict)
            or not (isinstance(call.get("id"), str) and call["id"])
            or not (isinstance(function.get("name"), str) and function["name"])
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
    if len({call["id"] for call in found}) < len(found):
        raise invalid(f"{where}: every call needs an id of its own.", param=where)
    return found


def _object_text(text: str, where: str, number: int) -> str:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise invalid(f"{where}[{number}].function.arguments must hold a JSON object.", param=where)
    return text


def _check_answers(messages: list[dict[str, Any]]) -> None:
    """Models are asked to go on with the results of all the tools they called, and with no others."""
    open_calls: dict[str, int] = {}
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if open_calls.pop(message["tool_call_id"], None) is None:
                raise invalid(
                    f"messages[{number}].tool_call_id answers no tool call of the assistant's message before it.",
                    param=f"messages[{number}].tool_call_id",
                )
            continue
        _refuse_unanswered(open_calls)
        open_calls = {call["id"]: number for call in message.get("tool_calls", ())}
    _refuse_unanswered(open_calls)


def _refuse_unanswered(open_calls: Mapping[str, int]) -> None:
    for identity, number in open_calls.items():
        raise invalid(
            f"messages[{number}]: the tool call '{identity[:80]}' has to be followed by a tool message with its "
            "result.",
            param=f"messages[{number}].tool_calls",
        )
