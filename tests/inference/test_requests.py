"""What may be asked for, by the documents: each refusal names the field and what is wrong with it."""

from typing import Any

import pytest

from addon.inference.gateway.catalogue import models
from addon.inference.gateway.chat_request import IGNORED, check_chat
from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.images import image_format, is_public
from addon.inference.gateway.rerank import check_rerank

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look"}}
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def check(model: str = "nova-lite", **fields: Any) -> Any:
    return check_chat({"model": model, "messages": [USER], **fields}, models()[model])


def test_every_ignored_field_is_accepted_and_not_passed_on() -> None:
    accepted = check(**dict.fromkeys(IGNORED, "anything"))
    assert accepted.upstream.keys() == {"messages", "max_tokens"}


def test_supported_fields_are_passed_on() -> None:
    request = check(
        temperature=1.7,
        top_p=0.5,
        stop="END",
        max_completion_tokens=7,
        stream=True,
        stream_options={"include_usage": True},
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "look"}},
        parallel_tool_calls=False,
        modalities=["text"],
        tool_options={"anything": 1},
    )
    sent = request.upstream
    assert (sent["temperature"], sent["top_p"], sent["stop"], sent["max_tokens"]) == (1.0, 0.5, ["END"], 7)
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert "parallel_tool_calls" not in sent  # Nova ignores it.
    other = check("qwen3-235b", tools=[TOOL], parallel_tool_calls=False)
    assert other.upstream["parallel_tool_calls"] is False
    assert request.include_usage


def test_every_kind_of_message_is_understood() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
    sent = check(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is"}, PIXEL]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "a dot"}]},
        ]
    ).upstream["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert sent[1]["content"][1] == PIXEL
    assert sent[2]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert sent[3]["content"] == "a dot"


REFUSED = [
    ({"messages": None}, "messages is required"),
    ({"messages": []}, "at least one message"),
    ({"messages": ["x"]}, "messages[0] must be an object"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role must be one of"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content is required"),
    ({"messages": [{"role": "tool", "content": "", "tool_call_id": "a"}]}, "messages[0].content is required"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "tool_call_id is required"),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        "'input_audio' is not supported",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "'file' is not supported"),
    ({"messages": [{"role": "system", "content": [PIXEL]}]}, "not supported in system messages"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}
            ]
        },
        "must be an https address",
    ),
    ({"temperature": "hot"}, "temperature must be a number"),
    ({"temperature": 2.1}, "temperature must be between 0 and 2"),
    ({"top_p": -0.1}, "top_p must be between"),
    ({"max_tokens": 0}, "max_tokens must be between 1 and 10000"),
    ({"max_tokens": True}, "max_tokens must be a whole number"),
    ({"stop": 7}, "stop must be"),
    ({"stream": "yes"}, "stream must be true or false"),
    ({"stream_options": {}}, "with stream set to true"),
    ({"modalities": ["audio"]}, "modalities must be"),
    ({"tools": [{"type": "custom"}]}, "tools of type 'function'"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"tools": [TOOL, TOOL]}, "a name of its own"),
    ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice must be"),
    ({"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice must be"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "b"}}},
        "not among the tools",
    ),
    ({"tool_choice": "required"}, "tool_choice needs tools"),
    ({"reasoning_effort": "extreme"}, "reasoning_effort must be one of"),
    ({"extended_thinking": {"enabled": True}}, "does not support extended_thinking"),
    ({"extended_thinking": {"budget_tokens": 3}}, "at least 1024"),
    ({"functions": []}, "Unrecognized request parameter: 'functions'"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_cannot_be_answered_is_refused_with_the_field_s_name(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiError) as refused:
        check(**fields)
    assert refused.value.status == 400
    assert message in refused.value.message


def test_a_text_model_refuses_images_and_a_reasoning_model_takes_an_effort() -> None:
    with pytest.raises(ApiError, match="does not take images"):
        check("minimax-m2", messages=[{"role": "user", "content": [PIXEL]}])
    thinking = {"enabled": True, "budget_tokens": 20_000, "include_reasoning": False}
    request = check("kimi-k2-thinking", extended_thinking=thinking)
    assert request.upstream["reasoning_effort"] == "high"
    assert not request.include_reasoning


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"documents": ["a"]}, "query is required"),
        ({"query": "q"}, "documents array is required and cannot be empty"),
        ({"query": "q", "documents": []}, "documents array is required and cannot be empty"),
        (
            {"query": "q", "documents": ["a"] * 1001},
            (
                "documents array exceeds maximum of 1000 items (received 1001). "
                "Please reduce the number of documents per request"
            ),
        ),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n must be a whole number of at least 1"),
        ({"query": "q", "documents": [3]}, "documents[0] must be a string, or an object with a text"),
    ],
)
def test_rerank_says_the_document_s_own_words(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_rerank({"model": "cohere-rerank-3-5", **body})
    assert (refused.value.status, refused.value.message) == (400, message)


def test_images_are_known_by_their_bytes_and_fetched_from_public_addresses_only() -> None:
    assert image_format(b"\x89PNG\r\n\x1a\n....") == "png"
    assert image_format(b"RIFF....WEBPVP8 ") == "webp"
    assert image_format(b"<svg>") is None
    assert is_public("93.184.216.34")
    private = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1", "224.0.0.1"]
    assert not any(is_public(address) for address in private)
