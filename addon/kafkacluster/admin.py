"""Operators' view of the clusters and their tenants."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from addon.kafkacluster.models import SharedCluster, Tenant
from addon.kafkacluster.placement import availability, loads
from operators.audit import actor
from operators.model_admin import AuditedAdmin, ReadOnlyAdmin
from provisioning import suspension
from provisioning.services import Refusal


class SharedClusterForm(forms.ModelForm):  # type: ignore[type-arg]
    """A cluster; the password goes in and never comes out."""

    new_password = forms.CharField(
        required=False,
        strip=False,
        label="Admin password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Stored sealed. Leave empty to keep the present one, or to use an environment variable.",
    )

    class Meta:
        model = SharedCluster
        fields = (
            "name",
            "state",
            "regions",
            "brokers",
            "security_protocol",
            "admin_brokers",
            "admin_security_protocol",
            "admin_mechanism",
            "admin_username",
            "admin_password_variable",
            "ca_file",
            "broker_count",
            "metrics_urls",
            "capacity_bytes_per_second",
            "capacity_stored_bytes",
        )

    def clean_regions(self) -> list[str]:
        """A list of names."""
        regions = self.cleaned_data["regions"]
        if not isinstance(regions, list) or not all(isinstance(name, str) and name for name in regions):
            raise forms.ValidationError('A list of region names, such as ["us", "eu"].')
        return regions

    def save(self, commit: bool = True) -> Any:
        """Seal a password that was given."""
        if self.cleaned_data.get("new_password"):
            self.instance.set_sealed(admin_password=self.cleaned_data["new_password"])
        return super().save(commit)


@admin.register(SharedCluster)
class SharedClusterAdmin(AuditedAdmin):
    """Clusters, and how much of each is sold. The one of the settings is kept by them: only its state can be set."""

    form = SharedClusterForm
    list_display = ("name", "availability", "regions", "tenants", "sold_rate", "sold_storage", "broker_count")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The name seals the password, so it stays; the settings' cluster follows the settings."""
        if obj is None:
            return ()
        if obj.from_settings:
            return tuple(name for name in SharedClusterForm.Meta.fields if name != "state")
        return ("name",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A password of the settings is in the environment."""
        typed = () if obj and obj.from_settings else ("new_password",)
        return (*SharedClusterForm.Meta.fields, *typed)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: tenants that were removed still name it. Close it instead."""
        return False

    @admin.display(description="state")
    def availability(self, cluster: SharedCluster) -> str:
        """Open, full or closed."""
        return availability(cluster, loads([cluster])[cluster.pk])

    @admin.display(description="tenants")
    def tenants(self, cluster: SharedCluster) -> int:
        """How many live ones."""
        return loads([cluster])[cluster.pk].tenants

    @admin.display(description="rate sold")
    def sold_rate(self, cluster: SharedCluster) -> str:
        """Of the rates, in per cent."""
        sold = loads([cluster])[cluster.pk].bytes_per_second
        return f"{sold / max(1, cluster.capacity_bytes_per_second):.0%}"

    @admin.display(description="storage sold")
    def sold_storage(self, cluster: SharedCluster) -> str:
        """Of the stored data, in per cent."""
        sold = loads([cluster])[cluster.pk].stored_bytes
        return f"{sold / max(1, cluster.capacity_stored_bytes):.0%}"


class SuspensionForm(forms.Form):
    """Why clients are refused."""

    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), help_text="The customer reads it on the dashboard."
    )


@admin.register(Tenant)
class TenantAdmin(ReadOnlyAdmin):
    """Tenants."""

    list_display = (
        "username",
        "cluster",
        "resource",
        "topics",
        "partitions",
        "stored_bytes",
        "usage_at",
        "writes_paused_at",
        "suspended_since",
        "removed_at",
    )
    list_filter = (
        "cluster",
        ("resource__suspended_at", admin.EmptyFieldListFilter),
        ("removed_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("username", "resource__uuid", "resource__app_name")
    list_select_related = ("cluster", "resource")
    show_full_result_count = False
    actions = ("suspend", "resume")

    @admin.display(description="suspended at", ordering="resource__suspended_at")
    def suspended_since(self, tenant: Tenant) -> datetime | None:
        """Since when its resource has been suspended."""
        return tenant.resource.suspended_at

    def has_suspend_permission(self, request: HttpRequest) -> bool:
        """Whoever may change tenants, although nothing of one is edited by hand."""
        return bool(request.user.has_perm("kafkacluster.change_tenant"))

    @admin.action(description="Suspend: refuse the clients of the selected tenants", permissions=["suspend"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> HttpResponse | None:
        """Ask for the reason, then suspend."""
        form = SuspensionForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": "Suspend tenants",
                "opts": self.model._meta,
                "form": form,
                "tenants": queryset,
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "kafkacluster/suspend_tenants.html", context)
        self._each(
            request,
            queryset,
            lambda tenant: suspension.suspend(
                tenant.resource_id, reason=form.cleaned_data["reason"], actor=actor(request.user)
            ),
        )
        return None

    @admin.action(description="Resume: let the clients of the selected tenants in", permissions=["suspend"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> None:
        """End suspensions."""
        self._each(
            request, queryset, lambda tenant: suspension.resume(tenant.resource_id, actor=actor(request.user))
        )

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Tenant], change: Callable[[Tenant], object]
    ) -> None:
        for tenant in queryset:
            try:
                change(tenant)
            except Refusal as refusal:
                self.message_user(request, f"{tenant}: {refusal.message}", messages.ERROR)
            else:
                self.message_user(request, f"{tenant}: done; the cluster follows within seconds.")
