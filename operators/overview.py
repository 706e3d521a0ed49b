"""The operators' first page: what needs a person now, from whatever app has something to say."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from operators.roles import ALL_ROLES, Role, roles_of

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True)
class Concern:
    """A number that ought to be nought, or one that tells how things are; `url` leads to its rows."""

    label: str
    number: int
    url: str
    tone: Literal["good", "warning", "bad", "info", "neutral"]
    hint: str = ""


ConcernSource = Callable[[], Iterable[Concern]]
_sources: dict[str, tuple[ConcernSource, frozenset[Role]]] = {}


def register(name: str, source: ConcernSource, *roles: Role) -> None:
    """Let an app tell its concerns on the overview of these roles (none named: all); quick, indexed queries only."""
    _sources[name] = (source, frozenset(roles) or ALL_ROLES)


def context(request: "HttpRequest") -> dict[str, Any]:
    """Values for `operators/overview.html`."""
    held = roles_of(request.user)
    found = [concern for source, roles in _sources.values() if roles & held for concern in source()]
    return {
        "concerns": [concern for concern in found if concern.tone in ("warning", "bad") and concern.number],
        "facts": [concern for concern in found if concern.tone not in ("warning", "bad")],
        "quiet": [concern for concern in found if concern.tone in ("warning", "bad") and not concern.number],
    }
