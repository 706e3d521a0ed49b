"""Answers of Bedrock's Converse and ConverseStream in the form of OpenAI's chat completions."""

from collections.abc import Mapping
from typing import Any

import orjson

from addon.inference.gateway.upstreams.thinking import ThinkingTag

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Reasons to stop that are faults of the model: no answer ends so."""


def whole_answer(answer: Mapping[str, Any], *, names: Mapping[str, str], tag: str | None) -> dict[str, Any]:
    """A completion with one choice. KeyError, TypeError for an answer of another form."""
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    reasoning: dict[str, str] = {}
    for block in answer["output"]["message"]["content"]:
        if "text" in block:
            text.append(block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            function = {
                "name": names.get(use["name"], use["name"]),
                "arguments": orjson.dumps(use["input"]).decode(),
            }
            calls.append({"id": use["toolUseId"], "type": "function", "function": function})
        elif "reasoningContent" in block:
            _add_reasoning(reasoning, block["reasoningContent"])
    content = "".join(text)
    if tag:
        thought, content = ThinkingTag(tag).whole(content)
        if thought:
            reasoning["reasoning_content"] = reasoning.get("reasoning_content", "") + thought
    message: dict[str, Any] = {"role": "assistant", "content": content or None, **reasoning}
    if calls:
        message["tool_calls"] = calls
    elif not content:
        message["content"] = ""
    finish = _finish(answer["stopReason"], called=bool(calls))
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage(answer["usage"])}


def usage(given: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's usage object. Bedrock counts what it read from or wrote to its cache apart from the input."""
    read = given.get("cacheReadInputTokens") or 0
    prompt = given["inputTokens"] + read + (given.get("cacheWriteInputTokens") or 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": given["outputTokens"],
        "prompt_tokens_details": {"cached_tokens": read},
    }


class StreamReader:
    """Makes chunks of a stream's events. Tool calls are counted from 0, whatever blocks stand between them."""

    def __init__(self, *, names: Mapping[str, str], tag: str | None) -> None:
        self._names, self._tag = names, ThinkingTag(tag) if tag else None
        self._calls: dict[int, int] = {}
        self._with_input: set[int] = set()
        self.is_complete = False

    def read(self, kind: str, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The chunks of one event; KeyError, TypeError for one of another form."""
        if kind == "messageStart":
            return [_chunk({"role": "assistant", "content": ""})]
        if kind == "contentBlockStart":
            return self._start(event)
        if kind == "contentBlockDelta":
            return self._delta(event["contentBlockIndex"], event["delta"])
        if kind == "contentBlockStop":
            return self._stop(event["contentBlockIndex"])
        if kind == "messageStop":
            self.is_complete = True
            held = self._said(*self._tag.end()) if self._tag else []
            return [*held, _chunk({}, _finish(event["stopReason"], called=bool(self._calls)))]
        if kind == "metadata" and "usage" in event:
            return [{"usage": usage(event["usage"])}]
        return []

    def _start(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        use = event["start"].get("toolUse")
        if not use:
            return []
        number = self._calls[event["contentBlockIndex"]] = len(self._calls)
        function = {"name": self._names.get(use["name"], use["name"]), "arguments": ""}
        call = {"index": number, "id": use["toolUseId"], "type": "function", "function": function}
        return [_chunk({"tool_calls": [call]})]

    def _delta(self, block: int, delta: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "text" in delta:
            return self._said(*self._tag.feed(delta["text"])) if self._tag else self._said("", delta["text"])
        if "toolUse" in delta:
            if not (piece := delta["toolUse"]["input"]):
                return []
            self._with_input.add(block)
            return [self._arguments(block, piece)]
        reasoning: dict[str, str] = {}
        _add_reasoning(reasoning, {"reasoningText": delta.get("reasoningContent", {})})
        return [_chunk(reasoning)] if reasoning else []

    def _stop(self, block: int) -> list[dict[str, Any]]:
        if block in self._calls and block not in self._with_input:
            # No argument at all: clients parse what came, and nothing is not JSON.
            return [self._arguments(block, "{}")]
        return []

    def _arguments(self, block: int, piece: str) -> dict[str, Any]:
        return _chunk({"tool_calls": [{"index": self._calls[block], "function": {"arguments": piece}}]})

    def _said(self, thought: str, text: str) -> list[dict[str, Any]]:
        found = [_chunk({"reasoning_content": thought})] if thought else []
        return [*found, _chunk({"content": text})] if text else found


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": delta, "finish_reason": finish}]}


def _finish(reason: str, *, called: bool) -> str:
    finish = _FINISH.get(reason, "stop")
    return "tool_calls" if called and finish == "stop" else finish


def _add_reasoning(found: dict[str, str], given: Mapping[str, Any]) -> None:
    """Add a block's or a piece's reasoning to `found`: text, its signature, or what only the model can read."""
    piece = given.get("reasoningText") or {}
    for name, value in (
        ("reasoning_content", piece.get("text")),
        ("reasoning_signature", piece.get("signature")),
        ("reasoning_redacted", piece.get("redactedContent") or given.get("redactedContent")),
    ):
        if value:
            found[name] = found.get(name, "") + value
