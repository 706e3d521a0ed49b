"""What every admin class of this project derives from: nothing is changed unseen."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION
from django.db.models import QuerySet
from django.http import HttpRequest

from operators import audit
from operators.roles import Role, may, roles_of
from provisioning.masking import mask_value
from provisioning.sealing import SealedField

_VERBS = {ADDITION: "added", CHANGE: "changed", DELETION: "deleted"}


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Writes each addition, change and deletion into the operators' audit, with the values before and after."""

    show_full_result_count = False
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Headed by what it lists."""
        name = str(self.opts.verbose_name_plural)
        return super().changelist_view(
            request, {"title": name[:1].upper() + name[1:], **(extra_context or {})}
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save, and remember what stood there before."""
        stored = type(obj)._default_manager.filter(pk=obj.pk).first() if change else None
        request.__dict__["_operator_before"] = _values(stored) if stored else None
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Tell first: the row's number is gone afterwards."""
        _record(request, obj, DELETION, before=_values(obj), after=None)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """As for each of them."""
        for obj in queryset:
            _record(request, obj, DELETION, before=_values(obj), after=None)
        super().delete_queryset(request, queryset)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Into both records."""
        _record(request, obj, ADDITION, before=None, after=_values(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Into both records."""
        before, after = request.__dict__.pop("_operator_before", None) or {}, _values(obj)
        changed = {name for name in after if before.get(name) != after[name]}
        _record(
            request,
            obj,
            CHANGE,
            before={name: before.get(name) for name in changed},
            after={name: after[name] for name in changed},
        )
        return super().log_change(request, obj, message)

    def may(self, request: HttpRequest, *roles: Role) -> bool:
        """Whether the operator has one of these roles."""
        return bool(roles_of(request.user) & set(roles))


class ReadOnlyAdmin(AuditedAdmin):
    """Shows rows; adds, changes and deletes none."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By role."""
        opts = self.opts
        return may(roles_of(request.user), f"{opts.app_label}.view_{opts.model_name}")


def _values(row: Any) -> dict[str, Any]:
    """The row's columns as JSON; sealed ones and passwords never."""
    found: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if isinstance(field, SealedField) or field.name == "password":
            continue
        value = field.value_from_object(row)
        found[field.name] = value if value is None or isinstance(value, bool | int | str) else _json(value)
    masked: dict[str, Any] = mask_value(found)
    return masked


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _record(
    request: HttpRequest, obj: Any, flag: int, *, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    audit.record(
        f"{obj._meta.model_name}.{_VERBS[flag]}",
        operator=request.user,
        obj=obj,
        before=before,
        after=after,
        request=request,
    )
