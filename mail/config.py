"""What the outbox reads from the environment."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class MailEnvironment(BaseSettings):
    """The SMTP server, its pace, and the provider's feed of what became of each mail."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    email_host: str = Field(
        default="",
        description="SMTP server. Needed in production; without it mails go to the worker's output.",
    )
    email_port: int = Field(default=587, ge=1, le=65535, description="Port of the SMTP server.")
    email_host_user: str = Field(default="", description="User of the SMTP server; empty for none.")
    email_host_password: SecretStr = Field(default=SecretStr(""), description="Password of that user.")
    email_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the connection is encrypted: starttls, tls from the start, or none.",
    )
    email_timeout: int = Field(
        default=20, ge=1, le=60, description="Seconds that the SMTP server may be silent."
    )
    default_from_email: str = Field(
        default="Addonworks <no-reply@addonworks.invalid>", description="Sender of every mail."
    )
    mail_per_second: float = Field(
        default=50.0, gt=0, description="Mails handed to the SMTP server per second, by all workers together."
    )
    mail_workers: int = Field(default=4, ge=1, le=64, description="How many workers send at the same time.")
    mail_lease_seconds: int = Field(
        default=120, ge=4, description="How long a sender may be silent before its mails are taken over."
    )
    mail_keep_trying_hours: int = Field(
        default=72, ge=1, description="A mail that nobody accepted for this long has failed."
    )
    mail_text_days: int = Field(
        default=90,
        ge=1,
        description="How long the words of a mail are kept; its address and fate stay longer.",
    )
    mail_retention_days: int = Field(
        default=400,
        ge=1,
        description="How long a mail's row is kept, unless an advisory needs it as evidence, and contacts that left.",
    )
    mail_events_url: str = Field(
        default="",
        description="Address of the provider's events in Mailgun's form (https://api.mailgun.net/v3/<domain>/events).",
    )
    mail_events_key: SecretStr = Field(default=SecretStr(""), description="API key for MAIL_EVENTS_URL.")
    mail_webhook_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Signing keys of the provider's webhook (/mail/events), comma separated, current one first.",
    )
    mail_events_lag_seconds: int = Field(
        default=60, ge=0, description="How late an event may appear in the provider's feed."
    )
