"""The provider under test: where it is, what is shared with it, and how patient the suite is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """One add-on service at one provider. All times are in seconds.

    `base_url` and `sso_url` are the manifest's, without a trailing slash; `slug` and `password` are the Basic pair.
    """

    base_url: str
    slug: str
    password: str
    sso_url: str = ""
    sso_salt: str = ""
    plan: str = "test"
    other_plan: str = ""
    """A plan that a resource on `plan` can move to."""
    refused_plan_change: tuple[str, str] | None = None
    """A move that the provider has to refuse: from, to."""
    other_service: tuple[str, str] | None = None
    """The Basic pair of another service of the same provider."""
    region: str = "amazon-web-services::us-east-1"
    asynchronous: bool = False
    manifest: Mapping[str, Any] | None = None
    client_secret: str = ""
    """The OAuth client secret the provider sends; empty takes any."""
    api_url: str = "https://api.heroku.com"
    """The Platform API as the provider sees it; the `callback_url` of a provision request begins with it."""
    answer_goal: float = 3.0
    answer_limit: float = 25.0
    flow_seconds: float = 60.0
    """How long the calls that follow an answer may take to come."""
    watch_seconds: float = 3.0
    """How long to look for calls that must not come."""
    processing_seconds: float = 1.5
    """How long Heroku takes, in one check, to work on an answer before its API knows the resource."""
    burst: int = 32
    """How many requests at once."""

    @property
    def api(self) -> Mapping[str, Any]:
        """The manifest's `api` part, empty without a manifest."""
        found = (self.manifest or {}).get("api")
        return found if isinstance(found, Mapping) else {}

    @property
    def requires(self) -> tuple[str, ...]:
        """The manifest's `api.requires`."""
        found = self.api.get("requires")
        return tuple(str(name) for name in found) if isinstance(found, list) else ()

    @property
    def config_prefix(self) -> str:
        """What every config var's name begins with, by the manifest or by Heroku's default."""
        return str(self.api.get("config_vars_prefix") or self.slug.upper().replace("-", "_"))
