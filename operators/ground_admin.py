"""Operators' view of the ground floor. Read-only: what happens, happens by operations."""

from django.contrib import admin

from operators.model_admin import ReadOnlyAdmin
from provisioning.models import AuditEvent, Operation, Plan, PlanPeriod, Resource


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    """Plans."""

    list_display = ("service", "slug", "name", "price_cents", "is_default", "withdrawn_at")
    list_filter = ("service",)


@admin.register(Resource)
class ResourceAdmin(ReadOnlyAdmin):
    """Resources; sealed columns are not editable and so never shown."""

    list_display = ("uuid", "service", "plan", "state", "app_name", "region", "created_at")
    list_filter = ("service", "state", "region")
    search_fields = ("uuid", "name", "app_name")
    list_select_related = ("plan",)
    show_full_result_count = False


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    """Operations."""

    list_display = ("id", "resource", "kind", "state", "step", "attempt", "next_attempt_at", "created_at")
    list_filter = ("kind", "state", "resource__service")
    search_fields = ("resource__uuid", "correlation_id")
    list_select_related = ("resource",)
    show_full_result_count = False


@admin.register(PlanPeriod)
class PlanPeriodAdmin(ReadOnlyAdmin):
    """Plan periods."""

    list_display = ("resource", "plan", "price_cents", "starts_at", "ends_at", "voided_at")
    list_select_related = ("resource", "plan")
    search_fields = ("resource__uuid",)
    show_full_result_count = False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """What happened."""

    list_display = ("at", "event", "resource", "actor")
    list_filter = ("event",)
    search_fields = ("resource__uuid", "correlation_id")
    list_select_related = ("resource",)
    show_full_result_count = False
