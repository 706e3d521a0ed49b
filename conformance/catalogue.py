"""What a check is, how it ends, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from conformance.exchange import Exchange

if TYPE_CHECKING:
    from conformance.case import Case


class Level(Enum):
    """What a failure means: `REQUIRED` breaks what Heroku asks for, `ADVICE` what a careful provider does."""

    REQUIRED = "required"
    ADVICE = "advice"


class Certainty(Enum):
    """How sure it is that Heroku expects this."""

    DOCUMENTED = "stated in Heroku's documents"
    CODE = "found in Heroku's own code"
    PRACTICE = "what providers in production do; Heroku's wording is not known"
    INFERRED = "our inference"


class Failed(Exception):
    """The provider does not do what the check asks for."""

    def __init__(self, reason: str, *exchanges: Exchange) -> None:
        """`reason` is shown with the exchanges, the ones that prove it."""
        super().__init__(reason)
        self.exchanges = exchanges


class Blocked(Failed):
    """The check got no answer to its question: a call it builds on already went wrong."""


class NotRun(Exception):
    """The check does not apply, or was not given what it needs; the text says which."""


Body = Callable[["Case"], None]


@dataclass(frozen=True)
class Check:
    """One question to the provider. `id` is stable; its first word is the group."""

    id: str
    level: Level
    certainty: Certainty
    source: str
    requirement: str
    run: Body

    @property
    def group(self) -> str:
        """What it is about."""
        return self.id.partition(".")[0]

    @property
    def sureness(self) -> str:
        """How sure the requirement is, with where it comes from."""
        return f"{self.certainty.value}{f' ({self.source})' if self.source else ''}"


CHECKS: dict[str, Check] = {}


def register(
    id: str,  # noqa: A002 - an id is what it is
    *,
    level: Level,
    certainty: Certainty,
    requirement: str,
    run: Body,
    source: str = "",
) -> None:
    """Add a check; ValueError for an id that is taken."""
    if id in CHECKS:
        raise ValueError(f"check {id} is there already")
    CHECKS[id] = Check(id, level, certainty, source, requirement, run)


def check(
    id: str,  # noqa: A002
    level: Level,
    certainty: Certainty,
    requirement: str,
    *,
    source: str = "",
) -> Callable[[Body], Body]:
    """Add the decorated function as a check."""

    def decorate(run: Body) -> Body:
        register(id, level=level, certainty=certainty, requirement=requirement, run=run, source=source)
        return run

    return decorate


def selected(*, only: list[str], skip: list[str], legacy: bool) -> tuple[list[Check], list[Check]]:
    """The checks to run and those skipped by name, in order.

    A name is a group, an id, or the first words of ids. `legacy` checks run when asked for by the flag or by name.
    ValueError for a name that fits nothing.
    """
    for name in (*only, *skip):
        if not any(_fits(name, check) for check in CHECKS.values()):
            raise ValueError(f"no check and no group is called {name!r}")
    run: list[Check] = []
    skipped: list[Check] = []
    for each in CHECKS.values():
        if (not any(_fits(name, each) for name in only)) if only else (each.group == "legacy" and not legacy):
            continue
        (skipped if any(_fits(name, each) for name in skip) else run).append(each)
    return run, skipped


def _fits(name: str, each: Check) -> bool:
    return each.id == name or each.id.startswith(f"{name}.")
