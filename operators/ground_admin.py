"""Operators' view of the ground floor. Read-only: what happens, happens by operations."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from operators.lists import PlanFilter, QuickListAdmin, ResourceServiceFilter, ServiceFilter
from operators.model_admin import ReadOnlyAdmin
from provisioning.models import AuditEvent, HerokuCall, Operation, Plan, PlanPeriod, Resource
from provisioning.states import OperationState, ResourceState

_TONES = {
    ResourceState.PROVISIONED: "good",
    ResourceState.PROVISIONING: "progress",
    ResourceState.FAILED: "bad",
    ResourceState.DEPROVISIONING: "progress",
    OperationState.SUCCEEDED: "good",
    OperationState.RUNNING: "progress",
    OperationState.PENDING: "progress",
}


def state_badge(row: Resource | Operation) -> str:
    """A row's state as the dashboards show it."""
    tone = _TONES.get(row.state, "neutral")  # type: ignore[call-overload]
    return format_html('<span class="state tone-{}">{}</span>', tone, row.get_state_display())


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    """Plans."""

    list_display = ("service", "slug", "name", "price_cents", "is_default", "withdrawn_at")
    list_display_links = ("slug",)
    list_filter = ("service",)


@admin.register(Resource)
class ResourceAdmin(QuickListAdmin):
    """Resources. A row opens the resource's own page."""

    list_display = ("uuid", "service", "plan_slug", "badge", "app_name", "region", "created_at")
    list_filter = (ServiceFilter, "state", PlanFilter)
    list_select_related = ("plan",)
    resource_path = ""

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The resource's own page."""
        found = self.get_object(request, object_id)
        if found is None:
            return super().change_view(request, object_id, form_url, extra_context)
        return HttpResponseRedirect(reverse("operators:resource", args=[found.uuid]))

    @admin.display(description="plan")
    def plan_slug(self, resource: Resource) -> str:
        """Without the service, which has a column of its own."""
        return resource.plan.slug if resource.plan else ""

    @admin.display(description="state", ordering="state")
    def badge(self, resource: Resource) -> str:
        """As a badge."""
        return state_badge(resource)


@admin.register(Operation)
class OperationAdmin(QuickListAdmin):
    """Operations. A row opens the resource's page at its operation."""

    list_display = (
        "id",
        "of",
        "service",
        "kind",
        "badge",
        "step",
        "attempt",
        "next_attempt_at",
        "created_at",
    )
    list_filter = ("state", "kind", ResourceServiceFilter)
    list_select_related = ("resource",)
    exact_fields = ("pk", "correlation_id")
    search_help_text = (
        "An app's or add-on's name (its beginning), the add-on's uuid, a correlation id, a number"
    )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The operation's own page."""
        return HttpResponseRedirect(reverse("operators:operation", args=[int(object_id)]))

    @admin.display(description="resource")
    def of(self, operation: Operation) -> str:
        """The app, or the uuid while that is not known."""
        return operation.resource.app_name or str(operation.resource.uuid)

    @admin.display(description="service")
    def service(self, operation: Operation) -> str:
        """Of the resource."""
        return operation.resource.service

    @admin.display(description="state", ordering="state")
    def badge(self, operation: Operation) -> str:
        """As a badge."""
        return state_badge(operation)


@admin.register(PlanPeriod)
class PlanPeriodAdmin(QuickListAdmin):
    """Plan periods."""

    list_display = ("resource", "plan", "price_cents", "starts_at", "ends_at", "voided_at")
    list_select_related = ("resource", "plan")


@admin.register(AuditEvent)
class AuditEventAdmin(QuickListAdmin):
    """What happened."""

    list_display = ("at", "event", "resource", "actor")
    list_select_related = ("resource",)
    list_display_links = ("event",)


@admin.register(HerokuCall)
class HerokuCallAdmin(QuickListAdmin):
    """What we asked Heroku."""

    list_display = ("at", "method", "path", "status", "error", "milliseconds")
    list_select_related = ("resource",)
    list_display_links = ("path",)
