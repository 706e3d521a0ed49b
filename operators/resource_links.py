"""Ways from a resource's page to pages of other floors that ask for a reason first."""

from collections.abc import Callable
from dataclasses import dataclass, field

from operators.roles import ALL_ROLES, Role
from provisioning.models import Resource


@dataclass(frozen=True)
class ResourceLink:
    """A button that posts its reason to `url_name` (which takes the resource's uuid) and goes where that leads."""

    name: str
    label: str
    icon: str
    explanation: str
    url_name: str
    offered: Callable[[Resource], bool]
    roles: frozenset[Role] = field(default=ALL_ROLES)


_links: dict[str, ResourceLink] = {}


def register(link: ResourceLink) -> None:
    """Add one; one of the same name is replaced."""
    _links[link.name] = link


def offered_to(resource: Resource, roles: frozenset[Role]) -> list[ResourceLink]:
    """Those that an operator with these roles has for this resource."""
    return [link for link in _links.values() if link.roles & roles and link.offered(resource)]
