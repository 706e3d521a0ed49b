"""What we hold about one customer's add-on: handing it out, and erasing it before its retention ends.

What belongs to a resource is found by the foreign keys, so a table that is added is exported without a word. Rows that
hang on the resource with CASCADE (sessions, contacts, calls to Heroku) are personal and go when it is erased; rows with
PROTECT (plan periods, statements, metering, audit) are kept for as long as the law wants bills to be, and a service
deletes what its customers have entered (`AddonService.erase_data`).
"""

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models, transaction

from provisioning import audit
from provisioning.locks import lock_resource
from provisioning.masking import mask_value
from provisioning.models import Resource
from provisioning.sealing import SealedField
from provisioning.services import Refusal, service_of
from provisioning.states import ResourceState

_NOT_THEIRS = frozenset({"operators"})
"""Apps whose rows tell of us."""
_INNARDS = frozenset({"digest", "token_digest", "pepper_version", "lease_token", "lease_until", "woken_at"})
_CHUNK = 1000


@dataclass(frozen=True)
class Row:
    """One row: its table as `app.Model`, and its columns as JSON values, without secrets."""

    table: str
    values: dict[str, Any]


def export(resource: Resource) -> Iterator[Row]:
    """Every row of the customer's, the resource's own first; never held in memory all at once.

    Sealed values, digests and our own notes (rows that are `is_internal`, or not `told`) are left out. Call it in a
    transaction with a snapshot (REPEATABLE READ) where rows must fit each other to the last one.
    """
    yield Row("provisioning.Resource", _values(resource))
    waiting: list[tuple[type[models.Model], list[Any]]] = [(Resource, [resource.pk])]
    told: set[type[models.Model]] = {Resource}
    while waiting:
        parent, keys = waiting.pop(0)
        # By its shortest way alone, or rows that hang on two others would be told twice.
        for child, field in [pair for pair in _children(parent) if pair[0] not in told]:
            told.add(child)
            found: list[Any] = []
            has_children = bool(_children(child))
            for row in _rows(child, field, keys):
                if has_children:
                    found.append(row.pk)
                yield Row(child._meta.label, _values(row))
            if found:
                waiting.append((child, found))


def count(resource: Resource) -> Counter[str]:
    """How many rows of each table `export` tells."""
    return Counter(row.table for row in export(resource))


@transaction.atomic
def erase(resource_id: int, *, actor: str, reason: str = "") -> Counter[str]:
    """Delete now what the retention would delete later, and what names people; how many rows of which table.

    The resource's row stays as the tombstone it is. Refusal unless the resource is removed: Heroku may not be left with
    an add-on that has lost its data. Safe to repeat.
    """
    resource = lock_resource(resource_id)
    if resource.state != ResourceState.DEPROVISIONED:
        raise Refusal(
            "Only what is left of a removed add-on can be erased: have it removed at Heroku first.",
            code="not_deprovisioned",
        )
    erased: Counter[str] = Counter(service_of(resource).erase_data(resource))
    for child, field in _children(Resource):
        if getattr(field.remote_field, "on_delete", None) is models.CASCADE:
            _, by_label = child._default_manager.filter(**{field.name: resource}).delete()
            erased.update(by_label)
    resource.name = resource.app_id = resource.app_name = resource.suspension_reason = ""
    resource.options, resource.request = {}, {}
    resource.save(update_fields=["name", "app_id", "app_name", "suspension_reason", "options", "request"])
    audit.record(
        "customer_data.erased",
        resource=resource,
        actor=actor,
        rows=dict(sorted(erased.items())),
        reason=reason,
    )
    return +erased


def note_export(resource: Resource, *, actor: str, reason: str = "") -> None:
    """Write down that the data was handed out."""
    audit.record("customer_data.exported", resource=resource, actor=actor, reason=reason)


def _children(parent: type[models.Model]) -> list[tuple[type[models.Model], Any]]:
    """The tables whose rows belong to rows of `parent`, each with its foreign key."""
    return [
        (model, field)
        for model in apps.get_models()
        if model is not parent and model._meta.app_label not in _NOT_THEIRS
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and field.related_model is parent
    ]


def _rows(model: type[models.Model], field: Any, keys: list[Any]) -> Iterator[models.Model]:
    names = {each.name for each in model._meta.concrete_fields}
    theirs = {name: told for name, told in (("is_internal", False), ("told", True)) if name in names}
    for at in range(0, len(keys), _CHUNK):
        rows = model._default_manager.filter(**{f"{field.attname}__in": keys[at : at + _CHUNK]}, **theirs)
        yield from rows.order_by("pk").iterator(chunk_size=_CHUNK)


def _values(row: models.Model) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if isinstance(field, SealedField) or field.name in _INNARDS:
            continue
        value = field.value_from_object(row)
        found[field.name] = (
            base64.b64encode(value).decode() if isinstance(value, bytes | memoryview) else value
        )
    masked: dict[str, Any] = mask_value(found)
    return masked
