"""What the inference service reads from the environment."""

from functools import cache

from django.conf import settings
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferenceEnvironment(BaseSettings):
    """Public origins of the inference API, one for each region; without one, BASE_URL serves it."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_prefix="INFERENCE_")

    url_us: str | None = Field(default=None, description="Origin of the inference API in the region us.")
    url_eu: str | None = Field(default=None, description="Origin of the inference API in the region eu.")


@cache
def _environment() -> InferenceEnvironment:
    return InferenceEnvironment()


def inference_url(region: str) -> str:
    """The bare origin (no path, no trailing slash) that customers of `region` append `/v1/…` to."""
    origin: str | None = getattr(_environment(), f"url_{region}", None)
    return (origin or settings.BASE_URL).rstrip("/")
