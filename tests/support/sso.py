"""Heroku's login form, for tests: computed here from the formulas, not by the code under test."""

import hashlib
import time
from typing import Any

from django.test import Client

from provisioning.models import Resource
from provisioning.partner_secrets import partner_secrets

USER_ID = "b2d7e0a4-6c3f-4f0a-8f55-91c0de34aa10"
EMAIL = "ada@example.com"


def sha1(*parts: str) -> str:
    """Hex digest of the parts joined by colons."""
    return hashlib.sha1(":".join(parts).encode()).hexdigest()  # noqa: S324 - Heroku's formula


def sha256(*parts: str) -> str:
    """Hex digest of the parts joined by colons."""
    return hashlib.sha256(":".join(parts).encode()).hexdigest()


def login_form(
    resource: Resource,
    *,
    salt: str | None = None,
    at: float | None = None,
    user_id: str = USER_ID,
    email: str = EMAIL,
    **changes: Any,
) -> dict[str, str]:
    """What Heroku posts for this person now; `changes` set fields after hashing, None removes one."""
    salt = salt if salt is not None else partner_secrets(resource.service).sso_salts[0]
    uuid, timestamp = str(resource.uuid), str(int(time.time() if at is None else at))
    form: dict[str, Any] = {
        "resource_id": uuid,
        "timestamp": timestamp,
        "user_scoped_resource_token": sha256(uuid, salt, timestamp, user_id, email),
        "resource_token": sha1(uuid, salt, timestamp),
        "user_id": user_id,
        "email": email,
        "app": "billing-app",
        "context_app": "sharp-mountain-4005",
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}


def log_in(client: Client, resource: Resource, **changes: Any) -> Any:
    """Post the form as Heroku's page would."""
    return client.post("/sso/login", login_form(resource, **changes))


def dashboard_path(resource: Resource) -> str:
    """The resource's overview."""
    return f"/{resource.service}/{resource.uuid}/"
