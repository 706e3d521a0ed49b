"""Acme LLM: what the wrong provider sells, and the state that all of its doors share."""

import secrets
from dataclasses import dataclass, field
from typing import Any

SLUG, PASSWORD, SALT, CLIENT_SECRET = "acme-llm", "p" * 32, "s" * 32, "c" * 32
OTHER_SLUG, OTHER_PASSWORD = "acme-sql", "q" * 32
PLANS = ("test", "large", "tiny")
REFUSED = ("large", "tiny")
CONFIG_VARS = ["ACME_LLM_URL", "ACME_LLM_KEY"]
REGIONS = ("amazon-web-services::us-east-1", "amazon-web-services::eu-west-1")
VENDOR = "application/vnd.heroku-addons+json; version=3"
API_ACCEPT = "application/vnd.heroku+json; version=3"
KNOWN_FIELDS = {"uuid", "name", "plan", "region", "callback_url", "oauth_grant", "options", "log_input_url"}
KNOWN_FIELDS |= {"log_drain_token", "heroku_id", "logplex_token"}


def right_manifest(base_url: str = "https://acme.example.com") -> dict[str, Any]:
    """The provider's manifest."""
    return {
        "id": SLUG,
        "name": "Acme LLM",
        "api": {
            "config_vars_prefix": "ACME_LLM",
            "config_vars": list(CONFIG_VARS),
            "password": PASSWORD,
            "sso_salt": SALT,
            "regions": ["us", "eu"],
            "requires": ["log_input", "syslog_drain", "many_per_app"],
            "production": {"base_url": f"{base_url}/heroku/resources", "sso_url": f"{base_url}/sso/login"},
            "test": {"base_url": "http://127.0.0.1:5000/heroku/resources"},
            "version": "3",
        },
    }


@dataclass
class Resource:
    """A resource, also after its end."""

    uuid: str
    id: Any
    plan: str
    first_plan: str
    code: str = ""
    state: str = "provisioned"
    busy: bool = False
    key: str = field(default_factory=lambda: secrets.token_hex(8))


class Acme:
    """Resources, sessions, and the faults the provider has."""

    def __init__(self) -> None:
        self.faults: frozenset[str] = frozenset()
        self.resources: dict[str, Resource] = {}
        self.sessions: dict[str, str] = {}

    def wrong(self, fault: str) -> bool:
        """Whether the provider has the fault."""
        return fault in self.faults

    def find(self, identity: str) -> Resource | None:
        """The resource with this uuid or id."""
        return self.resources.get(identity) or next(
            (each for each in self.resources.values() if str(each.id) == identity), None
        )
