"""Who calls the Partner API: one Basic pair per add-on service, and the pair decides the service."""

import base64
import binascii
import hashlib
import hmac

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from provisioning.partner_secrets import partner_secrets
from provisioning.services import AddonService, all_services

REALM = 'Basic realm="Heroku Add-on Partner API", charset="UTF-8"'


def service_of_pair(user: str, password: str) -> AddonService | None:
    """The service whose id and one of whose valid passwords these are.

    Every service and every password is compared, by digests of one length, whatever matched before: the time taken
    tells neither which user exists nor how much of a password was right.
    """
    presented = hashlib.sha256(f"{user}\0{password}".encode()).digest()
    found: AddonService | None = None
    for slug, service in all_services().items():
        secrets = partner_secrets(slug)
        for valid in secrets.passwords:
            expected = hashlib.sha256(f"{secrets.manifest_id}\0{valid}".encode()).digest()
            if hmac.compare_digest(presented, expected):
                found = service
    return found


def basic_pair(header: str) -> tuple[str, str] | None:
    """User and password of an `Authorization` header, None when it is not well-formed Basic."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


class PartnerAuthentication(BaseAuthentication):
    """DRF's door to the above: `request.user` is the authenticated service, None when nobody is."""

    def authenticate(self, request: Request) -> tuple[AddonService, None] | None:
        """The calling service; None lets the permission answer 401."""
        pair = basic_pair(request.headers.get("Authorization", ""))
        service = service_of_pair(*pair) if pair else None
        return (service, None) if service else None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return REALM
