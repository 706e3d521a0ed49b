"""What the customer's door reads from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SSOEnvironment(BaseSettings):
    """Single sign-on and the sessions of the dashboards."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_prefix="SSO_")

    accept_legacy: bool = Field(
        default=False,
        description="Also accept the deprecated v1 token, for Heroku's old add-on checker only.",
    )
    window_seconds: int = Field(
        default=300, ge=1, description="How far a login's timestamp may lie in the past or in the future."
    )
    session_idle_seconds: int = Field(
        default=5_400,
        ge=60,
        description="A dashboard session ends after this long without a page being opened.",
    )
    session_absolute_seconds: int = Field(
        default=43_200, ge=60, description="A dashboard session ends this long after the login in any case."
    )
