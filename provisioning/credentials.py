"""Keys and passwords issued to customers: their form, their life, and finding one that is presented."""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from provisioning import audit, rows
from provisioning.models import AuditEvent, Credential, Operation, Resource
from provisioning.rows import Statement
from provisioning.sealing import pepper_ring
from provisioning.services import GeneratedSecret, Unrecoverable, service_of
from provisioning.states import LIVE_STATES, CredentialState, OperationKind

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_LENGTH = 6
_RANDOM_LENGTH = 30


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def new_key(*, prefix: str, public_id: str) -> str:
    """A key `prefix` + public part (12) + 30 random base-62 characters (178 bits) + checksum (6)."""
    body = prefix + public_id + _base62(secrets.randbelow(62**_RANDOM_LENGTH), _RANDOM_LENGTH)
    return body + _checksum(body)


def key_public_id(key: str, *, prefix: str) -> str | None:
    """The public part of a key of our form, None when prefix, length or checksum are not right.

    The checksum turns a mistyped key away without a look-up, and lets scanners recognise a leaked one.
    """
    if (
        len(key) != len(prefix) + 12 + _RANDOM_LENGTH + _CHECKSUM_LENGTH
        or not key.startswith(prefix)
        or not key.isascii()
    ):
        return None
    body, checksum = key[:-_CHECKSUM_LENGTH], key[-_CHECKSUM_LENGTH:]
    if not hmac.compare_digest(_checksum(body), checksum):
        return None
    return key[len(prefix) : len(prefix) + 12]


def secret_digest(secret: str, *, version: int) -> bytes:
    """HMAC-SHA-256 of `secret` under the pepper `version`; KeyError when that pepper is gone."""
    return hmac.digest(pepper_ring().keys[version], secret.encode(), hashlib.sha256)


def issue_credential(operation: Operation) -> Credential:
    """The credential that `operation` issues, made on the first call; a repeat returns the same one.

    The one that was active before is retiring from now on, without a time yet: it stays valid until the rotation
    says when it ends.
    """
    with transaction.atomic(savepoint=False):
        # The lock keeps a deprovision from revoking everything just before this adds one.
        resource = Resource.objects.select_for_update(of=("self",)).get(pk=operation.resource_id)
        existing = rows.fetch(Credential, "operation_id = %s", [operation.pk])
        if existing:
            return existing
        if resource.state not in LIVE_STATES:
            raise Unrecoverable("the resource has ended")
        generated = service_of(resource).generate_secret(resource)
        if operation.kind != OperationKind.PROVISION:
            Credential.objects.filter(resource=resource, state=CredentialState.ACTIVE).update(
                state=CredentialState.RETIRING
            )
        credential, event = _issued(operation, resource, generated)
        rows.insert_all(credential, event)
        return credential


def first_credential(operation: Operation) -> tuple[Credential, AuditEvent]:
    """What `issue_credential` issues for a provision whose rows are yet to be written, to be written with them.

    `active_credential` knows it from then on.
    """
    resource = operation.resource
    credential, event = _issued(operation, resource, service_of(resource).generate_secret(resource))
    resource.issued = credential
    return credential, event


def _issued(
    operation: Operation, resource: Resource, generated: GeneratedSecret
) -> tuple[Credential, AuditEvent]:
    version = pepper_ring().current
    credential = Credential(
        resource=resource,
        operation=operation,
        public_id=generated.public_id,
        kind=generated.kind,
        digest=secret_digest(generated.secret, version=version),
        pepper_version=version,
    )
    credential.set_sealed(secret=generated.secret)
    event = audit.event(
        "credential.issued", resource=resource, operation=operation, credential=generated.public_id
    )
    return credential, event


def active_credential(resource: Resource) -> Credential | None:
    """The credential that the config vars show."""
    return resource.issued or rows.fetch(
        Credential, "resource_id = %s AND state = %s", [resource.pk, CredentialState.ACTIVE]
    )


def find_credential(presented: str, *, public_id: str) -> Credential | None:
    """The live credential whose whole secret is `presented`, compared in constant time; None for any mismatch."""
    found = (
        Credential.objects.select_related("resource__plan")
        .filter(public_id=public_id)
        .exclude(state=CredentialState.REVOKED)
        .first()
    )
    if found is None or found.pepper_version not in pepper_ring().keys:
        return None
    if not hmac.compare_digest(bytes(found.digest), secret_digest(presented, version=found.pepper_version)):
        return None
    if found.retires_at and found.retires_at <= timezone.now():
        return None
    return found


def retire_replaced(resource: Resource, *, at: datetime | None = None) -> None:
    """Let every replaced credential of `resource` end at `at` at the latest, or after the overlap when none is given.

    One that is to end earlier already keeps its time.
    """
    at = at or timezone.now() + timedelta(seconds=settings.CREDENTIAL_OVERLAP_SECONDS)
    Credential.objects.filter(
        Q(retires_at=None) | Q(retires_at__gt=at), resource=resource, state=CredentialState.RETIRING
    ).update(retires_at=at)


def revoke(resource: Resource, *, only_due: bool = False, operation: Operation | None = None) -> int:
    """Revoke the replaced credentials of `resource` (those whose time has come, with `only_due`); how many."""
    condition, values = "state = %s", list[Any]([CredentialState.RETIRING])
    if only_due:
        condition, values = f"{condition} AND retires_at <= %s", [*values, timezone.now()]
    return _tell(_revoke(condition, values, resource=resource, operation=operation))


def revoke_all(resource: Resource, *, operation: Operation | None = None) -> int:
    """Revoke every credential of `resource` at once and destroy the secrets; how many."""
    return _tell(revoke_all_untold(resource, operation=operation))


def revoke_all_untold(
    resource: Resource, *, operation: Operation | None = None, along: Sequence[Statement] = ()
) -> list[AuditEvent]:
    """`revoke_all` for a caller who writes the events himself, as one with the statements that come `along`."""
    return _revoke(
        "state <> %s", [CredentialState.REVOKED], resource=resource, operation=operation, along=along
    )


def restore_replaced(operation: Operation) -> None:
    """Undo an issue whose config vars never reached the app: the new credential ends, the former is active again.

    When the former one was revoked at once there is none to go back to: the new one stays, to be sent by the next try.
    """
    with transaction.atomic():
        resource = Resource.objects.select_for_update().get(pk=operation.resource_id)
        mine = Credential.objects.filter(operation=operation, state=CredentialState.ACTIVE)
        former = (
            Credential.objects.filter(resource=resource, state=CredentialState.RETIRING)
            .order_by("-created_at")
            .first()
        )
        if former is None or not mine.exists():
            return
        _tell(
            _revoke(
                "operation_id = %s AND state = %s",
                [operation.pk, CredentialState.ACTIVE],
                resource=resource,
                operation=operation,
            )
        )
        former.state, former.retires_at = CredentialState.ACTIVE, None
        former.save(update_fields=["state", "retires_at"])


def _revoke(
    condition: str,
    values: list[Any],
    *,
    resource: Resource,
    operation: Operation | None,
    along: Sequence[Statement] = (),
) -> list[AuditEvent]:
    """Revoke those of the resource's credentials for which `condition` holds: SQL with its `values`.

    Returns the event that tells of them, if there were any, yet to be written.
    """
    revoked = rows.execute(
        f"""
        UPDATE provisioning_credential SET state = %s, revoked_at = %s, secret = NULL
         WHERE resource_id = %s AND {condition}
        RETURNING public_id
        """,  # noqa: S608 - written in this module
        [CredentialState.REVOKED, timezone.now(), resource.pk, *values],
        along=along,
    )
    if not revoked:
        return []
    names = [public_id for (public_id,) in revoked]
    return [audit.event("credential.revoked", resource=resource, operation=operation, credentials=names)]


def _tell(events: list[AuditEvent]) -> int:
    for event in events:
        rows.insert(event)
    return sum(len(event.detail["credentials"]) for event in events)
