"""What a chat completion may ask for, by the document's compatibility table, and what is asked of the upstream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.chat_messages import check_messages, count_images
from addon.inference.gateway.chat_tools import check_tools
from addon.inference.gateway.errors import invalid
from addon.inference.gateway.fields import boolean, integer, number, take

SUPPORTED = frozenset(
    (
        *("model", "messages", "modalities", "max_tokens", "max_completion_tokens", "parallel_tool_calls"),
        *(
            "reasoning_effort",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tool_options",
        ),
        *("tools", "top_p", "top_k", "extended_thinking", "include_reasoning", "allow_ignored_params"),
    )
)
IGNORED = frozenset(
    (
        *("n", "frequency_penalty", "logprobs", "audio", "logit_bias", "store", "metadata", "prediction"),
        *("presence_quality", "prompt_cache_key", "response_format", "safety_identifier", "service_tier"),
        *("top_logprobs", "verbosity", "web_search_options"),
        # Not in the table, and sent by stock clients.
        *("presence_penalty", "seed", "user"),
    )
)
EFFORTS = ("low", "medium", "high")
IMAGE_TOKENS = 1_600
"""Reserved for each image; Amazon's models count about so many for a large one."""
_BUDGETS = ((4_096, "low"), (16_384, "medium"))


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """A request that is fit to be answered. `upstream` is its body at an OpenAI-compatible server, without the model.

    `cache_prompt`: the customer lets the model's provider cache parts of the prompt. `input_estimate` and
    `output_most` are tokens.
    """

    model: Model
    upstream: dict[str, Any]
    stream: bool
    include_usage: bool
    include_reasoning: bool
    cache_prompt: bool
    input_estimate: int
    output_most: int


def check_chat(body: Mapping[str, Any], model: Model, *, cache_prompt: bool = True) -> ChatRequest:
    """Read a request for `model`; ApiError 400 names the field and what is wrong with it."""
    if model.kind != "chat":
        raise invalid(
            f"'{model.id}' is a {model.kind} model: send it to /v1/rerank.",
            param="model",
            code="wrong_endpoint",
        )
    lenient = take(body, "allow_ignored_params", boolean) or False
    unknown = sorted(body.keys() - SUPPORTED - IGNORED)
    if unknown and not lenient:
        names = ", ".join(f"'{name[:80]}'" for name in unknown[:20])
        raise invalid(
            f"Unrecognized request parameter{'s' if len(unknown) > 1 else ''}: {names}. "
            "Leave out what is not supported, or set allow_ignored_params to true.",
            param=unknown[0][:80],
            code="unrecognized_parameter",
        )
    messages = check_messages(body, model)
    sent: dict[str, Any] = {"messages": messages}
    for name, low, high in (("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0)):
        if (value := take(body, name, number)) is not None:
            if not low <= value <= high:
                raise invalid(f"{name} must be between {low:g} and {high:g}.", param=name)
            # Clients of OpenAI's may ask for up to 2; the models know no more than 1.
            sent[name] = min(value, 1.0)
    if (top_k := take(body, "top_k", integer)) is not None:
        if top_k < 1:
            raise invalid("top_k must be at least 1.", param="top_k")
        sent["top_k"] = top_k
    most = _most_tokens(body, model)
    sent["max_tokens"] = most
    if stop := _stop(body):
        sent["stop"] = stop
    stream = take(body, "stream", boolean) or False
    include_usage = _stream_options(body, stream)
    if stream:
        sent["stream"], sent["stream_options"] = True, {"include_usage": True}
    modalities = body.get("modalities")
    if modalities is not None and modalities != ["text"]:
        raise invalid('modalities must be ["text"].', param="modalities")
    sent.update(check_tools(body, model))
    effort, include_reasoning = _reasoning(body, model)
    if effort:
        sent["reasoning_effort"] = effort
    return ChatRequest(
        model=model,
        upstream=sent,
        stream=stream,
        include_usage=include_usage,
        include_reasoning=include_reasoning,
        cache_prompt=cache_prompt,
        input_estimate=_estimate(messages, sent.get("tools")) + count_images(messages) * IMAGE_TOKENS,
        output_most=most if effort is None or effort != model.unbounded_effort else model.max_output_tokens,
    )


def _most_tokens(body: Mapping[str, Any], model: Model) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value: int | None = take(body, name, integer)
        if value is not None:
            if not 1 <= value <= model.max_output_tokens:
                raise invalid(
                    f"{name} must be between 1 and {model.max_output_tokens} for '{model.id}'.", param=name
                )
            return value
    return model.default_output_tokens


def _stop(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    if stops is None:
        return []
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise invalid("stop must be a string or an array of strings.", param="stop")
    return [each for each in stops if each]


def _stream_options(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise invalid("stream_options must be an object.", param="stream_options")
    if not stream:
        raise invalid("stream_options is for requests with stream set to true.", param="stream_options")
    return bool(take(options, "include_usage", boolean))


def _reasoning(body: Mapping[str, Any], model: Model) -> tuple[str | None, bool]:
    """The effort, for models that know one, and whether the reasoning is to be shown."""
    effort = body.get("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise invalid(f"reasoning_effort must be one of {', '.join(EFFORTS)}.", param="reasoning_effort")
    show = take(body, "include_reasoning", boolean)
    thinking = body.get("extended_thinking")
    if thinking is not None:
        if not isinstance(thinking, dict):
            raise invalid("extended_thinking must be an object.", param="extended_thinking")
        enabled = take(thinking, "enabled", boolean)
        budget = take(thinking, "budget_tokens", integer)
        shown = take(thinking, "include_reasoning", boolean)
        show = shown if shown is not None else show
        if enabled and not model.reasoning:
            raise invalid(
                f"The model '{model.id}' does not support extended_thinking.", param="extended_thinking"
            )
        if budget is not None and budget < 1_024:
            raise invalid(
                "extended_thinking.budget_tokens must be at least 1024.",
                param="extended_thinking.budget_tokens",
            )
        if enabled and effort is None:
            effort = next((name for most, name in _BUDGETS if (budget or 0) <= most), "high")
    return effort if model.reasoning else None, show is not False


def _estimate(messages: list[dict[str, Any]], tools: Any) -> int:
    """Tokens of the input, rather too many than too few; the true number replaces it at the end."""
    characters = 0
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            characters += len(content)
        else:
            characters += sum(len(part.get("text", "")) for part in content)
        for call in message.get("tool_calls", ()):
            characters += len(call["function"]["name"]) + len(call["function"]["arguments"])
    if tools:
        characters += len(str(tools))
    return characters // 3 + 4 * len(messages) + 8
