"""What people register services with: a services.json document, or an add-on manifest alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sandbox.errors import invalid

FIRST_PLAN = "test"
"""The plan that every add-on service at Heroku begins with."""


def entries_of(document: Any) -> list[dict[str, Any]]:
    """The services of a document as entries ``{"manifest", "plans", "oauth_client_secret"?}``.

    The document is ``{"services": [entry, …]}``, one entry, or a manifest by itself. In an entry ``base_url`` and
    ``sso_url`` replace the manifest's; plans may be mere names, and without any there is the plan ``test``. Raises
    ApiError 422 naming what is wrong.
    """
    if not isinstance(document, dict):
        raise invalid("the document must be a manifest, or an object with a list of services")
    if "services" in document:
        entries = document["services"]
    elif "manifest" in document:
        entries = [document]
    elif "api" in document:
        entries = [{"manifest": document}]
    else:
        raise invalid('the document must be a manifest with an "api" object, or {"services": [...]}')
    if not isinstance(entries, list):
        raise invalid("services must be a list")
    return [_complete(entry) for entry in entries]


def _complete(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise invalid("every service must be an object")
    plans = entry.get("plans", [FIRST_PLAN])
    if isinstance(plans, list):
        plans = [{"name": plan} if isinstance(plan, str) else plan for plan in plans]
    return {**entry, "plans": plans, "manifest": _placed(entry)}


def _placed(entry: dict[str, Any]) -> Any:
    """The manifest with the entry's addresses; what is no manifest is left to the check."""
    manifest, base_url = entry.get("manifest"), entry.get("base_url")
    sso_url = entry.get("sso_url")
    api = manifest.get("api") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or not isinstance(api, dict) or not (base_url or sso_url):
        return manifest
    production = api.get("production")
    addresses = dict(production) if isinstance(production, dict) else {}
    if base_url:
        addresses["base_url"] = base_url
    if sso_url or base_url:
        # A provider that was moved to this machine must not have its logins posted to where it really runs.
        addresses["sso_url"] = sso_url or _beside(str(base_url), str(addresses.get("sso_url") or ""))
    return {**manifest, "api": {**api, "production": addresses}}


def _beside(base_url: str, sso_url: str) -> str:
    """The path of ``sso_url`` at the origin of ``base_url``."""
    there = urlsplit(base_url)
    return urlunsplit((there.scheme, there.netloc, urlsplit(sso_url).path, "", ""))
