"""Rows as the Platform API shows them (field names after Heroku's published schema)."""

from __future__ import annotations

import json
import uuid
from typing import Any

from sandbox.clock import iso
from sandbox.records import (
    Addon,
    App,
    Attachment,
    Plan,
    Service,
    User,
    attachments_of,
    get_addon,
    get_app,
    get_plan,
    get_service,
    get_user,
)
from sandbox.state import DEVELOPER_EMAIL, DEVELOPER_ID, Sandbox

NAMESPACE = uuid.UUID("0d3c0f7e-4f5d-4c1b-8f5e-2f8e6f6f3c11")


def _named(kind: str, name: str) -> dict[str, str]:
    return {"id": str(uuid.uuid5(NAMESPACE, f"{kind}:{name}")), "name": name}


def account(user: User) -> dict[str, Any]:
    """``GET /account``."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "verified": True,
        "beta": False,
        "allow_tracking": False,
        "federated": False,
        "identity_provider": None,
        "last_login": None,
        "two_factor_authentication": False,
        "default_organization": None,
        "default_team": None,
        "created_at": iso(user.created_at),
        "updated_at": iso(user.created_at),
        "acknowledged_msa": True,
        "delinquent_at": None,
        "suspended_at": None,
        "sms_number": None,
        "country_of_residence": None,
        "acknowledged_msa_at": None,
        "italian_customer_terms": None,
        "italian_partner_terms": None,
    }


def app(row: App) -> dict[str, Any]:
    """An app."""
    return {
        "id": row.id,
        "name": row.name,
        "region": _named("region", row.region),
        "stack": _named("stack", "heroku-24"),
        "build_stack": _named("stack", "heroku-24"),
        "owner": {"id": DEVELOPER_ID, "email": DEVELOPER_EMAIL},
        "generation": _named("generation", "cedar"),
        "maintenance": False,
        "acm": False,
        "space": None,
        "team": None,
        "organization": None,
        "internal_routing": None,
        "archived_at": None,
        "buildpack_provided_description": None,
        "repo_size": None,
        "slug_size": None,
        "web_url": f"https://{row.name}.herokuapp.example/",
        "git_url": f"https://git.heroku.example/{row.name}.git",
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "released_at": iso(row.updated_at),
    }


def service(row: Service) -> dict[str, Any]:
    """An add-on service."""
    manifest = json.loads(row.manifest)
    return {
        "id": row.id,
        "name": row.slug,
        "human_name": row.name,
        "state": "ga",
        "cli_plugin_name": manifest.get("cli_plugin_name"),
        "supported_generations": [_named("generation", "cedar")],
        "supports_multiple_installations": "many_per_app" in row.requires,
        "supports_sharing": "attachable" in row.requires,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def plan(sandbox: Sandbox, row: Plan) -> dict[str, Any]:
    """A plan."""
    owner = get_service(sandbox.store, row.service)
    return {
        "id": row.id,
        "name": row.full_name,
        "human_name": row.human_name,
        "description": row.description,
        "addon_service": {"id": owner.id, "name": owner.slug},
        "price": json.loads(row.price),
        "default": bool(row.is_default),
        "space_default": False,
        "state": row.state,
        "visible": not row.retired,
        "compliance": None,
        "installable_inside_private_network": False,
        "installable_outside_private_network": True,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def addon(sandbox: Sandbox, row: Addon, *, expand: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An add-on; ``expand`` names members to give in full (the ``Accept-Expansion`` header)."""
    owner, its_app = get_service(sandbox.store, row.service), get_app(sandbox.store, row.app_id)
    its_plan = get_plan(sandbox.store, row.service, row.plan)
    price = json.loads(its_plan.price)
    shown: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "actions": [],
        "provider_id": row.provider_id,
        "addon_service": service(owner)
        if "addon_service" in expand
        else {"id": owner.id, "name": owner.slug},
        "plan": plan(sandbox, its_plan)
        if "plan" in expand
        else {"id": its_plan.id, "name": its_plan.full_name},
        "app": {"id": its_app.id, "name": its_app.name},
        "billing_entity": {"id": its_app.id, "name": its_app.name, "type": "app"},
        "billed_price": {
            "cents": price["cents"],
            "contract": bool(price.get("contract")),
            "unit": price["unit"],
        },
        "config_vars": config_names(sandbox, row),
        "web_url": web_url(sandbox, its_app, row),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }
    if row.message:
        # Asked for by the CLI with X-Heroku-Legacy-Provider-Messages; harmless otherwise.
        shown["provision_message"] = row.message
    return shown


def config_names(sandbox: Sandbox, row: Addon) -> list[str]:
    """The names of a resource's config vars on its own app, under its first attachment there."""
    service_row = get_service(sandbox.store, row.service)
    own = [
        attachment for attachment in attachments_of(sandbox.store, row.id) if attachment.app_id == row.app_id
    ]
    if not own:
        return []
    names = row.config_values
    return [service_row.name_under(own[0].name, name) for name in names]


def web_url(sandbox: Sandbox, on: App, row: Addon) -> str:
    """Where a customer opens the dashboard: the page that makes the SSO form post."""
    return f"{sandbox.public_url}/open/apps/{on.id}/addons/{row.id}"


def attachment(
    sandbox: Sandbox, row: Attachment, *, partner: bool = False, expand: frozenset[str] = frozenset()
) -> Any:
    """An attachment; the provider of a service that ``requires`` log_input sees its ``log_input_url``."""
    its_addon, on = get_addon(sandbox.store, row.addon_id), get_app(sandbox.store, row.app_id)
    if its_addon is None:
        raise LookupError(f"no add-on {row.addon_id}")
    owner = get_app(sandbox.store, its_addon.app_id)
    logs = partner and "log_input" in get_service(sandbox.store, its_addon.service).requires
    short: dict[str, Any] = {
        "id": its_addon.id,
        "name": its_addon.name,
        "app": {"id": owner.id, "name": owner.name},
    }
    if "addon:plan" in expand or "addon" in expand:
        its_plan = get_plan(sandbox.store, its_addon.service, its_addon.plan)
        short["plan"] = {"id": its_plan.id, "name": its_plan.full_name}
    if "addon" in expand:
        short = addon(sandbox, its_addon)
    return {
        "id": row.id,
        "name": row.name,
        "addon": short,
        "app": {"id": on.id, "name": on.name},
        "namespace": None,
        "web_url": web_url(sandbox, on, its_addon),
        "log_input_url": sandbox.log_input_url(row.log_token) if logs else None,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.created_at),
    }


def collaborator(on: App, row: dict[str, Any]) -> dict[str, Any]:
    """A collaborator, from the columns of ``apps.collaborators_of``."""
    user = {"id": row["user_id"], "email": row["email"], "federated": False}
    return {
        "id": row["id"],
        "app": {"id": on.id, "name": on.name},
        "user": user,
        "role": row["role"],
        "permissions": [],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["created_at"]),
    }


def release(sandbox: Sandbox, on: App, row: dict[str, Any], *, current: bool) -> dict[str, Any]:
    """A release."""
    user = get_user(sandbox.store, row["user_id"])
    return {
        "id": row["id"],
        "version": row["version"],
        "description": row["description"],
        "status": "succeeded",
        "current": current,
        "app": {"id": on.id, "name": on.name},
        "user": {"id": user.id, "email": user.email},
        "addon_plan_names": [],
        "artifacts": [],
        "slug": None,
        "output_stream_url": None,
        "eligible_for_rollback": True,
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["created_at"]),
    }


def config_list(values: dict[str, str]) -> list[dict[str, str]]:
    """An add-on's config as the config endpoint shows it."""
    return [{"name": name, "value": value} for name, value in values.items()]
