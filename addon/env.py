"""Settings that come from the environment, typed and checked when the process starts.

Every variable is described here once; the example environment file and the settings reference follow
from these descriptions. Nothing secret has a default: on one machine the launcher makes the secrets,
in production the platform sets them.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import load_dotenv
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_ENV_FILE = ".data/local.env"


def load_env_file() -> None:
    """Fill in what the process environment leaves out from `.data/local.env`, written by `make run`.

    `ADDONWORKS_ENV_FILE` names another file; empty, it means none. A missing file is no error.
    """
    path = os.environ.get("ADDONWORKS_ENV_FILE", DEFAULT_ENV_FILE)
    if path:
        load_dotenv(Path(__file__).resolve().parent.parent / path, override=False)


class Environment(BaseSettings):
    """What the project as a whole reads from its environment. Services add their own classes beside their code."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    addonworks_env: Literal["development", "test", "production"] = Field(
        default="production",
        description="Where this process runs; anything but production may use plain http.",
    )
    secret_key: SecretStr = Field(description="Django's signing key: 50 or more random characters.")
    secret_key_fallbacks: SecretStr = Field(
        default=SecretStr(""),
        description="Former signing keys, comma separated, still accepted during a rotation.",
    )
    sealing_keys: SecretStr = Field(
        description="Keys that seal stored secrets: `version:base64 of 32 bytes`, comma separated, current one first."
    )
    peppers: SecretStr = Field(
        description="Keys of the digests of issued credentials, written like SEALING_KEYS, current one first."
    )
    database_url: SecretStr = Field(description="Postgres, as a postgres:// address.")
    web_threads: int = Field(
        default=2,
        ge=1,
        description="Threads of a web process that run views, each with a database connection. More only contend.",
    )
    redis_url: SecretStr = Field(description="Redis: Celery's broker, wake-ups and limits.")
    more_services: str = Field(
        default="",
        description="Classes of services beside the three, separated by spaces: for one that is being built.",
    )
    base_url: str = Field(description="Public origin of this provider, without a trailing slash.")
    allowed_hosts: str = Field(
        default="", description="Host names beside BASE_URL's that the web answers to, comma separated."
    )
    heroku_api_url: str = Field(
        default="https://api.heroku.com", description="Origin of Heroku's Platform API."
    )
    heroku_id_url: str = Field(
        default="https://id.heroku.com", description="Origin of Heroku's OAuth token endpoint."
    )
    heroku_dashboard_url: str = Field(
        default="https://dashboard.heroku.com", description="Where 'Back to Heroku' leads."
    )
    metrics_token: SecretStr | None = Field(
        default=None, description="Bearer token that may read /metrics; without it only this machine may."
    )
    log_format: Literal["json", "console"] = Field(default="json", description="How log lines are written.")
    log_level: str = Field(default="INFO", description="Least severe level that is logged.")
    sentry_dsn: SecretStr | None = Field(
        default=None,
        description="Where errors are reported to: the DSN of a Sentry project. Without it nowhere, but the log.",
    )
    heroku_slug_commit: str = Field(
        default="",
        description="The version that reports of errors name; set by Heroku where an app has dyno metadata.",
    )
    operation_lease_seconds: int = Field(
        default=60,
        ge=1,
        description="How long a worker may be silent before another takes over its operation.",
    )
    sweep_interval_seconds: float = Field(
        default=5.0, gt=0, description="How often the sweeper looks for operations nobody works on."
    )
    credential_overlap_seconds: int = Field(
        default=7200, ge=0, description="How long a replaced credential stays valid after a rotation."
    )
    fetch_also_allowed: str = Field(
        default="",
        description="`address:port` pairs, comma separated, that customers' web addresses may lead to although they "
        "are not public: for sites on a developer's own machine, never in production.",
    )
    data_retention_days: int = Field(
        default=30, ge=0, description="How long a removed resource's data is kept before it is purged."
    )

    @cached_property
    def hosts(self) -> list[str]:
        """Every host name that requests may name."""
        named = {host.strip() for host in self.allowed_hosts.split(",")} - {""}
        return sorted({urlsplit(self.base_url).hostname or "localhost"} | named)

    @property
    def secure(self) -> bool:
        """Whether customers reach this provider over https, which decides cookie names and flags."""
        return self.base_url.startswith("https://")


class PartnerSecrets(BaseSettings):
    """What Heroku and we share about one add-on service; read with the service's slug as prefix.

    Lists are comma separated, the current value first: during a rotation the former ones stay valid.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    manifest_id: str | None = Field(
        default=None,
        description="The service's id at Heroku when it differs from the slug (a staging copy, say).",
    )
    passwords: SecretStr = Field(
        description="Basic-auth passwords of the Partner API (manifest `api.password`)."
    )
    sso_salts: SecretStr = Field(description="SSO salts (manifest `api.sso_salt`).")
    oauth_client_secrets: SecretStr = Field(description="OAuth client secrets from the Partner Portal.")

    @classmethod
    def read(cls, slug: str) -> "PartnerSecrets":
        """The secrets of the service `slug`; pydantic's ValidationError names what is missing."""
        return cls(_env_prefix=f"{slug.upper().replace('-', '_')}_")  # type: ignore[call-arg]


def read_environment() -> Environment:
    """The process's environment; pydantic's ValidationError names each missing or unfit variable."""
    return Environment()  # type: ignore[call-arg]


def secret_list(secret: SecretStr) -> tuple[str, ...]:
    """The comma-separated parts of a secret, in order, without empty ones."""
    return tuple(part for part in (piece.strip() for piece in secret.get_secret_value().split(",")) if part)
