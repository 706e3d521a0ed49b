"""What the inference service reads from the environment."""

from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Literal, Self

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Discriminator, Field, SecretStr, Tag, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_URL = r"^https?://[^\s]+[^/\s]$"


class _Settings(BaseModel):
    """What every upstream may say: its own name for the model, and what stands in for the plan's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    model: str | None = None
    stand_in: str | None = None


class OpenAISettings(_Settings):
    """An OpenAI-compatible server. `url` is what `/chat/completions` or `/rerank` is appended to."""

    kind: Literal["openai"] = "openai"
    url: str = Field(pattern=_URL)
    api_key: SecretStr | None = None


class BedrockSettings(_Settings):
    """AWS Bedrock in one of AWS's regions, by a Bedrock API key or an access key. `url` replaces AWS's endpoints."""

    kind: Literal["bedrock"]
    aws_region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    api_key: SecretStr | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    url: str | None = Field(default=None, pattern=_URL)

    @model_validator(mode="after")
    def _has_one_way_in(self) -> Self:
        signed = self.access_key_id is not None and self.secret_access_key is not None
        if signed == (self.api_key is not None):
            raise ValueError("give either api_key, or access_key_id with secret_access_key")
        return self


def _kind(settings: Any) -> str:
    found = settings.get("kind", "openai") if isinstance(settings, dict) else settings.kind
    return str(found)


UpstreamSettings = OpenAISettings | BedrockSettings
_Upstream = Annotated[
    Annotated[OpenAISettings, Tag("openai")] | Annotated[BedrockSettings, Tag("bedrock")],
    Discriminator(_kind),
]


class InferenceEnvironment(BaseSettings):
    """What the inference service reads: the API's public origins, one for each region, the upstreams, the retention.

    A region without an origin of its own is served by BASE_URL.
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_prefix="INFERENCE_", hide_input_in_errors=True
    )

    url_us: str | None = Field(default=None, description="Origin of the inference API in the region us.")
    url_eu: str | None = Field(default=None, description="Origin of the inference API in the region eu.")
    upstreams: dict[str, _Upstream] = Field(
        default={},
        description="Where models run, as JSON: by `model@region`, `model`, `chat@region`, `chat`, `rerank`, an object "
        "that names an OpenAI-compatible server or AWS Bedrock; see docs/inference.md.",
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
