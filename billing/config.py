"""What billing reads from the environment."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BillingEnvironment(BaseSettings):
    """The usage ledger's retention, and when a month may be closed."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_prefix="BILLING_")

    usage_retention_months: int = Field(
        default=13,
        ge=2,
        description="Whole months before the present one whose usage records are kept; totals per day outlive them.",
    )
    close_grace_hours: int = Field(
        default=24,
        ge=0,
        description="How long after its end a month can be closed at the earliest: late usage has come by then.",
    )


@cache
def billing_environment() -> BillingEnvironment:
    """The settings, read once."""
    return BillingEnvironment()
