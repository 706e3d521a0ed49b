"""What the operator's door reads from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OperatorsEnvironment(BaseSettings):
    """The sessions of operators."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_prefix="OPERATOR_")

    session_idle_seconds: int = Field(
        default=3_600,
        ge=60,
        description="An operator's session ends after this long without a page being opened.",
    )
    session_absolute_seconds: int = Field(
        default=43_200,
        ge=60,
        description="An operator's session ends this long after the sign-in in any case.",
    )
