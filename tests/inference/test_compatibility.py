"""The document's compatibility table for chat completions, row by row, over the network."""

import json
import re
from typing import Any

import cohere
import openai
import pytest

from addon.inference.gateway.chat_request import IGNORED, SUPPORTED
from tests.inference.conftest import Addon, Gateway
from tests.inference.test_clients import WEATHER

# The document's own rows, 13 October 2025.
TABLE = """
model Yes, use add-on plan name
messages Yes
modalities Yes, for type text
logprobs Yes
max_completion_tokens Yes
parallel_tool_calls Yes for Anthropic and OpenAI models, ignored for nova models
reasoning_effort Yes
stop Yes
stream Yes
stream_options Yes
temperature Yes
tool_choice Yes*
tool_options Yes
tools Yes
top_p Yes
n Yes, but ignored
frequency_penalty Yes, but ignored
logprobs Yes, but ignored
audio Yes, but ignored
logit_bias Yes, but ignored
store Yes, but ignored
metadata Yes, but ignored
prediction Yes, but ignored
presence_quality Yes, but ignored
prompt_cache_key Yes, but ignored
response_format Yes, but ignored
safety_identifier Yes, but ignored
service_tier Yes, but ignored
store Yes, but ignored
top_logprobs Yes, but ignored
verbosity Yes, but ignored
web_search_options Yes, but ignored
"""
ROWS = [line.split(" ", 1) for line in TABLE.strip().splitlines()]
ROWS_IGNORED = sorted({field for field, word in ROWS if word == "Yes, but ignored"})
VALUES: dict[str, Any] = {
    "modalities": ["text"],
    "logprobs": True,
    "max_completion_tokens": 77,
    "parallel_tool_calls": False,
    "reasoning_effort": "medium",
    "stop": ["END", "STOP"],
    "temperature": 0.25,
    "tool_choice": "required",
    "tool_options": {"anything": True},
    "tools": [WEATHER],
    "top_p": 0.75,
    "n": 2,
    "frequency_penalty": 0.5,
    "audio": {"voice": "ash", "format": "mp3"},
    "logit_bias": {"50256": -100},
    "store": True,
    "metadata": {"a": "b"},
    "prediction": {"type": "content", "content": "x"},
    "presence_quality": 0.5,
    "prompt_cache_key": "k",
    "response_format": {"type": "json_object"},
    "safety_identifier": "s",
    "service_tier": "flex",
    "top_logprobs": 3,
    "verbosity": "low",
    "web_search_options": {},
}
ASKED = {"messages": [{"role": "user", "content": "hi"}]}


def sent(gateway: Gateway, addon: Addon, **fields: Any) -> dict[str, Any]:
    """What the model's server gets of an accepted request."""
    before = len(gateway.upstream.received)
    answer = addon.post("/v1/chat/completions", {"model": addon.model, **ASKED, **fields})
    assert answer.status_code == 200, answer.text
    return gateway.upstream.received[before]


@pytest.fixture(scope="module")
def qwen(gateway: Gateway) -> Addon:
    """A model that no provider restricts further."""
    return gateway.provision("qwen3-235b")


def test_the_code_s_lists_hold_every_row_of_the_table() -> None:
    assert set(ROWS_IGNORED) <= IGNORED
    assert {field for field, _ in ROWS} - IGNORED <= SUPPORTED
    assert VALUES.keys() | {"model", "messages", "stream", "stream_options"} == {field for field, _ in ROWS}


@pytest.mark.parametrize("field", ROWS_IGNORED)
def test_an_ignored_field_changes_nothing(gateway: Gateway, qwen: Addon, field: str) -> None:
    assert sent(gateway, qwen, **{field: VALUES[field]}) == sent(gateway, qwen)


@pytest.mark.parametrize(
    ("field", "there"),
    [
        ("max_completion_tokens", {"max_tokens": 77}),
        ("stop", {"stop": ["END", "STOP"]}),
        ("temperature", {"temperature": 0.25}),
        ("top_p", {"top_p": 0.75}),
        ("modalities", {}),
        ("tool_options", {}),
        ("logprobs", {}),
    ],
)
def test_a_supported_field_reaches_the_model(
    gateway: Gateway, qwen: Addon, field: str, there: dict[str, Any]
) -> None:
    found = sent(gateway, qwen, **{field: VALUES[field]})
    assert found == {**sent(gateway, qwen), **there}


def test_tools_their_choice_and_their_number_reach_the_model(gateway: Gateway, qwen: Addon) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("none", "auto", "required", named):
        found = sent(gateway, qwen, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False)
        assert found["tools"] == [WEATHER]
        assert (found["tool_choice"], found["parallel_tool_calls"]) == (choice, False)
    assert sent(gateway, qwen, tools=[WEATHER])["tool_choice"] == "auto"
    nova = gateway.provision("nova-lite")
    assert "parallel_tool_calls" not in sent(gateway, nova, tools=[WEATHER], parallel_tool_calls=False)
    custom = {"type": "custom", "custom": {"name": "x"}}
    for fields in ({"tools": [custom]}, {"tools": [WEATHER], "tool_choice": custom}):
        refused = qwen.post("/v1/chat/completions", {"model": qwen.model, **ASKED, **fields})
        assert refused.status_code == 400


def test_reasoning_is_asked_for_by_effort_or_by_budget_and_hidden_on_request(gateway: Gateway) -> None:
    addon = gateway.provision("kimi-k2-thinking")
    assert sent(gateway, addon, reasoning_effort="medium")["reasoning_effort"] == "medium"
    thinking = {"enabled": True, "budget_tokens": 2000, "include_reasoning": False}
    assert sent(gateway, addon, extended_thinking=thinking)["reasoning_effort"] == "low"
    assert "reasoning_effort" not in sent(gateway, addon)
    script = {"think": "Hm.", "say": "Yes"}
    assert addon.say(script).json()["choices"][0]["message"]["reasoning"] == {"thinking": "Hm."}
    for hide in ({"extended_thinking": thinking}, {"include_reasoning": False}):
        assert "Hm." not in addon.say(script, **hide).text


@pytest.mark.parametrize("stream", [False, True])
def test_an_unrecognized_field_is_an_error_unless_the_request_allows_it(addon: Addon, stream: bool) -> None:
    refused = addon.say("hi", stream=stream, beam_width=3, functions=[])
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == "unrecognized_parameter"
    assert "'beam_width', 'functions'" in error["message"]
    assert "allow_ignored_params" in error["message"]
    assert addon.say("hi", stream=stream, beam_width=3, allow_ignored_params=True).status_code == 200
    # What is recognized stays checked.
    assert addon.say("hi", temperature="hot", allow_ignored_params=True).status_code == 400


def test_every_kind_of_message_is_taken(gateway: Gateway, addon: Addon) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "a"},
        {"role": "system", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": [{"type": "text", "text": "c"}], "name": "ann"},
        {"role": "assistant", "content": "d", "refusal": None},
        {"role": "user", "content": "e"},
        {"role": "assistant", "content": None, "tool_calls": [call], "function_call": None, "audio": None},
        {"role": "tool", "content": "f", "tool_call_id": "c"},
    ]
    found = sent(gateway, addon, messages=messages, tools=[WEATHER])["messages"]
    assert [(message["role"], message["content"]) for message in found] == [
        ("system", "a"),
        ("system", "b"),
        ("user", "c"),
        ("assistant", "d"),
        ("user", "e"),
        ("assistant", ""),
        ("tool", "f"),
    ]
    for part in ({"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {}}):
        refused = addon.post(
            "/v1/chat/completions",
            {"model": addon.model, "messages": [{"role": "user", "content": [part]}]},
        )
        assert refused.json()["error"]["param"] == "messages[0].content[0]"


def test_an_answer_has_the_document_s_fields_and_no_others(addon: Addon) -> None:
    answer = addon.say({"say": "Build a boat", "prompt": 4}).json()
    assert answer.keys() == {
        "id",
        "object",
        "created",
        "model",
        "system_fingerprint",
        "choices",
        "usage",
    }
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{32}", answer["id"])
    assert (answer["object"], answer["model"]) == ("chat.completion", addon.model)
    (choice,) = answer["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "Build a boat", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (4, 3, 7)


def test_a_chunk_has_the_document_s_fields_and_no_others(addon: Addon) -> None:
    raw = addon.say({"say": "a b"}, stream=True, stream_options={"include_usage": True}).text
    assert raw.endswith("\n\n")
    *events, done = [event.removeprefix("data: ") for event in raw.strip().split("\n\n")]
    assert done == "[DONE]"
    chunks = [json.loads(event) for event in events]
    fields = {"id", "object", "created", "model", "system_fingerprint", "choices", "usage"}
    assert all(chunk.keys() == fields for chunk in chunks)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    *said, last = chunks
    assert all(
        chunk["choices"][0].keys() == {"index", "delta", "logprobs", "finish_reason"} for chunk in said
    )
    assert [chunk["usage"] for chunk in said] == [None] * len(said)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 13
    unasked = addon.say({"say": "a b"}, stream=True).text
    assert '"usage"' not in unasked


def test_cohere_s_client_knows_every_error_by_its_kind(gateway: Gateway) -> None:
    addon = gateway.provision("amazon-rerank-1-0")

    def error(kind: type[Exception], *, key: str = addon.key, **fields: Any) -> Any:
        asked: Any = {"model": addon.model, "query": "q", "documents": ["d"], **fields}
        with cohere.ClientV2(api_key=key, base_url=addon.url) as client, pytest.raises(kind) as raised:
            client.rerank(**asked)
        return raised.value

    assert "documents array is required" in error(cohere.BadRequestError, documents=[]).body["message"]
    assert error(cohere.UnauthorizedError, key="inf-nonsense").body["id"] == "invalid_api_key"
    assert error(cohere.ForbiddenError, model="cohere-rerank-3-5").body["id"] == "model_not_allowed"
    assert error(cohere.NotFoundError, model="rerank-9").body["message"].startswith("model not found")


def test_every_error_has_the_one_body_for_all_clients(addon: Addon) -> None:
    for answer in (
        addon.say(temperature=9),
        addon.post("/v1/chat/completions", {"model": "gpt-9", **ASKED}),
        addon.post("/v1/nothing", {}),
        addon.post("/v1/chat/completions", {**ASKED}),
    ):
        body = answer.json()
        assert body.keys() == {"error", "id", "message"}
        assert body["error"].keys() == {"message", "type", "param", "code"}
        assert (body["id"], body["message"]) == (body["error"]["code"], body["error"]["message"])
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"]


def test_the_document_s_setup_of_the_client_answers_with_extended_thinking(gateway: Gateway) -> None:
    addon = gateway.provision("kimi-k2-thinking")
    client = openai.OpenAI(api_key=addon.key, base_url=addon.url + "/v1/")
    with client:
        response = client.chat.completions.create(
            model=addon.model,
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": json.dumps({"say": "I am.", "think": "Who?"})},
            ],
            extra_body={
                "extended_thinking": {"enabled": True, "budget_tokens": 2000, "include_reasoning": False}
            },
        )
    assert response.choices[0].message.content == "I am."
    assert "reasoning" not in response.choices[0].message.model_dump()
