"""What the KafkaCluster service reads from the environment."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaEnvironment(BaseSettings):
    """The cluster that tenants are given a share of."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_prefix="KAFKA_")

    brokers: str = Field(
        default="127.0.0.1:9092", description="Brokers that tenants connect to, `host:port`, comma separated."
    )


@cache
def kafka_environment() -> KafkaEnvironment:
    """The environment, read once."""
    return KafkaEnvironment()
