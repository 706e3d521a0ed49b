"""Lists that stay quick whatever the table holds: no count of all rows, no DISTINCT, searches by index only."""

import uuid
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from operators.model_admin import ReadOnlyAdmin
from provisioning.models import Plan, Resource
from provisioning.services import all_services

COUNTED_ROWS = 1000
"""Rows are counted up to here: who has more narrows the list."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than `COUNTED_ROWS`, which is then also where the list ends."""

    @property
    def count(self) -> int:
        """The number of rows, at most `COUNTED_ROWS`."""
        known: int | None = self.__dict__.get("_bounded")
        if known is None:
            rows: Any = self.object_list
            known = len(rows.order_by().values_list("pk", flat=True)[:COUNTED_ROWS])
            self.__dict__["_bounded"] = known
        return known


class ServiceFilter(admin.SimpleListFilter):
    """By add-on service: the registered ones, not what a DISTINCT over the table would find."""

    title = "service"
    parameter_name = "service"
    field = "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Slug and name."""
        return [(slug, service.name) for slug, service in all_services().items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the chosen service."""
        return queryset.filter(**{self.field: self.value()}) if self.value() else queryset


class PlanFilter(admin.SimpleListFilter):
    """By plan, once a service is chosen: all plans of all services would be a long list."""

    title = "plan"
    parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The service's plans."""
        plans = Plan.objects.filter(service=request.GET.get("service", ""))
        return [(str(plan.pk), plan.slug) for plan in plans]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those on the chosen plan."""
        value = self.value() or ""
        return queryset.filter(plan_id=int(value)) if value.isdigit() else queryset


class ResourceServiceFilter(ServiceFilter):
    """The same for rows that belong to a resource."""

    field = "resource__service"


class QuickListAdmin(ReadOnlyAdmin):
    """A read-only list of a table that may be large. `resource_path` leads from a row to its resource."""

    paginator = BoundedPaginator
    resource_path = "resource__"
    exact_fields: tuple[str, ...] = ()
    """Indexed columns that a search compares as they are."""
    search_help_text = "An app's or add-on's name (its beginning), the add-on's uuid"
    search_fields = ("pk",)  # Only so that the box is there: see get_search_results.

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By uuid, by the beginning of a name, or by one of `exact_fields`."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(**{f"{self.resource_path}uuid": uuid.UUID(term)}), False
        except ValueError:
            pass
        wanted = Q(app_name__startswith=term.lower()) | Q(name__startswith=term.lower())
        if self.resource_path:
            # By numbers found first: an OR over a join would read the whole table.
            named = Resource.objects.filter(wanted).order_by().values_list("pk", flat=True)[:COUNTED_ROWS]
            wanted = Q(resource_id__in=list(named))
        for field in self.exact_fields:
            if field != "pk" or term.isdigit():
                wanted |= Q(**{field: term})
        return queryset.filter(wanted), False
