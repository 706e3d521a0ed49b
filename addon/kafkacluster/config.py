"""What the KafkaCluster service reads from the environment."""

from functools import cache
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaEnvironment(BaseSettings):
    """The first cluster that tenants are given a share of; further ones are rows that operators make."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_prefix="KAFKA_", hide_input_in_errors=True
    )

    brokers: str = Field(
        default="127.0.0.1:9092", description="Brokers that tenants connect to, `host:port`, comma separated."
    )
    security_protocol: Literal["SASL_SSL", "SASL_PLAINTEXT"] = Field(
        default="SASL_SSL", description="How tenants connect; without TLS on a developer's machine only."
    )
    admin_brokers: str = Field(
        default="",
        description="The cluster's listener for us, `host:port`, comma separated. Its logins are not SCRAM users, so "
        "that lost ones never lock us out. Needed in production.",
    )
    admin_security_protocol: Literal["SASL_SSL", "SASL_PLAINTEXT"] = Field(
        default="SASL_SSL", description="How we connect to KAFKA_ADMIN_BROKERS."
    )
    admin_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="SASL mechanism of our login."
    )
    admin_username: str = Field(
        default="operator", description="Our user on the cluster: one of its super users."
    )
    admin_password: SecretStr = Field(
        default=SecretStr(""), description="Password of KAFKA_ADMIN_USERNAME. Needed in production."
    )
    ca_file: str | None = Field(
        default=None,
        description="Certificates (PEM) of those who signed the brokers'; the system's without it.",
    )
    broker_count: int = Field(
        default=1,
        ge=1,
        description="How many brokers the cluster has when all are up. Quotas hold on each broker, so a plan's rate is "
        "divided by it.",
    )
    regions: str = Field(
        default="us,eu", description="Heroku's regions whose tenants come to this cluster, comma separated."
    )
    capacity_bytes_per_second: int = Field(
        default=100_000_000,
        ge=1,
        description="How much produce and consume rate together may be sold on this cluster.",
    )
    capacity_stored_bytes: int = Field(
        default=1_000_000_000_000, ge=1, description="How much stored data may be sold on this cluster."
    )
    metrics_urls: str = Field(
        default="",
        description="Address of each broker's Prometheus exporter, comma separated; without them rates are estimates.",
    )


@cache
def kafka_environment() -> KafkaEnvironment:
    """The environment, read once."""
    return KafkaEnvironment()
