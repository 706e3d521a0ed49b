"""The documents' own examples, run as printed with the config vars of an add-on."""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.inference import examples
from tests.inference.conftest import Addon, Gateway


def run(argv: list[str], addon: Addon, *, prefix: str = "INFERENCE") -> subprocess.CompletedProcess[str]:
    """Run a program where the add-on's config vars are exported."""
    variables = {f"{prefix}_URL": addon.url, f"{prefix}_KEY": addon.key, f"{prefix}_MODEL_ID": addon.model}
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300, check=False)


def pasted(example: str, addon: Addon, *, prefix: str = "INFERENCE") -> Any:
    """The answer to a curl example that a developer pastes into a terminal."""
    assert shutil.which("curl"), "curl is needed: the documents' examples use it"
    done = run(["bash", "-c", example], addon, prefix=prefix)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def python(example: str, addon: Addon) -> subprocess.CompletedProcess[str]:
    """A Python example, after the set-up that its article begins with."""
    return run([sys.executable, "-c", f"{examples.OPENAI_SETUP}\n{example}"], addon)


def request_of(card: str) -> str:
    """The curl command of a whole card."""
    return card[card.index("curl ") :]


def test_nova_pro_s_example_is_answered_by_a_real_model(gateway: Gateway) -> None:
    answer = pasted(request_of(examples.NOVA_PRO_CARD), gateway.provision("nova-pro"))
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "nova-pro"
    assert answer["system_fingerprint"] == "stand-in-smollm2-135m"
    choice = answer["choices"][0]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] or choice["message"]["tool_calls"]
    assert choice["finish_reason"] in ("stop", "length", "tool_calls")
    assert answer["usage"]["total_tokens"] > answer["usage"]["prompt_tokens"] > 50


@pytest.mark.parametrize(
    "model",
    ["nova-lite", "nova-2-lite", "qwen3-235b", "qwen3-coder-480b", "minimax-m2", "kimi-k2-thinking"],
)
def test_the_example_of_every_other_chat_card_reaches_its_model_whole(gateway: Gateway, model: str) -> None:
    before = len(gateway.upstream.received)
    answer = pasted(examples.CHAT_CARD, gateway.provision(model))
    assert answer["model"] == model
    assert answer["choices"][0]["message"]["content"] == "Hello there, friend"
    sent = gateway.upstream.received[before]
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert (sent["temperature"], sent["top_p"], sent["tool_choice"]) == (0.5, 0.9, "auto")
    assert sent["tools"][0]["function"]["parameters"]["required"] == ["city"]
    assert 100 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


@pytest.mark.parametrize(
    ("model", "example", "best"),
    [
        ("cohere-rerank-3-5", examples.RERANK_ARTICLE, [0, 2]),
        ("cohere-rerank-3-5", request_of(examples.COHERE_CARD), [0, 2]),
        ("amazon-rerank-1-0", examples.AMAZON_CARD, [0, 3]),
    ],
    ids=["article", "cohere", "amazon"],
)
def test_the_rerank_examples_rank_what_answers_the_question_first(
    gateway: Gateway, model: str, example: str, best: list[int]
) -> None:
    answer = pasted(example, gateway.provision(model), prefix="RERANK")
    assert sorted(row["index"] for row in answer["results"]) == best
    assert 1 >= answer["results"][0]["relevance_score"] >= answer["results"][1]["relevance_score"] > 0
    assert answer["meta"]["api_version"] == {"version": "2", "is_experimental": False}
    assert answer["meta"]["billed_units"] == {"search_units": 1}


def test_openai_s_sdk_set_up_as_printed_prints_an_answer(addon: Addon) -> None:
    done = python("", addon)
    assert (done.returncode, done.stdout) == (0, "Hello there, friend\n"), done.stderr


def test_extended_thinking_as_printed_is_asked_of_a_model_that_reasons_and_not_shown(
    gateway: Gateway,
) -> None:
    shown = "print(response.choices[0].message.model_dump_json(exclude_unset=True))"
    done = python(examples.EXTENDED_THINKING + shown, gateway.provision("kimi-k2-thinking"))
    assert done.returncode == 0, done.stderr
    assert gateway.upstream.received[-1]["reasoning_effort"] in ("low", "medium", "high")
    assert "reasoning" not in json.loads(done.stdout.splitlines()[-1])


def test_extended_thinking_as_printed_is_refused_for_a_model_that_does_not_reason(addon: Addon) -> None:
    done = python(examples.EXTENDED_THINKING, addon)
    assert "openai.BadRequestError" in done.stderr
    assert "The model 'nova-lite' does not support extended_thinking." in done.stderr


def test_ignored_parameters_are_allowed_as_printed(addon: Addon) -> None:
    unknown = examples.ALLOW_IGNORED_PARAMETERS.replace(
        '"allow_ignored_params"', '"best_of": 2, "allow_ignored_params"'
    )
    for example in (examples.ALLOW_IGNORED_PARAMETERS, unknown):
        done = python(example, addon)
        assert done.returncode == 0, done.stderr
    refused = python(unknown.replace("True", "False"), addon)
    assert "'best_of'" in refused.stderr
