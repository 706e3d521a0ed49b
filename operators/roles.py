"""What an operator may do: four roles, each a group of Django's, and the permissions each of them brings.

The groups are rows, made by a migration, so that membership is data. What a role may do stands in code, beside the
pages it is about: an app calls `grant` in its `AppConfig.ready`, and a release can never leave a permission behind.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.contrib.auth.backends import ModelBackend
from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class Role(models.TextChoices):
    """A group of operators; the value is the group's name."""

    SUPPORT = "support", "Support"
    """Answers customers: sees resources, opens a dashboard read-only, resends and retries."""
    OPERATOR = "operator", "Operator"
    """Runs the service: operations, clusters, limits, suspensions."""
    SECURITY = "security", "Security"
    """Accounts, roles, the audit, advisories, leaked keys."""
    FINANCE = "finance", "Finance"
    """Revenue, statements, corrections of bills."""


ALL_ROLES = frozenset(Role)
_granted: dict[str, set[Role]] = defaultdict(set)
_kept_from_view: dict[str, frozenset[Role]] = {}


def grant(permission: str, *roles: Role) -> None:
    """Let these roles do what Django calls `permission`, such as `kafkacluster.change_tenant`."""
    _granted[permission] |= set(roles)


def restrict_view(model: str, *roles: Role) -> None:
    """Show the rows of a model (`operators.event`) to these roles only; every other model is seen by all roles."""
    _kept_from_view[model.lower()] = frozenset(roles)


def roles_of(user: "User | AnonymousUser") -> frozenset[Role]:
    """The roles of an account, from one query that is kept on the object; a superuser has all of them."""
    if not user.is_active or not user.is_staff:
        return frozenset()
    if user.is_superuser:
        return ALL_ROLES
    found: frozenset[Role] | None = user.__dict__.get("_operator_roles")
    if found is None:
        names = set(user.groups.values_list("name", flat=True))
        found = frozenset(role for role in Role if role in names)
        user.__dict__["_operator_roles"] = found
    return found


def may(roles: frozenset[Role], permission: str) -> bool:
    """Whether one of these roles brings a permission."""
    if roles & _granted.get(permission, set()):
        return True
    label, _, codename = permission.partition(".")
    action, _, model = codename.partition("_")
    return action == "view" and bool(roles & _kept_from_view.get(f"{label}.{model}", ALL_ROLES))


class RoleBackend(ModelBackend):
    """Django's password accounts, whose permissions follow from their roles."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether the account's roles bring `perm`. Superusers never get here."""
        return may(roles_of(user_obj), perm)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Every operator may look into every app; each of its models decides for itself."""
        return bool(roles_of(user_obj))

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """The permissions that were granted by name."""
        roles = roles_of(user_obj)
        return {permission for permission, granted in _granted.items() if granted & roles}
