"""Single sign-on as Heroku does it: the parameters of the form a customer's browser posts to the provider."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from sandbox.records import Addon, App, User, get_app, get_service
from sandbox.state import Sandbox


def resource_token(*, resource_id: str, salt: str, timestamp: str) -> str:
    """SHA-1 hex digest over resource, salt and time (Dev Center "Add-on Single Sign-on", 2024)."""
    return hashlib.sha1(f"{resource_id}:{salt}:{timestamp}".encode()).hexdigest()  # noqa: S324 - Heroku's formula


def user_scoped_resource_token(
    *, resource_id: str, salt: str, timestamp: str, user_id: str, email: str
) -> str:
    """SHA-256 hex digest that also covers the person (Dev Center "Add-on Single Sign-on", 2026)."""
    return hashlib.sha256(f"{resource_id}:{salt}:{timestamp}:{user_id}:{email}".encode()).hexdigest()


def parameters(sandbox: Sandbox, *, addon: Addon, user: User, context_app: App) -> dict[str, Any]:
    """``{method, action, params}`` for opening a resource's dashboard as ``user`` from ``context_app``.

    The time is real time, not the sandbox's: the provider compares it with its own clock.
    """
    api = get_service(sandbox.store, addon.service).api
    stamp, salt = str(int(time.time())), str(api["sso_salt"])
    params = {
        "resource_id": addon.id,
        "timestamp": stamp,
        "user_scoped_resource_token": user_scoped_resource_token(
            resource_id=addon.id, salt=salt, timestamp=stamp, user_id=user.id, email=user.email
        ),
        "resource_token": resource_token(resource_id=addon.id, salt=salt, timestamp=stamp),
        "user_id": user.id,
        "email": user.email,
        "app": get_app(sandbox.store, addon.app_id).name,
        "context_app": context_app.name,
    }
    sandbox.record("sso", f"Dashboard opened by {user.email} from {context_app.name}", addon_id=addon.id)
    return {"method": "post", "action": api["production"]["sso_url"], "params": params}
