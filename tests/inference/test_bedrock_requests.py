"""Chat completions in Bedrock's form: every request is judged by botocore's service model and AWS's rules."""

import base64
import json
from typing import Any

import pytest

from addon.inference.gateway.catalogue import models
from addon.inference.gateway.chat_request import check_chat
from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.upstreams.bedrock_request import ConverseRequest, converse_request, safe_name
from addon.inference.gateway.upstreams.thinking import ThinkingTag
from tests.inference.bedrock_rules import refusal

PNG = "data:image/jpeg;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(9)).decode()


def tool(name: str = "look", **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **function}}


def call(identity: str, name: str = "look", arguments: str = "{}") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(content: Any = "hi") -> dict[str, Any]:
    return {"role": "user", "content": content}


def translated(model: str = "nova-lite", cache_prompt: bool = True, **fields: Any) -> ConverseRequest:
    """The request for Bedrock, which AWS would take."""
    described = models()[model]
    assert described.bedrock
    checked = check_chat(
        {"model": model, "messages": [user()], **fields}, described, cache_prompt=cache_prompt
    )
    found = converse_request(checked, described.bedrock)
    body = json.loads(json.dumps(found.body))
    assert refusal("Converse", body, model=described.bedrock.ids["us"]) is None
    return found


def body(model: str = "nova-lite", **fields: Any) -> dict[str, Any]:
    return translated(model, **fields).body


@pytest.mark.parametrize("model", [name for name, model in models().items() if model.kind == "chat"])
def test_a_whole_conversation_of_tools_is_taken_for_every_model(model: str) -> None:
    found = body(
        model,
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": "Be brief."},
            user("What is the weather in Oslo and Rome?"),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    call("a", arguments='{"city":"Oslo"}'),
                    call("b", arguments='{"city":"Rome"}'),
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "rain"},
            {"role": "tool", "tool_call_id": "b", "content": "sun"},
            user("And which is warmer?"),
        ],
        tools=[tool(parameters={"type": "object", "properties": {"city": {"type": "string"}}})],
        stop=["END", ""],
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
    )
    assert [turn["role"] for turn in found["messages"]] == ["user", "assistant", "user"]
    results = [next(iter(block)) for block in found["messages"][2]["content"]]
    assert results == ["toolResult", "toolResult", "text"]
    assert found["messages"][1]["content"][1]["toolUse"] == {
        "toolUseId": "b",
        "name": "look",
        "input": {"city": "Rome"},
    }
    assert found["system"] == [{"text": "Be kind."}, {"text": "Be brief."}]
    assert found["inferenceConfig"] == {
        "maxTokens": 100,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["END"],
    }


def test_a_maximum_of_output_is_always_sent() -> None:
    assert body()["inferenceConfig"] == {"maxTokens": 4096}


def test_turns_of_one_role_are_one_and_the_first_is_the_user_s() -> None:
    found = body(messages=[{"role": "assistant", "content": "Hello"}, user("a"), user("b")])["messages"]
    assert found == [
        {"role": "user", "content": [{"text": "Continue."}]},
        {"role": "assistant", "content": [{"text": "Hello"}]},
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
    ]
    assert body(messages=[{"role": "system", "content": "x"}])["messages"][0]["role"] == "user"


def test_blank_text_is_left_out_or_replaced() -> None:
    found = body(
        messages=[
            {"role": "system", "content": " "},
            user(" \n"),
            {"role": "assistant", "content": " ", "tool_calls": [call("a")]},
            {"role": "tool", "tool_call_id": "a", "content": " "},
        ],
        tools=[tool()],
    )
    assert "system" not in found
    assert found["messages"][0]["content"] == [{"text": "(empty)"}]
    assert [next(iter(block)) for block in found["messages"][1]["content"]] == ["toolUse"]
    assert found["messages"][2]["content"][0]["toolResult"]["content"] == [{"text": "(empty)"}]


@pytest.mark.parametrize("fields", [{}, {"tools": [tool()], "tool_choice": "none"}])
def test_without_tools_to_choose_a_history_of_calls_is_told_as_text(fields: dict[str, Any]) -> None:
    messages = [
        user(),
        {"role": "assistant", "content": "", "tool_calls": [call("a", arguments='{"x":1}')]},
        {"role": "tool", "tool_call_id": "a", "content": "seven"},
    ]
    found = body(messages=messages, **fields)
    assert "toolConfig" not in found
    assert found["messages"][1]["content"] == [{"text": '[called look with {"x":1}]'}]
    assert found["messages"][2]["content"] == [{"text": "[result: seven]"}]


def test_choices_of_tools_have_bedrock_s_names_and_yield_to_reasoning() -> None:
    tools = [tool("a"), tool("b")]
    named = {"type": "function", "function": {"name": "b"}}
    assert "toolChoice" not in body(tools=tools, tool_choice="auto")["toolConfig"]
    assert body(tools=tools, tool_choice="required")["toolConfig"]["toolChoice"] == {"any": {}}
    assert body(tools=tools, tool_choice=named)["toolConfig"]["toolChoice"] == {"tool": {"name": "b"}}
    thinking = body("nova-2-lite", tools=tools, tool_choice="required", reasoning_effort="low")
    assert "toolChoice" not in thinking["toolConfig"]


def test_names_and_ids_that_bedrock_refuses_are_replaced_and_can_be_told_back() -> None:
    long = "files.read/" + "x" * 100
    found = translated(
        tools=[tool(long), tool(long + "y")],
        tool_choice={"type": "function", "function": {"name": long}},
        messages=[
            user(),
            {"role": "assistant", "tool_calls": [call("an id/with everything", long)]},
            {"role": "tool", "tool_call_id": "an id/with everything", "content": "ok"},
        ],
    )
    safe = safe_name(long)
    assert found.names == {safe: long, safe_name(long + "y"): long + "y"}
    assert found.body["toolConfig"]["toolChoice"] == {"tool": {"name": safe}}
    use, result = found.body["messages"][1]["content"][0], found.body["messages"][2]["content"][0]
    assert use["toolUse"]["name"] == safe
    assert use["toolUse"]["toolUseId"] == result["toolResult"]["toolUseId"]


def test_nova_gets_plain_schemas_and_the_others_get_them_without_references() -> None:
    parameters = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "T",
        "additionalProperties": False,
        "properties": {"place": {"$ref": "#/$defs/Place", "description": "where"}},
        "required": ["place"],
        "$defs": {"Place": {"type": "object", "properties": {"inside": {"$ref": "#/$defs/Place"}}}},
    }
    place = {
        "type": "object",
        "properties": {"inside": {"type": "object"}},
        "description": "where",
    }
    spec = body(tools=[tool(parameters=parameters, strict=True)])["toolConfig"]["tools"][0]["toolSpec"]
    assert spec["inputSchema"]["json"] == {
        "type": "object",
        "properties": {"place": place},
        "required": ["place"],
    }
    assert spec["description"] == "look"
    other = body("qwen3-235b", tools=[tool(parameters=parameters)])["toolConfig"]["tools"][0]["toolSpec"]
    assert other["inputSchema"]["json"]["additionalProperties"] is False
    assert "$ref" not in json.dumps(other)
    assert "$defs" not in other["inputSchema"]["json"]


def test_a_schema_that_leads_nowhere_or_explodes_is_refused() -> None:
    with pytest.raises(ApiError, match="leads nowhere"):
        body(tools=[tool(parameters={"properties": {"a": {"$ref": "#/$defs/None"}}})])
    doubling: dict[str, Any] = {"d0": {"type": "string"}}
    for n in range(1, 40):
        reference = {"$ref": f"#/$defs/d{n - 1}"}
        doubling[f"d{n}"] = {"properties": {"a": reference, "b": reference}}
    with pytest.raises(ApiError, match="too large"):
        body(tools=[tool(parameters={"properties": {"a": {"$ref": "#/$defs/d39"}}, "$defs": doubling})])


def test_nova_calls_tools_greedily_unless_the_customer_chose() -> None:
    found = body(tools=[tool()])
    assert found["inferenceConfig"]["temperature"] == 0
    assert found["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 1}}
    chosen = body(tools=[tool()], temperature=0.7)
    assert chosen["inferenceConfig"]["temperature"] == 0.7
    assert "additionalModelRequestFields" not in chosen
    assert "temperature" not in body("qwen3-235b", tools=[tool()])["inferenceConfig"]
    assert body(top_k=9)["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 9}}
    assert body("qwen3-235b", top_k=9)["additionalModelRequestFields"] == {"top_k": 9}


def test_nova_2_reasons_by_effort_and_takes_no_maximum_at_the_highest() -> None:
    low = body("nova-2-lite", reasoning_effort="low", max_tokens=50)
    assert low["additionalModelRequestFields"] == {
        "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}
    }
    assert low["inferenceConfig"] == {"maxTokens": 50}
    high = body("nova-2-lite", reasoning_effort="high", max_tokens=50, temperature=0.3)
    assert high["inferenceConfig"] == {}
    described = models()["nova-2-lite"]
    checked = check_chat({"messages": [user()], "reasoning_effort": "high", "max_tokens": 50}, described)
    assert checked.output_most == described.max_output_tokens
    budget = body("nova-2-lite", extended_thinking={"enabled": True, "budget_tokens": 8000})
    assert budget["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"


def test_a_long_system_prompt_is_cached_where_the_model_can_and_the_customer_lets_it() -> None:
    point = {"cachePoint": {"type": "default"}}
    long = [{"role": "system", "content": "word " * 1200}, user()]
    assert body(messages=long)["system"][-1] == point
    assert point not in body(messages=long, cache_prompt=False)["system"]
    assert point not in body(messages=[{"role": "system", "content": "word " * 100}, user()])["system"]
    assert point not in body("nova-2-lite", messages=long)["system"]
    large = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(400)}}
    assert point not in body(tools=[tool(parameters=large)])["toolConfig"]["tools"]


def test_reasoning_goes_back_as_it_was_signed_or_not_at_all() -> None:
    def turn(**reasoning: Any) -> list[dict[str, Any]]:
        answer = {"role": "assistant", "content": "Yes.", **reasoning}
        content: list[dict[str, Any]] = body("kimi-k2-thinking", messages=[user(), answer, user("Why?")])[
            "messages"
        ][1]["content"]
        return content

    signed = turn(reasoning={"thinking": "Hm.", "signature": "c2ln+/=="})
    assert signed[0] == {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln+/=="}}}
    hidden = turn(reasoning={"redacted_content": "c2VjcmV0"})
    assert hidden[0] == {"reasoningContent": {"redactedContent": "c2VjcmV0"}}
    assert turn(reasoning_content="Hm.") == [{"text": "Yes."}]


def test_images_are_labelled_by_what_they_are() -> None:
    found = body(messages=[user([{"type": "image_url", "image_url": {"url": PNG}}])])["messages"][0][
        "content"
    ]
    assert found[0]["image"]["format"] == "png"
    with pytest.raises(ApiError, match="is not a PNG, JPEG, GIF or WebP image"):
        body(
            messages=[
                user([{"type": "image_url", "image_url": {"url": PNG.partition(",")[0] + ",AAAAAAAA"}}])
            ]
        )


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>a<b</thi</think>\n\nYes.", "a<b</thi", "Yes."),
        ("\n<think>a</think>Yes.</think>", "a", "Yes.</think>"),
        ("Yes <think>no</think>", "", "Yes <think>no</think>"),
        ("<thin", "", "<thin"),
        ("<think>never ended </th", "never ended </th", ""),
    ],
)
def test_reasoning_inside_of_the_text_is_told_apart_however_it_is_cut(
    text: str, thought: str, said: str, step: int
) -> None:
    tag = ThinkingTag("think")
    pieces = [tag.feed(text[n : n + step]) for n in range(0, len(text), step)] + [tag.end()]
    assert "".join(piece for piece, _ in pieces) == thought
    assert "".join(piece for _, piece in pieces) == said
