"""What AWS Bedrock refuses: by botocore's own service models, and by the rules of its documentation."""

import base64
import re
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

_SERVICES = {
    "Converse": "bedrock-runtime",
    "ConverseStream": "bedrock-runtime",
    "Rerank": "bedrock-agent-runtime",
}


@cache
def operation(name: str) -> OperationModel:
    """botocore's model of one of Bedrock's calls."""
    return botocore.session.Session().get_service_model(_SERVICES[name]).operation_model(name)


def refusal(name: str, body: Any, *, model: str = "some-model") -> str | None:
    """What AWS would say to a request, or None when it would take it."""
    shape = operation(name).input_shape
    try:
        params = _read(body, shape, "")
        if name != "Rerank":
            params["modelId"] = model
        report = ParamValidator().validate(params, shape)
        if report.has_errors():
            return str(report.generate_report())
        if name != "Rerank":
            _check_conversation(body, nova="nova" in model)
    except Refused as refused:
        return str(refused)
    return None


def misshapen(name: str, answer: Any) -> str | None:
    """What is wrong with an answer of our own, by botocore's model."""
    shape = operation(name).output_shape
    try:
        report = ParamValidator().validate(_read(answer, shape, ""), shape)
    except Refused as refused:
        return str(refused)
    return str(report.generate_report()) if report.has_errors() else None


class Refused(Exception):
    """AWS would not take it."""


def _read(value: Any, shape: Shape, where: str) -> Any:
    """JSON as the parameters that `ParamValidator` judges. It leaves out bounds and patterns: judged here."""
    if getattr(shape, "is_document_type", False):
        return value
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            raise Refused(f"{where} is no structure")
        unknown = value.keys() - shape.members.keys()
        if unknown:
            raise Refused(f"{where}: unknown {sorted(unknown)}")
        return {name: _read(each, shape.members[name], f"{where}.{name}") for name, each in value.items()}
    if shape.type_name == "list":
        if not isinstance(value, list):
            raise Refused(f"{where} is no list")
        _bound(len(value), shape, where)
        return [_read(each, shape.member, f"{where}[{number}]") for number, each in enumerate(value)]
    if shape.type_name == "blob":
        raw = base64.b64decode(value, validate=True)
        _bound(len(raw), shape, where)
        return raw
    if shape.type_name == "string" and isinstance(value, str):
        _bound(len(value), shape, where)
        allowed = shape.metadata.get("enum")
        if allowed and value not in allowed:
            raise Refused(f"{where}: {value} is not one of {allowed}")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            raise Refused(f"{where}: {value!r} does not match {pattern}")
    elif shape.type_name in ("integer", "float", "double", "long") and isinstance(value, int | float):
        _bound(value, shape, where)
    return value


def _bound(number: float, shape: Shape, where: str) -> None:
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    if most is not None and number > most:
        raise Refused(f"{where}: {number} is more than {most}")
    if least is not None and number < least:
        raise Refused(f"{where}: {number} is less than {least}")


def _check_conversation(body: dict[str, Any], *, nova: bool) -> None:
    turns, tools = body.get("messages") or [], body.get("toolConfig", {}).get("tools", ())
    if not turns or turns[0]["role"] != "user":
        raise Refused("A conversation must start with a user message.")
    called: set[str] = set()
    for number, turn in enumerate(turns):
        if turn["role"] != ("user", "assistant")[number % 2]:
            raise Refused(f"messages.{number}: roles must alternate between user and assistant.")
        _check_turn(number, turn, called, with_tools=bool(tools))
        called = {block["toolUse"]["toolUseId"] for block in turn["content"] if "toolUse" in block}
    if called:
        raise Refused(f"No toolResult blocks for {sorted(called)}.")
    for block in body.get("system", ()):
        if "text" in block and not block["text"].strip():
            raise Refused("The text field in the system's ContentBlock is blank.")
    if nova:
        _check_nova(body, tools)


def _check_turn(number: int, turn: dict[str, Any], called: set[str], *, with_tools: bool) -> None:
    content = turn["content"]
    if not content:
        raise Refused(f"The content field in the Message object at messages.{number} is empty.")
    kinds = [next(iter(block)) for block in content]
    if not with_tools and {"toolUse", "toolResult"} & set(kinds):
        raise Refused(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        )
    if any(block["text"].strip() == "" for block in content if "text" in block):
        raise Refused(f"messages.{number}: the text field in the ContentBlock is blank.")
    if turn["role"] == "assistant":
        order = [("reasoningContent", "text", "toolUse").index(kind) for kind in kinds]
        if order != sorted(order):
            raise Refused(f"messages.{number}: reasoning, then text, then toolUse: {kinds}")
        uses = [block["toolUse"]["toolUseId"] for block in content if "toolUse" in block]
        if len(uses) != len(set(uses)):
            raise Refused(f"messages.{number}: toolUse ids must be unique.")
        if any(not isinstance(block["toolUse"]["input"], dict) for block in content if "toolUse" in block):
            raise Refused(f"messages.{number}: toolUse.input must be a json object.")
        return
    answered = [block["toolResult"]["toolUseId"] for block in content if "toolResult" in block]
    if sorted(answered) != sorted(called):
        raise Refused(f"messages.{number}: expected toolResult blocks for {sorted(called)}, got {answered}.")
    if sum(kind == "image" for kind in kinds) > 20:
        raise Refused(f"messages.{number}: more than 20 images")


def _check_nova(body: dict[str, Any], tools: Any) -> None:
    for tool in tools:
        if "cachePoint" in tool:
            raise Refused("Prompt caching of tools is not supported.")
        schema = tool["toolSpec"]["inputSchema"]["json"]
        if schema.get("type") != "object" or schema.keys() - {"type", "properties", "required"}:
            raise Refused(f"The tool's schema has unsupported fields at its top: {sorted(schema)}")
        if "$ref" in str(schema):
            raise Refused("The tool's schema has references.")
    reasoning = body.get("additionalModelRequestFields", {}).get("reasoningConfig", {})
    config = body.get("inferenceConfig", {})
    if reasoning.get("maxReasoningEffort") == "high" and config.keys() & {"maxTokens", "temperature", "topP"}:
        raise Refused("maxTokens, temperature and topP must be unset with high reasoning effort.")
