"""Typed rows of the sandbox's tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sandbox.store import Store


@dataclass(frozen=True, slots=True)
class User:
    """A Heroku user: the sandbox's developer or a collaborator."""

    id: str
    email: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Service:
    """A registered add-on service; ``manifest`` is its ``addon-manifest.json`` as text."""

    slug: str
    id: str
    name: str
    manifest: str
    oauth_client_secret: str
    created_at: float
    updated_at: float

    @property
    def api(self) -> dict[str, Any]:
        """The manifest's ``api`` object."""
        api: dict[str, Any] = json.loads(self.manifest)["api"]
        return api

    @property
    def prefix(self) -> str:
        """The config var prefix: declared, or the slug upper-cased with ``-`` as ``_``."""
        return str(self.api.get("config_vars_prefix") or self.slug.upper().replace("-", "_"))

    def name_under(self, attachment: str, name: str) -> str:
        """A config var's full manifest name as an app sees it: the prefix replaced by the attachment's name
        (Dev Center "Making Your Add-on Shareable")."""
        return attachment + name.removeprefix(self.prefix) if name.startswith(self.prefix + "_") else name

    @property
    def requires(self) -> list[str]:
        """The manifest's feature flags, e.g. ``many_per_app``."""
        return [str(flag) for flag in self.api.get("requires") or []]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan; ``name`` is its slug without the service, ``price`` JSON ``{cents, unit, ...}``."""

    id: str
    service: str
    name: str
    human_name: str
    description: str
    price: str
    is_default: int
    state: str
    position: int
    retired: int
    created_at: float
    updated_at: float

    @property
    def full_name(self) -> str:
        """``service:plan``, as the Platform API names plans."""
        return f"{self.service}:{self.name}"


@dataclass(frozen=True, slots=True)
class App:
    """A customer's app; ``restarts`` counts dyno restarts."""

    id: str
    name: str
    region: str
    restarts: int
    created_at: float
    updated_at: float
    deleted_at: float | None


@dataclass(frozen=True, slots=True)
class Addon:
    """A resource. ``unanswered`` while the provider has not answered the provision request;
    ``config`` is JSON by the manifest's full names; ``deadline_at`` is the 12 h limit."""

    id: str
    name: str
    service: str
    plan: str
    app_id: str
    state: str
    unanswered: int
    provider_id: str | None
    options: str
    config: str
    message: str | None
    drain_url: str | None
    creation_failed: int
    deadline_at: float | None
    delete_due_at: float | None
    delete_attempts: int
    provision_actions: int
    deprovision_actions: int
    repeated_actions: int
    refused_actions: int
    created_at: float
    updated_at: float
    deleted_at: float | None

    @property
    def config_values(self) -> dict[str, str]:
        """Config by the manifest's full names."""
        values: dict[str, str] = json.loads(self.config)
        return values


@dataclass(frozen=True, slots=True)
class Attachment:
    """An add-on attached to an app under a name, which is the prefix of its config vars there."""

    id: str
    addon_id: str
    app_id: str
    name: str
    log_token: str
    created_at: float


def find_app(store: Store, reference: str) -> App | None:
    """A live app by id or name."""
    sql = "SELECT * FROM apps WHERE deleted_at IS NULL AND (id = ? OR name = ?)"
    row = store.row(sql, reference, reference)
    return App(**row) if row else None


def get_app(store: Store, app_id: str) -> App:
    """An app by id, live or deleted."""
    row = store.row("SELECT * FROM apps WHERE id = ?", app_id)
    if row is None:
        raise LookupError(f"no app {app_id}")
    return App(**row)


def all_apps(store: Store) -> list[App]:
    """Every live app, by name."""
    return [App(**row) for row in store.rows("SELECT * FROM apps WHERE deleted_at IS NULL ORDER BY name")]


def find_service(store: Store, reference: str) -> Service | None:
    """A registered service by slug or id."""
    row = store.row("SELECT * FROM services WHERE slug = ? OR id = ?", reference, reference)
    return Service(**row) if row else None


def get_service(store: Store, slug: str) -> Service:
    """A registered service by slug."""
    found = find_service(store, slug)
    if found is None:
        raise LookupError(f"no service {slug}")
    return found


def all_services(store: Store) -> list[Service]:
    """Every registered service, by name."""
    return [Service(**row) for row in store.rows("SELECT * FROM services ORDER BY name, slug")]


def plans_of(store: Store, slug: str, *, retired: bool = False) -> list[Plan]:
    """The plans of a service in the order it listed them."""
    sql = "SELECT * FROM plans WHERE service = ? AND retired <= ? ORDER BY position"
    return [Plan(**row) for row in store.rows(sql, slug, int(retired))]


def get_plan(store: Store, slug: str, name: str) -> Plan:
    """A plan by service slug and plan slug, retired ones too."""
    row = store.row("SELECT * FROM plans WHERE service = ? AND name = ?", slug, name)
    if row is None:
        raise LookupError(f"no plan {slug}:{name}")
    return Plan(**row)


def get_addon(store: Store, addon_id: str) -> Addon | None:
    """A resource by uuid, in any state."""
    row = store.row("SELECT * FROM addons WHERE id = ?", addon_id)
    return Addon(**row) if row else None


def reread(store: Store, addon: Addon) -> Addon:
    """The present row of a resource; rows are never deleted."""
    found = get_addon(store, addon.id)
    if found is None:
        raise LookupError(f"no add-on {addon.id}")
    return found


def attachments_of(store: Store, addon_id: str) -> list[Attachment]:
    """Every attachment of a resource, oldest first."""
    sql = "SELECT * FROM attachments WHERE addon_id = ? ORDER BY created_at, id"
    return [Attachment(**row) for row in store.rows(sql, addon_id)]


def attachments_on(store: Store, app_id: str) -> list[Attachment]:
    """Every attachment on an app, by name."""
    return [
        Attachment(**row)
        for row in store.rows("SELECT * FROM attachments WHERE app_id = ? ORDER BY name", app_id)
    ]


def get_user(store: Store, user_id: str) -> User:
    """A user by id."""
    row = store.row("SELECT * FROM users WHERE id = ?", user_id)
    if row is None:
        raise LookupError(f"no user {user_id}")
    return User(**row)
