"""Add-on services: registering them and finding them again."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

from sandbox.documents import entries_of
from sandbox.errors import invalid, not_found
from sandbox.records import Plan, Service, find_service, get_service, plans_of
from sandbox.state import Sandbox

SLUG = re.compile(r"[a-z][a-z0-9-]*")
ANY_SECRET = ""
"""What is stored for a service that was registered without an OAuth client secret."""
STATES = ("alpha", "beta", "ga", "shutdown")
NAMESPACE = uuid.UUID("6f1a2d0e-3c7b-4b52-9a39-5d1b6f1c7a10")


def register_services(sandbox: Sandbox, document: Any) -> list[Service]:
    """Register or update every service of a document (see ``entries_of``), all or none.

    Registering the same document again changes nothing; a plan that is no longer listed is kept for the
    add-ons that are on it, but cannot be chosen. Raises ApiError 422 naming what is wrong.
    """
    entries = entries_of(document)
    with sandbox.store.transaction():
        return [_register(sandbox, entry) for entry in entries]


def _register(sandbox: Sandbox, entry: dict[str, Any]) -> Service:
    manifest = check_manifest(entry["manifest"])
    slug, now = manifest["id"], sandbox.clock.now()
    secret = entry.get("oauth_client_secret", ANY_SECRET)
    if not isinstance(secret, str) or (not secret and "oauth_client_secret" in entry):
        raise invalid(f"{slug}: oauth_client_secret must be a non-empty string, or be left out")
    plans = _check_plans(slug, entry["plans"])
    name, text = str(manifest.get("name") or slug), json.dumps(manifest)
    sandbox.store.run(
        "INSERT INTO services (slug, id, name, manifest, oauth_client_secret, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (slug) DO UPDATE SET name = excluded.name,"
        " manifest = excluded.manifest, oauth_client_secret = excluded.oauth_client_secret,"
        " updated_at = excluded.updated_at",
        *(slug, str(uuid.uuid5(NAMESPACE, slug)), name, text, secret, now, now),
    )
    sandbox.store.run("UPDATE plans SET retired = 1 WHERE service = ?", slug)
    for position, plan in enumerate(plans):
        identity = str(uuid.uuid5(NAMESPACE, f"{slug}:{plan['name']}"))
        sandbox.store.run(
            "INSERT INTO plans (id, service, name, human_name, description, price, is_default, state,"
            " position, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET human_name = excluded.human_name,"
            " description = excluded.description, price = excluded.price, is_default = excluded.is_default,"
            " state = excluded.state, position = excluded.position, retired = 0,"
            " updated_at = excluded.updated_at",
            *(
                identity,
                slug,
                plan["name"],
                plan["human_name"],
                plan["description"],
                json.dumps(plan["price"]),
            ),
            *(int(plan["default"]), plan["state"], position, now, now),
        )
    return get_service(sandbox.store, slug)


def check_manifest(manifest: Any) -> dict[str, Any]:
    """The manifest, if the sandbox can work with it (Dev Center "Add-on Manifest").

    Plain http addresses are accepted, unlike at Heroku: this is a machine of one's own. Raises ApiError 422.
    """
    if not isinstance(manifest, dict) or not isinstance(manifest.get("api"), dict):
        raise invalid("manifest must be an add-on manifest with an api object")
    slug, api = manifest.get("id"), manifest["api"]
    if not isinstance(slug, str) or not SLUG.fullmatch(slug):
        raise invalid("manifest.id must be a slug: lower-case letters, digits and dashes")
    for key in ("password", "sso_salt"):
        if not isinstance(api.get(key), str) or not api[key]:
            raise invalid(f"{slug}: manifest.api.{key} must be a non-empty string")
    production = api.get("production")
    if not isinstance(production, dict):
        raise invalid(f"{slug}: manifest.api.production must hold base_url and sso_url")
    for key in ("base_url", "sso_url"):
        parts = urlsplit(str(production.get(key) or ""))
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise invalid(f"{slug}: manifest.api.production.{key} must be an http or https URL")
    names = api.get("config_vars", [])
    prefix = str(api.get("config_vars_prefix") or slug.upper().replace("-", "_"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid(f"{slug}: manifest.api.config_vars must be a list of names")
    for name in names:
        if not re.fullmatch(r"[A-Z][0-9A-Z_]*", name) or not name.startswith(prefix + "_"):
            raise invalid(f"{slug}: config var {name} must be upper-case and start with {prefix}_")
    regions = api.get("regions")
    if not isinstance(regions, list) or not regions:
        raise invalid(f"{slug}: a list of supported regions is required")
    if not isinstance(api.get("requires", []), list):
        raise invalid(f"{slug}: manifest.api.requires must be a list")
    return manifest


def _check_plans(slug: str, plans: Any) -> list[dict[str, Any]]:
    if not isinstance(plans, list) or not plans:
        raise invalid(f"{slug}: plans must be a non-empty list")
    checked: list[dict[str, Any]] = []
    for plan in plans:
        name = plan.get("name") if isinstance(plan, dict) else None
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
            raise invalid(f"{slug}: every plan needs a name of lower-case letters, digits, dots and dashes")
        price = plan.get("price") or {"cents": 0, "unit": "month"}
        cents = price.get("cents") if isinstance(price, dict) else None
        if isinstance(cents, bool) or not isinstance(cents, int) or cents < 0:
            raise invalid(f"{slug}:{name}: price.cents must be a whole number of cents")
        state = plan.get("state", "ga")
        if state not in STATES:
            raise invalid(f"{slug}:{name}: state must be one of {', '.join(STATES)}")
        checked.append(
            {
                "name": name,
                "human_name": str(plan.get("human_name") or name),
                "state": state,
                "description": str(plan.get("description") or ""),
                "default": bool(plan.get("default")),
                "price": {"unit": "month", "contract": False, **price},
            }
        )
    if len({plan["name"] for plan in checked}) != len(checked):
        raise invalid(f"{slug}: plan names must differ")
    if not any(plan["default"] for plan in checked):
        checked[0]["default"] = True
    return checked


def resolve_plan(sandbox: Sandbox, reference: str) -> tuple[Service, Plan]:
    """The service and plan of ``service:plan``, ``service`` (its default plan) or a plan's id.

    Raises ApiError 404 as Heroku does for an unknown one.
    """
    row = sandbox.store.row("SELECT * FROM plans WHERE id = ? AND retired = 0", reference)
    if row is not None:
        return get_service(sandbox.store, row["service"]), Plan(**row)
    slug, _, name = reference.partition(":")
    service = find_service(sandbox.store, slug)
    if service is None:
        raise not_found("add-on service")
    for plan in plans_of(sandbox.store, service.slug):
        if plan.name == name or (not name and plan.is_default):
            return service, plan
    raise not_found("add-on plan")
