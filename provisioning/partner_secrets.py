"""What Heroku and we share about each add-on service. Every list has the current value first; all of it is valid."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class PartnerSecretLists:
    """One service's shared secrets, and its id at Heroku."""

    manifest_id: str
    passwords: tuple[str, ...]
    sso_salts: tuple[str, ...]
    oauth_client_secrets: tuple[str, ...]


def partner_secrets(service: str) -> PartnerSecretLists:
    """The shared secrets of the service with this slug; KeyError for one we do not sell."""
    secrets = settings.PARTNER_SECRETS[service]

    def parts(value: str) -> tuple[str, ...]:
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)

    return PartnerSecretLists(
        manifest_id=secrets.manifest_id or service,
        passwords=parts(secrets.passwords.get_secret_value()),
        sso_salts=parts(secrets.sso_salts.get_secret_value()),
        oauth_client_secrets=parts(secrets.oauth_client_secrets.get_secret_value()),
    )
