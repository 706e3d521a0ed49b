"""What the advisories read from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AdvisoriesEnvironment(BaseSettings):
    """Where questions about security go."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_prefix="SECURITY_")

    contact: str = Field(
        default="security@addonworks.invalid", description="Address for reports and answers about security."
    )
    policy_url: str = Field(default="", description="Address of the disclosure policy, for security.txt.")
    encryption_url: str = Field(
        default="", description="Address of the OpenPGP key of the contact, for security.txt."
    )
