"""AWS Bedrock behind the gateway, by OpenAI's and Cohere's clients, before a stand-in that is as strict as AWS."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import cohere
import openai
import pytest
import requests

from addon.inference.config import BedrockSettings
from addon.inference.gateway.catalogue import models
from addon.inference.gateway.chat_request import check_chat
from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.upstreams.bedrock import BedrockUpstream
from tests.inference.bedrock import BedrockStandIn
from tests.inference.conftest import SIGNED, Addon, Gateway, bedrock_settings
from tests.inference.test_clients import WEATHER
from tests.support.stack import until

PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()


@pytest.fixture(scope="module")
def european(gateway: Gateway) -> Addon:
    """nova-lite in Europe: Bedrock in Frankfurt, by signature."""
    return gateway.provision("nova-lite", region="eu-west-1")


@pytest.fixture(scope="module")
def thinking(gateway: Gateway) -> Addon:
    """A model that reasons: Bedrock in Dublin, by an API key."""
    return gateway.provision("nova-2-lite", region="eu-west-1")


@pytest.fixture(autouse=True)
def nothing_is_refused(gateway: Gateway) -> Iterator[None]:
    """Whatever a test sends, AWS would have taken it."""
    yield
    assert gateway.bedrock.refusals == []


def ask(addon: Addon, script: Any, **fields: Any) -> Any:
    messages = [{"role": "user", "content": json.dumps(script)}]
    create: Any = addon.client.chat.completions.create
    return create(**{"model": addon.model, "messages": messages, **fields})


def test_regions_and_ways_in_are_as_the_settings_say(
    gateway: Gateway, european: Addon, thinking: Addon
) -> None:
    bedrock = gateway.bedrock
    assert ask(european, {"say": "Guten Tag"}).choices[0].message.content == "Guten Tag"
    assert bedrock.received[-1]["model"] == "eu.amazon.nova-lite-v1:0"
    assert "/eu-central-1/bedrock/" in bedrock.received[-1]["region"]
    assert ask(thinking, {"say": "Hi"}).choices[0].message.content == "Hi"
    assert bedrock.received[-1]["model"] == "eu.amazon.nova-2-lite-v1:0"
    assert bedrock.received[-1]["region"] == ""  # A Bedrock API key, no signature.
    before = len(bedrock.received)
    assert gateway.provision("nova-lite").say().status_code == 200
    assert len(bedrock.received) == before  # Its region runs elsewhere.


def test_a_whole_answer_has_text_calls_reasoning_and_usage_with_what_was_cached(
    gateway: Gateway, thinking: Addon
) -> None:
    script = {
        "say": "Let me look.",
        "think": "The weather, then.",
        "signature": "c2ln",
        "call": [["get_weather", {"city": "Oslo"}], ["get_weather", None]],
        "usage": {"cacheReadInputTokens": 100, "cacheWriteInputTokens": 5},
    }
    answer = ask(thinking, script, tools=[WEATHER])
    choice = answer.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "Let me look.")
    assert choice.message.model_dump()["reasoning"] == {"thinking": "The weather, then.", "signature": "c2ln"}
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert calls == [
        ("tooluse_0", "get_weather", '{"city":"Oslo"}'),
        ("tooluse_1", "get_weather", "{}"),
    ]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (125, 7)
    row = gateway.usage(thinking)[-1]
    assert (row["input_tokens"], row["output_tokens"], row["cached_tokens"]) == (125, 7, 100)


def test_a_stream_has_the_same_parts_in_pieces(gateway: Gateway, thinking: Addon) -> None:
    script = {
        "say": "Let me look.",
        "think": "The weather, then.",
        "signature": "c2ln",
        "call": [["get_weather", {"city": "Oslo"}], ["get_weather", None]],
        "slowly": True,
    }
    chunks = list(ask(thinking, script, tools=[WEATHER], stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta.model_dump() for chunk in chunks if chunk.choices]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta["content"] or "" for delta in deltas) == "Let me look."
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "The weather, then."
    assert [d["reasoning"]["signature"] for d in deltas if "signature" in d.get("reasoning", {})] == ["c2ln"]
    calls: dict[int, list[str]] = {}
    for delta in deltas:
        for call in delta["tool_calls"] or ():
            known = calls.setdefault(call["index"], [call["id"], call["function"]["name"], ""])
            known[2] += call["function"]["arguments"]
    assert calls == {
        0: ["tooluse_0", "get_weather", '{"city": "Oslo"}'],
        1: ["tooluse_1", "get_weather", "{}"],
    }
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert finishes == [None] * (len(finishes) - 1) + ["tool_calls"]
    assert chunks[-1].usage.prompt_tokens == 20
    row = gateway.usage(thinking)[-1]
    assert (row["input_tokens"], row["output_tokens"], row["outcome"]) == (20, 7, "complete")


def test_the_answer_goes_back_with_its_signature_when_its_tools_were_called(
    gateway: Gateway, thinking: Addon
) -> None:
    script = {"think": "Hm.", "signature": "c2ln", "call": [["get_weather", {"city": "Oslo"}]]}
    first = ask(thinking, script, tools=[WEATHER]).choices[0].message
    again = {"say": "It rains."}
    messages = [
        {"role": "user", "content": json.dumps(script)},
        first.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": json.dumps(again)},
        {"role": "user", "content": json.dumps(again)},
    ]
    answer = ask(thinking, None, messages=messages, tools=[WEATHER])
    assert answer.choices[0].message.content == "It rains."
    sent = gateway.bedrock.received[-1]["body"]["messages"][1]["content"]
    assert sent[0]["reasoningContent"]["reasoningText"] == {"text": "Hm.", "signature": "c2ln"}
    assert sent[1]["toolUse"]["input"] == {"city": "Oslo"}


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_written_into_the_text_is_no_part_of_the_answer(
    gateway: Gateway, european: Addon, stream: bool
) -> None:
    def said(text: str, **fields: Any) -> str:
        answer = ask(european, {"say": text}, stream=stream, **fields)
        if not stream:
            return str(answer.choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer)

    # Nova does it before calling tools; without tools it is what the customer asked for.
    assert said("<thinking>I call</thinking> Now", tools=[WEATHER]) == "Now"
    assert said("<thinking>a b</thinking> c") == "<thinking>a b</thinking> c"
    script = {"say": "<think>Well now</think> Yes it is"}
    found, _ = directly(gateway.bedrock, script, stream=stream, model="minimax-m2")
    assert found.count("reasoning_content") >= 1
    assert "think>" not in found


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
def test_reasons_to_stop_have_openai_s_names(european: Addon, reason: str, finish: str) -> None:
    assert ask(european, {"stop": reason}).choices[0].finish_reason == finish
    assert list(ask(european, {"stop": reason}, stream=True))[-1].choices[0].finish_reason == finish


def test_a_malformed_answer_is_an_error(european: Addon) -> None:
    with pytest.raises(openai.InternalServerError):
        ask(european, {"stop": "malformed_tool_use"})
    with pytest.raises(openai.APIError, match="failed while it was answering"):
        list(ask(european, {"stop": "malformed_model_output"}, stream=True))


def test_images_reach_the_model(gateway: Gateway, european: Addon) -> None:
    content = [
        {"type": "text", "text": '{"say": "A dot."}'},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ]
    answer = ask(european, None, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == "A dot."
    image = gateway.bedrock.received[-1]["body"]["messages"][0]["content"][1]["image"]
    assert image == {"format": "png", "source": {"bytes": PNG.partition(",")[2]}}


def test_the_customer_switches_prompt_caching_off_by_header(gateway: Gateway, european: Addon) -> None:
    messages = [{"role": "system", "content": "word " * 2000}, {"role": "user", "content": "hi"}]
    ask(european, None, messages=messages)
    assert gateway.bedrock.received[-1]["body"]["system"][-1] == {"cachePoint": {"type": "default"}}
    ask(european, None, messages=messages, extra_headers={"X-Heroku-Prompt-Caching": "false"})
    assert len(gateway.bedrock.received[-1]["body"]["system"]) == 1


def directly(
    stand_in: BedrockStandIn, script: Any, *, stream: bool, model: str = "nova-lite"
) -> tuple[str, ApiError | None]:
    """What an upstream of its own, whose breaker nobody else trips, says, and the error at its end."""

    async def run() -> tuple[str, ApiError | None]:
        settings = BedrockSettings.model_validate(bedrock_settings(stand_in, "us-east-1", **SIGNED))
        messages = [{"role": "user", "content": json.dumps(script)}]
        request = check_chat({"messages": messages, "stream": stream}, models()[model])
        said = ""
        async with aiohttp.ClientSession() as session:
            upstream = BedrockUpstream(settings, session)
            try:
                if not stream:
                    return str(await upstream.chat(model, request)), None
                async with upstream.chat_stream(model, request) as batches:
                    async for batch in batches:
                        said += str(batch)
            except ApiError as error:
                return said, error
        return said, None

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        ("ValidationException", 400, "model_refused"),
        ("AccessDeniedException", 500, "upstream_error"),
        ("ResourceNotFoundException", 500, "upstream_error"),
        ("ModelTimeoutException", 504, "timeout"),
        ("ModelErrorException", 500, "upstream_error"),
        ("ThrottlingException", 503, "unavailable"),
        ("ModelNotReadyException", 503, "unavailable"),
        ("InternalServerException", 500, "upstream_error"),
        ("ServiceUnavailableException", 503, "unavailable"),
    ],
)
def test_bedrock_s_exceptions_have_the_gateway_s_statuses(
    gateway: Gateway, exception: str, status: int, code: str, stream: bool
) -> None:
    _, error = directly(gateway.bedrock, {"error": exception, "retry_after": 7}, stream=stream)
    assert error
    assert (error.status, error.code) == (status, code)
    assert ("told to fail" in error.message) == (status == 400)
    assert error.headers == ({"retry-after": "7"} if status == 503 else {})


def test_what_bedrock_refuses_and_throttles_reaches_the_client_and_is_not_metered(
    gateway: Gateway, european: Addon
) -> None:
    before = len(gateway.usage(european))
    with pytest.raises(openai.BadRequestError, match="told to fail"):
        ask(european, {"error": "ValidationException"})
    with pytest.raises(openai.InternalServerError) as throttled:
        ask(european, {"error": "ThrottlingException", "retry_after": 7}, stream=True)
    assert (throttled.value.status_code, throttled.value.response.headers["retry-after"]) == (503, "7")
    assert len(gateway.usage(european)) == before


def test_a_wrong_model_in_our_settings_is_not_the_customer_s_fault(gateway: Gateway) -> None:
    message = "The provided model identifier is invalid."
    script = {"error": "ValidationException", "message": message}
    _, error = directly(gateway.bedrock, script, stream=False)
    assert error
    assert (error.status, message in error.message) == (500, False)


@pytest.mark.parametrize(
    "broken",
    [
        {"raise": "modelStreamErrorException"},
        {"raise": "throttlingException"},
        {"raise": "internalServerException"},
        {"raise": "serviceUnavailableException"},
        {"raise": "validationException"},
        {"corrupt": True},
        {"cut": True},
    ],
)
def test_every_way_of_breaking_off_is_told_after_what_was_said(
    gateway: Gateway, broken: dict[str, Any]
) -> None:
    said, error = directly(gateway.bedrock, {"say": "one two three", **broken}, stream=True)
    assert error
    assert all(word in said for word in ("one", "two", "three"))


def test_a_stream_that_bedrock_breaks_off_ends_in_an_error_and_is_metered(
    gateway: Gateway, european: Addon
) -> None:
    seen: list[str] = []
    stream = ask(european, {"say": "one two three", "raise": "throttlingException"}, stream=True)
    with pytest.raises(openai.APIError):
        seen.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(seen) == "one two three"
    row = gateway.usage(european)[-1]
    assert (row["outcome"], row["output_tokens"], row["estimated"]) == ("failed", 3, True)


def test_a_client_that_hangs_up_ends_bedrock_s_stream(gateway: Gateway, european: Addon) -> None:
    before = gateway.bedrock.hung_up
    script = {"say": "word " * 200, "delay": 0.03}
    body = {
        "model": european.model,
        "stream": True,
        "messages": [{"role": "user", "content": json.dumps(script)}],
    }
    with european.post("/v1/chat/completions", body, stream=True) as answer:
        assert next(answer.iter_lines()).startswith(b"data:")
    until(lambda: gateway.bedrock.hung_up > before, seconds=5)
    row = until(lambda: gateway.usage(european)[-1:], seconds=5)[0]
    assert row["outcome"] == "hung_up"


def test_rerank_asks_the_agents_runtime_and_reads_every_page(gateway: Gateway) -> None:
    addon = gateway.provision("amazon-rerank-1-0", region="eu-west-1")
    documents = [f"number {n}" for n in range(250)]
    with cohere.ClientV2(api_key=addon.key, base_url=addon.url) as client:
        answer = client.rerank(model=addon.model, query="number 77", documents=documents, top_n=3)
    assert [answer.results[0].index, len(answer.results)] == [77, 3]
    assert answer.meta
    assert answer.meta.billed_units
    assert answer.meta.billed_units.search_units == 3
    asked = gateway.bedrock.received[-1]["body"]["rerankingConfiguration"]["bedrockRerankingConfiguration"]
    arn = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.rerank-v1:0"
    assert asked == {"modelConfiguration": {"modelArn": arn}, "numberOfResults": 250}
    assert len(gateway.bedrock.received[-1]["body"]["sources"]) == 250


def test_the_stand_in_refuses_a_wrong_signature_and_a_wrong_key(gateway: Gateway) -> None:
    url = f"http://127.0.0.1:{gateway.bedrock.port}/model/m/converse"
    body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    for authorization in ("", "Bearer wrong"):
        answer = requests.post(url, json=body, headers={"Authorization": authorization}, timeout=10)
        assert answer.status_code == 403
