"""Secrets at rest: AES-256-GCM under versioned keys, bound to the table, row and field they stand in.

A sealed value is `version (1 byte) ‖ nonce (12 bytes) ‖ ciphertext and tag`. Its associated data names its place, so
a value copied to another row or column does not open.
"""

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealingError(Exception):
    """A sealed value cannot be opened: its key is unknown, or it was altered or moved. Holds no secret."""


class KeyRing:
    """Versioned 32-byte keys; the first is the current one, the others only open what they once sealed."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Read `version:base64` entries; ValueError (without the key) when one does not fit."""
        self.keys: dict[int, bytes] = {}
        for entry in entries:
            label, _, encoded = entry.partition(":")
            try:
                version, key = int(label), base64.b64decode(encoded, validate=True)
            except (ValueError, binascii.Error):
                raise ValueError("a key is written `version:base64 of 32 bytes`") from None
            if not 0 < version < 256 or len(key) != _KEY_BYTES or version in self.keys:
                raise ValueError("key versions are distinct numbers from 1 to 255, and keys have 32 bytes")
            self.keys[version] = key
        if not self.keys:
            raise ValueError("at least one key is needed")
        self.current = next(iter(self.keys))


@cache
def _ring(entries: tuple[str, ...]) -> KeyRing:
    return KeyRing(entries)


def sealing_ring() -> KeyRing:
    """The keys of `SEALING_KEYS`."""
    return _ring(tuple(settings.SEALING_KEYS))


def pepper_ring() -> KeyRing:
    """The keys of `PEPPERS`."""
    return _ring(tuple(settings.PEPPERS))


def seal(plaintext: str, *, place: str) -> bytes:
    """`plaintext` sealed under the current key for `place` (`table:row:field`)."""
    ring = sealing_ring()
    nonce = os.urandom(_NONCE_BYTES)
    body = AESGCM(ring.keys[ring.current]).encrypt(nonce, plaintext.encode(), place.encode())
    return bytes([ring.current]) + nonce + body


def unseal(sealed: bytes, *, place: str) -> str:
    """The plaintext of a sealed value; SealingError when the key is unknown or the value is not of this place."""
    value = bytes(sealed)
    key = sealing_ring().keys.get(value[0]) if value else None
    if key is None:
        raise SealingError(f"no sealing key of that version for {place}")
    try:
        return (
            AESGCM(key)
            .decrypt(value[1 : 1 + _NONCE_BYTES], value[1 + _NONCE_BYTES :], place.encode())
            .decode()
        )
    except (InvalidTag, ValueError):  # ValueError: shorter than any sealed value
        raise SealingError(f"a sealed value does not belong to {place}") from None


class SealedField(models.BinaryField):  # type: ignore[type-arg]
    """A column of sealed text. Rows that have one derive from `SealingModel`; `reseal` finds them by this class."""

    def __init__(self, **options: Any) -> None:
        """A nullable, never editable binary column."""
        super().__init__(**{**options, "null": True, "editable": False})


class SealingModel(models.Model):
    """A row with sealed columns, which `sealing_id` names: something known before the row is first saved."""

    class Meta:
        abstract = True

    @property
    def sealing_id(self) -> str:
        """What names this row in the associated data; never changes."""
        return str(self.pk)

    def _place(self, field: str) -> str:
        return f"{self._meta.db_table}:{self.sealing_id}:{field}"

    def set_sealed(self, **values: str | None) -> None:
        """Seal each value into its column (None empties it) without saving the row."""
        for field, value in values.items():
            setattr(self, field, None if value is None else seal(value, place=self._place(field)))

    def get_sealed(self, field: str) -> str | None:
        """The plaintext of a column, None when it is empty; SealingError when it does not open."""
        sealed = getattr(self, field)
        return None if sealed is None else unseal(sealed, place=self._place(field))


def sealed_columns() -> Mapping[type[SealingModel], list[str]]:
    """Every model with sealed columns, and those columns' names."""
    from django.apps import apps

    found: dict[type[SealingModel], list[str]] = {}
    for model in apps.get_models():
        names = [field.name for field in model._meta.concrete_fields if isinstance(field, SealedField)]
        if names and issubclass(model, SealingModel):
            found[model] = names
    return found


def reseal_all(*, batch: int = 500, dry_run: bool = False) -> int:
    """Seal every value that stands under a former key anew under the current one; returns how many were moved.

    With `dry_run` nothing is moved, and the number is how many would be. May run while the service does, and again
    after a crash: each row is locked for its own move only.
    """
    from django.db import transaction

    current, moved = sealing_ring().current, 0
    for model, columns in sealed_columns().items():
        manager = model._default_manager
        last: Any = None
        while True:
            query = manager.order_by("pk") if last is None else manager.filter(pk__gt=last).order_by("pk")
            keys = list(query.values_list("pk", flat=True)[:batch])
            if not keys:
                break
            last = keys[-1]
            for key in keys:
                with transaction.atomic():
                    row = manager.select_for_update().get(pk=key)
                    stale = [c for c in columns if (value := getattr(row, c)) and bytes(value)[0] != current]
                    if stale and not dry_run:
                        row.set_sealed(**{column: row.get_sealed(column) for column in stale})
                        row.save(update_fields=stale)
                    moved += len(stale)
    return moved
