"""Features that a scope can name: what a resource makes use of beside its plan, as its service alone can tell."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet


@dataclass(frozen=True)
class Feature:
    """`name` stands in saved scopes and never changes its meaning: `inference:model:nova-lite`.

    `used_by(begin, until)` gives the numbers of the resources that used it from `begin` on and before `until`, either
    of which may be open. A service that keeps no times answers with every resource that has ever used it.
    """

    name: str
    label: str
    used_by: "Callable[[datetime | None, datetime | None], QuerySet[Any, Any]]"


_sources: list[Callable[[], list[Feature]]] = []


def register(source: Callable[[], list[Feature]]) -> None:
    """Let a service tell its features; call it in `AppConfig.ready`."""
    if source not in _sources:
        _sources.append(source)


def features() -> dict[str, Feature]:
    """Every service's features by name, in the order of their labels."""
    found = [feature for source in _sources for feature in source()]
    return {feature.name: feature for feature in sorted(found, key=lambda one: one.label)}
