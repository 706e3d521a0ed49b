"""The models as data: what `models.toml` says of each, beside its plan in `plans.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from provisioning.services import all_services

_FILE = Path(__file__).resolve().parent.parent / "models.toml"


@dataclass(frozen=True, kw_only=True)
class BedrockModel:
    """What AWS Bedrock calls a model for customers of each region, and what it asks of requests for it.

    `nova`: the rules of Amazon's own models hold (plain tool schemas, greedy tool calls, where `top_k` stands).
    `effort`: `reasoning_effort` is sent as Nova 2's `reasoningConfig`. `thinking_tag`: the model writes its reasoning
    into the text, between tags of this name.
    """

    ids: Mapping[str, str]
    nova: bool = False
    effort: bool = False
    thinking_tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that a plan sells. `kind` is "chat" or "rerank"; token counts are whole tokens.

    `served_as` is its name at an OpenAI-compatible upstream unless the upstream's settings give another one.
    `unbounded_effort` is the reasoning effort at which it takes no maximum of output.
    """

    id: str
    kind: str
    regions: tuple[str, ...]
    served_as: str
    inputs: tuple[str, ...] = ("text",)
    max_output_tokens: int = 0
    default_output_tokens: int = 0
    reasoning: bool = False
    unbounded_effort: str | None = None
    parallel_tool_calls: bool = True
    caching: Mapping[str, Any] = field(default_factory=dict)
    bedrock: BedrockModel | None = None

    @property
    def cli_type(self) -> str:
        """What Heroku's command line calls this kind."""
        return {"chat": "text-to-text", "rerank": "text-to-ranking"}[self.kind]


@cache
def models() -> Mapping[str, Model]:
    """Every model by id. ValueError when plans and models do not match, TypeError for an unknown entry."""
    described = tomllib.loads(_FILE.read_text())
    plans = {plan.slug: plan for plan in all_services()["inference"].plans}
    if plans.keys() != described.keys():
        raise ValueError(f"models.toml and plans.toml differ: {sorted(plans.keys() ^ described.keys())}")
    found = {}
    for slug, plan in plans.items():
        entry: dict[str, Any] = {**described[slug], "inputs": tuple(described[slug].get("inputs", ["text"]))}
        if bedrock := entry.get("bedrock"):
            entry["bedrock"] = BedrockModel(**bedrock)
        found[slug] = Model(id=slug, kind=plan.limits["model_kind"], regions=plan.regions, **entry)
    return found
