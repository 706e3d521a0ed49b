"""`addon-manifest.json` as Heroku wants it pushed: the service's file, this provider's addresses, and the secrets.

Source of the form: Heroku's Dev Center article "Add-on Manifest".
"""

import copy
from typing import Any

from django.conf import settings

from provisioning.partner_secrets import partner_secrets
from provisioning.services import AddonService

SECRET_PLACEHOLDER = "set by manage.py manifest --with-secrets"  # noqa: S105 - says that none is here


def pushable_manifest(service: AddonService, *, with_secrets: bool) -> dict[str, Any]:
    """The manifest of a service, with this deployment's addresses; its secrets only when asked for."""
    secrets = partner_secrets(service.slug)
    manifest = copy.deepcopy(service.manifest)
    manifest["id"] = secrets.manifest_id
    api = manifest["api"]
    api["production"] = {
        "base_url": f"{settings.BASE_URL}/heroku/resources",
        "sso_url": f"{settings.BASE_URL}/sso/login",
    }
    api["password"] = secrets.passwords[0] if with_secrets else SECRET_PLACEHOLDER
    api["sso_salt"] = secrets.sso_salts[0] if with_secrets else SECRET_PLACEHOLDER
    return manifest


def registration(service: AddonService) -> dict[str, Any]:
    """All that Heroku's Partner Portal is told about a service: manifest with secrets, OAuth client secret, plans."""
    return {
        "manifest": pushable_manifest(service, with_secrets=True),
        "oauth_client_secret": partner_secrets(service.slug).oauth_client_secrets[0],
        "plans": [
            {
                "name": plan.slug,
                "human_name": plan.name,
                "description": plan.description,
                "price": {"cents": plan.price_cents, "unit": "month", "metered": bool(plan.metered)},
                "default": plan.default,
                "state": "ga",
            }
            for plan in service.plans
        ],
    }
