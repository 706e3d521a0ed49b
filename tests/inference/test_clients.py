"""The official clients of OpenAI and Cohere against the gateway."""

import asyncio
import json
from typing import Any

import cohere
import openai
import pytest
import requests

from tests.inference.conftest import Addon, Gateway, open_client

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Fetches the current weather for a given city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The name of the city to get weather for."}
            },
            "required": ["city"],
        },
    },
}


def test_openai_s_client_reads_a_whole_answer(gateway: Gateway, addon: Addon) -> None:
    script = json.dumps({"say": "Build a boat", "prompt": 20, "completion": 3, "think": "Hm."})
    answer = addon.client.chat.completions.create(
        model=addon.model,
        messages=[{"role": "system", "content": "You help."}, {"role": "user", "content": script}],
    )
    assert answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.content == "Build a boat"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        20,
        3,
        23,
    )
    assert answer.choices[0].message.model_dump()["reasoning"] == {"thinking": "Hm."}
    row = gateway.usage(addon)[-1]
    assert (row["input_tokens"], row["output_tokens"], row["cached_tokens"]) == (20, 3, 3)
    assert answer._request_id == str(row["id"])


def test_reasoning_is_hidden_on_request(addon: Addon) -> None:
    body = {"extended_thinking": {"enabled": False, "include_reasoning": False}}
    message = addon.say({"think": "Hm."}, **body).json()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Hello there, friend", "refusal": None}


def test_openai_s_client_reads_a_stream_with_its_usage(addon: Addon) -> None:
    stream = addon.client.chat.completions.create(
        model=addon.model,
        messages=[{"role": "user", "content": json.dumps({"say": "one two three", "prompt": 5})}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.total_tokens == 8
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_without_being_asked_a_stream_has_no_usage(addon: Addon) -> None:
    stream = addon.client.chat.completions.create(
        model=addon.model, messages=[{"role": "user", "content": "hi"}], stream=True
    )
    assert all(chunk.choices for chunk in stream)


def test_openai_s_asynchronous_client_is_answered_many_times_at_once(addon: Addon) -> None:
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(
            api_key=addon.key, base_url=addon.url + "/v1/", max_retries=0
        ) as client:
            answers = await asyncio.gather(
                *[
                    client.chat.completions.create(
                        model=addon.model,
                        messages=[{"role": "user", "content": json.dumps({"say": f"number {n}"})}],
                    )
                    for n in range(20)
                ]
            )
        return [answer.choices[0].message.content for answer in answers]

    assert asyncio.run(ask()) == [f"number {n}" for n in range(20)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_when_a_call_is_required(gateway: Gateway, stream: bool) -> None:
    addon = gateway.provision("nova-pro")
    asked: Any = {
        "model": addon.model,
        "messages": [{"role": "user", "content": "What is the weather in Oslo?"}],
        "tools": [WEATHER],
        "tool_choice": "required",
        "max_tokens": 60,
    }
    call: Any
    if stream:
        chunks: Any = addon.client.chat.completions.create(**asked, stream=True)
        pieces = [chunk.choices[0] for chunk in chunks if chunk.choices]
        call = next(piece.delta.tool_calls[0] for piece in pieces if piece.delta.tool_calls)
        finish = pieces[-1].finish_reason
    else:
        choice: Any = addon.client.chat.completions.create(**asked).choices[0]
        call, finish = choice.message.tool_calls[0], choice.finish_reason
    assert finish == "tool_calls"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def test_errors_are_openai_s_own_exceptions_with_code_and_field(gateway: Gateway, addon: Addon) -> None:
    def error(kind: type[openai.APIStatusError], key: str = addon.key, **fields: Any) -> Any:
        client = open_client(addon.url, key)
        body: Any = {"model": addon.model, "messages": [{"role": "user", "content": "hi"}], **fields}
        with pytest.raises(kind) as raised:
            client.chat.completions.create(**body)
        assert raised.value.request_id
        answer = raised.value.response.json()
        assert answer["message"] == answer["error"]["message"]
        assert answer["id"] == answer["error"]["code"]
        return raised.value

    assert error(openai.AuthenticationError, key="inf-nonsense").code == "invalid_api_key"
    assert error(openai.AuthenticationError, key=addon.key[:-1] + "!").code == "invalid_api_key"
    assert error(openai.NotFoundError, model="gpt-9").code == "model_not_found"
    assert error(openai.PermissionDeniedError, model="nova-pro").type == "authorization_error"
    unknown = error(openai.BadRequestError, extra_body={"beam_width": 3})
    assert unknown.param == "beam_width"
    assert "'beam_width'" in unknown.message
    script = [{"role": "user", "content": json.dumps({"status": 400})}]
    assert "told to fail" in error(openai.BadRequestError, messages=script).message
    script = [{"role": "user", "content": json.dumps({"status": 401})}]
    assert error(openai.InternalServerError, messages=script).code == "upstream_error"
    accepted = addon.say("hi", beam_width=3, allow_ignored_params=True)
    assert accepted.status_code == 200, accepted.text


def test_an_error_in_the_middle_of_a_stream_is_raised_by_openai_s_client(
    gateway: Gateway, addon: Addon
) -> None:
    script = json.dumps({"say": "a b c d e", "break_after": 3, "delay": 0.05})
    stream = addon.client.chat.completions.create(
        model=addon.model, messages=[{"role": "user", "content": script}], stream=True
    )
    seen: list[str | None] = []
    with pytest.raises(openai.APIError, match="failed while it was answering"):
        seen.extend(chunk.choices[0].delta.content for chunk in stream)
    row = gateway.usage(addon)[-1]
    assert (row["outcome"], row["output_tokens"], row["estimated"]) == ("failed", 3, True)


@pytest.mark.parametrize("version", [1, 2])
def test_cohere_s_clients_rank_documents(gateway: Gateway, version: int) -> None:
    addon = gateway.provision("amazon-rerank-1-0")
    kind: Any = cohere.Client if version == 1 else cohere.ClientV2
    documents = ["Paris is the capital of France.", "Bananas are yellow.", "Berlin lies in Germany."]
    with kind(api_key=addon.key, base_url=addon.url) as client:
        answer = client.rerank(
            model=addon.model, query="What is the capital of France?", documents=documents, top_n=2
        )
        with pytest.raises(cohere.NotFoundError):
            client.rerank(model="rerank-99", query="x", documents=["y"])
    assert answer.results[0].index == 0
    assert len(answer.results) == 2
    assert answer.meta.billed_units.search_units == 1
    assert gateway.usage(addon)[-1]["search_units"] == 1


def test_every_hundred_documents_are_a_search_unit(gateway: Gateway) -> None:
    addon = gateway.provision("amazon-rerank-1-0")
    body = {"model": addon.model, "query": "number 7", "documents": [f"number {n}" for n in range(201)]}
    answer = addon.post("/v1/rerank", body).json()
    assert len(answer["results"]) == 201
    assert answer["meta"]["billed_units"]["search_units"] == 3


def test_models_are_listed_for_openai_s_client_and_for_heroku_s_command_line(addon: Addon) -> None:
    assert [model.id for model in addon.client.models.list()] == ["nova-lite"]
    assert addon.client.models.retrieve("nova-lite").owned_by == "addonworks"
    everything = requests.get(
        f"{addon.url}/available-models", headers={"Authorization": "Bearer HRKU-x"}, timeout=10
    )
    entry = {entry["model_id"]: entry for entry in everything.json()}["cohere-rerank-3-5"]
    assert entry == {"model_id": "cohere-rerank-3-5", "type": ["text-to-ranking"], "regions": ["us", "eu"]}
    headers = {"Authorization": f"Bearer {addon.key}"}
    info = requests.get(f"{addon.url}/models/{addon.uuid}", headers=headers, timeout=10).json()
    assert info["model_id"] == "nova-lite"
    other = requests.get(f"{addon.url}/models/{'0' * 8}", headers=headers, timeout=10)
    assert other.status_code == 404


def test_every_answer_under_the_gateway_is_json_with_a_request_id(addon: Addon) -> None:
    for method, path, status in [
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/rerank", 401),
    ]:
        answer = requests.request(method, addon.url + path, timeout=10)
        assert answer.status_code == status
        assert answer.headers["x-request-id"]
        assert answer.json()["error"]["message"]
