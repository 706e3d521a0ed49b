"""The operators' navigation: every app adds its own pages, so that this floor knows none of them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.urls import reverse

from operators.roles import ALL_ROLES, Role, roles_of
from operators.sessions import is_verified

if TYPE_CHECKING:
    from django.http import HttpRequest

SECTIONS = ("Customers", "Service", "Money", "Security", "Records")
"""The navigation's parts, in their order; an app may name another one, which comes last."""


@dataclass(frozen=True)
class NavigationItem:
    """One entry: `url_name` is reversed without arguments; `icon` is one of `frontend/src/icons.json`."""

    section: str
    label: str
    icon: str
    url_name: str
    roles: frozenset[Role] = field(default=ALL_ROLES)
    position: int = 50


@dataclass(frozen=True)
class Link:
    """An entry as one page shows it."""

    label: str
    icon: str
    url: str
    current: bool


@dataclass(frozen=True)
class Section:
    """A part of the navigation with the entries that an operator may open."""

    label: str
    links: list[Link]


_items: dict[str, NavigationItem] = {}


def register(
    section: str, label: str, *, icon: str, url_name: str, roles: tuple[Role, ...] = (), position: int = 50
) -> None:
    """Add a page to the navigation; call it in `AppConfig.ready`.

    It is shown to these roles (none named: to all) and stands in its section by `position`, then by its label. A second
    call for the same `url_name` replaces the first.
    """
    _items[url_name] = NavigationItem(section, label, icon, url_name, frozenset(roles) or ALL_ROLES, position)


def sections_for(request: "HttpRequest") -> list[Section]:
    """What the signed-in operator may open; the entry whose address is the longest beginning of the path is current."""
    held = roles_of(request.user)
    items = [(item, reverse(item.url_name)) for item in _items.values() if item.roles & held]
    here = max((url for _, url in items if request.path.startswith(url)), key=len, default="")
    by_section: dict[str, list[tuple[NavigationItem, str]]] = {}
    for item, url in sorted(items, key=lambda pair: (pair[0].position, pair[0].label)):
        by_section.setdefault(item.section, []).append((item, url))
    order = [*SECTIONS, *sorted(by_section.keys() - set(SECTIONS))]
    return [
        Section(label, [Link(item.label, item.icon, url, url == here) for item, url in by_section[label]])
        for label in order
        if label in by_section
    ]


def page_frame(request: "HttpRequest") -> dict[str, Any]:
    """What the frame of an operator's page shows."""
    if not is_verified(request):
        return {"sections": [], "operator_roles": []}
    return {
        "sections": sections_for(request),
        "operator_roles": [role.label for role in Role if role in roles_of(request.user)],
    }
