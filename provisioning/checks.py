"""System checks: what has to be right before a process of this provider does anything."""

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from provisioning.partner_secrets import partner_secrets
from provisioning.sealing import KeyRing
from provisioning.services import AddonService, all_services

_CONFIG_VAR = re.compile(r"^[A-Z][0-9A-Z_]+$")
_SECRET_SHORTEST = 16


@register(Tags.security)
def check_keys(**_: Any) -> list[CheckMessage]:
    """The key rings can be read."""
    found: list[CheckMessage] = []
    for name, entries in (("SEALING_KEYS", settings.SEALING_KEYS), ("PEPPERS", settings.PEPPERS)):
        try:
            KeyRing(entries)
        except ValueError as error:
            found.append(
                Error(f"{name}: {error}.", hint="1:$(openssl rand -base64 32)", id="provisioning.E001")
            )
    return found


@register(Tags.compatibility)
def check_services(**_: Any) -> list[CheckMessage]:
    """Each service's plans, manifest and shared secrets fit together."""
    found: list[CheckMessage] = []
    for slug, service in all_services().items():
        found += [Error(f"{slug}: {problem}", id="provisioning.E002") for problem in _problems(service)]
    return found


def _problems(service: AddonService) -> list[str]:
    problems = []
    try:
        _ = service.plans
    except (ValueError, TypeError, KeyError, OSError) as error:
        problems.append(f"plans.toml: {error}")
    try:
        api = service.manifest["api"]
        if api["config_vars"] != list(service.config_var_names):
            problems.append("the manifest's config_vars are not those of the code")
        if api["config_vars_prefix"] != service.config_prefix:
            problems.append("the manifest's config_vars_prefix is not that of the code")
        if service.manifest["id"] != service.slug:
            problems.append("the manifest's id is not the slug")
        if not api["regions"]:
            problems.append("the manifest names no region")
        if {"password", "sso_salt"} & api.keys():
            problems.append("the manifest in the folder must not hold secrets")
    except (ValueError, KeyError, OSError) as error:
        problems.append(f"addon-manifest.json: {error!r}")
    problems += [
        f"config var {name} does not begin with {service.config_prefix}_"
        for name in service.config_var_names
        if not _CONFIG_VAR.match(name) or not name.startswith(f"{service.config_prefix}_")
    ]
    secrets = partner_secrets(service.slug)
    for label, values in (
        ("PASSWORDS", secrets.passwords),
        ("SSO_SALTS", secrets.sso_salts),
        ("OAUTH_CLIENT_SECRETS", secrets.oauth_client_secrets),
    ):
        if not values or any(len(value) < _SECRET_SHORTEST for value in values):
            problems.append(f"{label} needs values of at least {_SECRET_SHORTEST} characters")
    return problems
