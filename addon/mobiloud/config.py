"""What the MobiLoud service reads from the environment."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class MobiLoudEnvironment(BaseSettings):
    """The app-facing address, and what customers are told."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_prefix="MOBILOUD_", hide_input_in_errors=True
    )

    config_requests_per_minute: int = Field(
        default=600,
        ge=1,
        description="How often one network address may load one app's configuration in a minute.",
    )


class AppetizeEnvironment(BaseSettings):
    """The live iOS preview by Appetize.io; without a key the dashboard draws the preview itself."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_prefix="APPETIZE_", hide_input_in_errors=True
    )

    public_key: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]*$",
        description="Public key of the preview shell's build at Appetize.io.",
    )
    url: str = Field(
        default="https://appetize.io",
        pattern=r"^https?://[A-Za-z0-9.:-]+$",
        description="Origin that serves Appetize's embed.",
    )


@cache
def mobiloud_environment() -> MobiLoudEnvironment:
    """The environment, read once."""
    return MobiLoudEnvironment()


@cache
def appetize_environment() -> AppetizeEnvironment:
    """The environment, read once."""
    return AppetizeEnvironment()
