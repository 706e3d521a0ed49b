"""What the inference service reads from the environment."""

from datetime import timedelta
from functools import cache

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class UpstreamSettings(BaseModel):
    """A server that models run at.

    `url` is what `/chat/completions` or `/rerank` is appended to. `model` is the model's name there, in place of the
    catalogue's. `stand_in` names a model that is not the plan's own: answers say so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^\s]+[^/\s]$")
    api_key: SecretStr | None = None
    model: str | None = None
    stand_in: str | None = None


class InferenceEnvironment(BaseSettings):
    """What the inference service reads: the API's public origins, one for each region, the upstreams, the retention.

    A region without an origin of its own is served by BASE_URL.
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_prefix="INFERENCE_", hide_input_in_errors=True
    )

    url_us: str | None = Field(default=None, description="Origin of the inference API in the region us.")
    url_eu: str | None = Field(default=None, description="Origin of the inference API in the region eu.")
    upstreams: dict[str, UpstreamSettings] = Field(
        default={},
        description="Where models run, as JSON: by `model@region`, `model`, `chat@region`, `chat`, `rerank`, an object "
        "of `url`, `api_key`, `model`, `stand_in`; see docs/inference.md.",
    )
    usage_retention_days: int = Field(
        default=90,
        ge=32,
        description="How long the row of a single request is kept; totals outlive it. At least a month, to bill it.",
    )


@cache
def _environment() -> InferenceEnvironment:
    return InferenceEnvironment()


def inference_url(region: str) -> str:
    """The bare origin (no path, no trailing slash) that customers of `region` append `/v1/…` to."""
    origin: str | None = getattr(_environment(), f"url_{region}", None)
    return (origin or settings.BASE_URL).rstrip("/")


def upstream_settings() -> dict[str, UpstreamSettings]:
    """The upstreams by the models they serve; pydantic's ValidationError names what is wrong."""
    return _environment().upstreams


def usage_retention() -> timedelta:
    """How long rows of single requests are kept."""
    return timedelta(days=_environment().usage_retention_days)
