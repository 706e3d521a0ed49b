"""Manifests: without secrets in the repository, whole when they are pushed, and as Heroku's checker wants them."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from pydantic import SecretStr
from pytest_django import Settings

from addon.env import PartnerSecrets
from provisioning.manifests import pushable_manifest
from provisioning.partner_secrets import partner_secrets
from provisioning.services import AddonService, all_services

SERVICES = list(all_services().values())
each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.slug)


def printed(*arguments: str) -> Any:
    """What a command prints, as JSON."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return json.loads(out.getvalue())


@each_service
def test_the_file_in_the_repository_holds_no_secret(service: AddonService) -> None:
    text = (service.folder / "addon-manifest.json").read_text()
    assert not re.search(r"\"(password|sso_salt|\w*secret\w*|\w*token\w*)\"", text)
    secrets = partner_secrets(service.slug)
    for secret in (*secrets.passwords, *secrets.sso_salts, *secrets.oauth_client_secrets):
        assert secret not in text


def test_the_manifest_at_the_root_is_the_inference_service_s() -> None:
    root = Path(django_settings.BASE_DIR) / "addon-manifest.json"
    assert json.loads(root.read_text()) == all_services()["inference"].manifest


@each_service
def test_a_manifest_is_printed_with_secrets_only_when_asked_for(service: AddonService) -> None:
    secrets = partner_secrets(service.slug)
    values = (*secrets.passwords, *secrets.sso_salts, *secrets.oauth_client_secrets)
    plain = printed("manifest", service.slug)
    assert not [value for value in values if value in json.dumps(plain)]
    whole = printed("manifest", service.slug, "--with-secrets")
    assert whole["api"]["password"] == secrets.passwords[0]
    assert whole["api"]["sso_salt"] == secrets.sso_salts[0]
    assert secrets.oauth_client_secrets[0] not in json.dumps(whole)


@each_service
def test_the_addresses_are_this_deployment_s(service: AddonService, settings: Settings) -> None:
    settings.BASE_URL = "https://addons.example.org"
    production = pushable_manifest(service, with_secrets=False)["api"]["production"]
    assert production == {
        "base_url": "https://addons.example.org/heroku/resources",
        "sso_url": "https://addons.example.org/sso/login",
    }


def test_the_current_secret_is_pushed_during_a_rotation(settings: Settings) -> None:
    settings.PARTNER_SECRETS = {
        **django_settings.PARTNER_SECRETS,
        "inference": PartnerSecrets(
            manifest_id="inference-staging",
            passwords=SecretStr("new-password-0123456789,former-password-0123456789"),
            sso_salts=SecretStr("new-salt-0123456789,former-salt-0123456789"),
            oauth_client_secrets=SecretStr("o" * 20),
        ),
    }
    manifest = pushable_manifest(all_services()["inference"], with_secrets=True)
    assert manifest["id"] == "inference-staging"
    assert manifest["api"]["password"] == "new-password-0123456789"
    assert manifest["api"]["sso_salt"] == "new-salt-0123456789"
    assert all_services()["inference"].manifest["id"] == "inference"


@each_service
def test_a_pushable_manifest_passes_the_checks_of_heroku_s_checker(
    service: AddonService, settings: Settings
) -> None:
    """Those of the checker's manifest checks that the third version of the API still knows."""
    settings.BASE_URL = "https://addons.example.org"
    manifest = pushable_manifest(service, with_secrets=True)
    assert isinstance(manifest["id"], str)
    assert manifest["id"]
    api = manifest["api"]
    assert isinstance(api, dict)
    assert isinstance(api["regions"], list)
    assert {"us", "*"} & set(api["regions"])
    assert set(api["regions"]) <= {"us", "eu", "frankfurt", "oregon", "tokyo", "virginia", "*"}
    assert isinstance(api["password"], str)
    assert api["password"]
    assert api["sso_salt"]
    assert "username" not in api
    for url in api["production"].values():
        assert url.startswith("https:")
        assert urlsplit(url).hostname
    assert isinstance(api["config_vars"], list)
    for name in api["config_vars"]:
        assert re.fullmatch(r"[A-Z][0-9A-Z_]+", name)
        assert name.startswith(f"{api['config_vars_prefix']}_")
        assert not name.startswith("HEROKU_")
    assert str(api["version"]) == "3"


@each_service
def test_the_file_and_the_code_are_in_step(service: AddonService) -> None:
    api = service.manifest["api"]
    assert service.manifest["id"] == service.slug
    assert api["config_vars"] == list(service.config_var_names)
    assert api["config_vars_prefix"] == service.config_prefix
    sold = {region for plan in service.plans for region in plan.regions}
    assert sold <= set(api["regions"])
    assert {"many_per_app", "attachable"} <= set(api["requires"])


def test_the_registration_tells_all_that_a_partner_enters_in_the_portal() -> None:
    told = printed("registration")["services"]
    assert [entry["manifest"]["id"] for entry in told] == [service.slug for service in SERVICES]
    for entry, service in zip(told, SERVICES, strict=True):
        secrets = partner_secrets(service.slug)
        assert entry["manifest"]["api"]["password"] == secrets.passwords[0]
        assert entry["oauth_client_secret"] == secrets.oauth_client_secrets[0]
        assert [plan["name"] for plan in entry["plans"]] == [plan.slug for plan in service.plans]
        assert [plan["price"]["cents"] for plan in entry["plans"]] == [
            plan.price_cents for plan in service.plans
        ]
        assert sum(plan["default"] for plan in entry["plans"]) == 1
