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
class Model:
    """A model that a plan sells. `kind` is "chat" or "rerank"; token counts are whole tokens.

    `served_as` is its name at an upstream unless the upstream's settings give another one.
    """

    id: str
    kind: str
    regions: tuple[str, ...]
    served_as: str
    inputs: tuple[str, ...] = ("text",)
    max_output_tokens: int = 0
    default_output_tokens: int = 0
    reasoning: bool = False
    parallel_tool_calls: bool = True
    caching: Mapping[str, Any] = field(default_factory=dict)

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
        found[slug] = Model(id=slug, kind=plan.limits["model_kind"], regions=plan.regions, **entry)
    return found
