"""The frame around every dashboard page, and the pages of a resource that is not ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.module_loading import import_string

from provisioning import access
from provisioning.services import Page
from provisioning.states import AccessState, OperationKind, ResourceState
from sso.progress import latest_operation, operation_view

if TYPE_CHECKING:
    from sso.doors import Dashboard, DashboardRequest

_BADGES = {
    ResourceState.PROVISIONING: ("Provisioning", "progress"),
    ResourceState.PROVISIONED: ("Live", "good"),
    ResourceState.FAILED: ("Failed", "bad"),
}


@dataclass(frozen=True)
class NoticeAction:
    """A button of a notice: posts to `url`, which answers as any form of a dashboard."""

    label: str
    url: str


@dataclass(frozen=True)
class Notice:
    """A message above every page of one dashboard."""

    level: Literal["info", "good", "warning", "bad"]
    title: str
    text: str = ""
    link_url: str = ""
    link_label: str = ""
    actions: tuple[NoticeAction, ...] = ()


_PAGES: list[Page] = []


def add_page(page: Page) -> None:
    """Let every dashboard's navigation end with this page too: for a floor, when its app is ready. Safe to repeat."""
    if page not in _PAGES:
        _PAGES.append(page)


NoticeSource = Callable[["Dashboard"], Iterable[Notice]]
"""What settings.DASHBOARD_NOTICES names: a floor's notices for a dashboard, most urgent first."""


@dataclass(frozen=True)
class Tab:
    """One entry of the navigation."""

    label: str
    icon: str
    url: str
    current: bool


def render_page(
    request: DashboardRequest, template: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """Render a page inside the frame; the template extends `dashboard/base.html`.

    Beside its own values a template has `dashboard`, `resource`, `plan`, `service`, `tabs`, `notices` and
    `badge`.
    """
    return render(request, template, {**frame_context(request), **(context or {})}, status=status)


def frame_context(request: DashboardRequest) -> dict[str, Any]:
    """What the frame itself shows."""
    dashboard = request.dashboard
    resource = dashboard.resource
    label, tone = _BADGES.get(ResourceState(resource.state), (resource.get_state_display(), "neutral"))
    if resource.suspended_at and resource.state == ResourceState.PROVISIONED:
        label, tone = "Suspended", "bad"
    return {
        "dashboard": dashboard,
        "resource": resource,
        "plan": resource.plan,
        "service": dashboard.service,
        "home_url": dashboard.service.dashboard_url(resource),
        "heroku_url": heroku_url(dashboard),
        "badge": {"label": label, "tone": tone},
        "tabs": _tabs(request),
        "notices": list(_notices(dashboard)),
    }


def heroku_url(dashboard: Dashboard) -> str:
    """The app's resources at Heroku, or Heroku's front page while the app is not known."""
    app = dashboard.app_name
    return f"{settings.HEROKU_DASHBOARD_URL}/apps/{app}/resources" if app else settings.HEROKU_DASHBOARD_URL


def render_unready(request: DashboardRequest) -> HttpResponse:
    """The page of a resource that is being made (with its progress), or could not be."""
    resource = request.dashboard.resource
    if resource.state == ResourceState.FAILED:
        operation = latest_operation(resource, OperationKind.PROVISION)
        return render_page(request, "dashboard/failed.html", {"operation": operation})
    operation = latest_operation(resource, OperationKind.PROVISION)
    return render_page(
        request,
        "dashboard/provisioning.html",
        {"progress": operation_view(operation) if operation else None},
    )


def _tabs(request: DashboardRequest) -> list[Tab]:
    dashboard = request.dashboard
    here = request.resolver_match.view_name if request.resolver_match else ""
    return [
        Tab(
            page.label,
            page.icon,
            reverse(page.url_name, args=[dashboard.resource.uuid]),
            # A page below another one, `topics-one` below `topics`, has no tab of its own.
            here == page.url_name or here.startswith(f"{page.url_name}-"),
        )
        for page in (*dashboard.service.pages, *_PAGES)
    ]


def _notices(dashboard: Dashboard) -> Iterable[Notice]:
    resource = dashboard.resource
    for path in settings.DASHBOARD_NOTICES:
        source: NoticeSource = import_string(path)
        yield from source(dashboard)
    if resource.state != ResourceState.PROVISIONED:
        return
    if resource.suspended_at:
        mail = dashboard.service.support_email
        yield Notice(
            "bad",
            "This add-on is suspended",
            f"{resource.suspension_reason} {dashboard.service.suspended_note}",
            link_url=f"mailto:{mail}" if mail else "",
            link_label="Ask support" if mail else "",
        )
    if dashboard.is_operator:
        yield Notice(
            "warning",
            f"You look at a customer's dashboard as {dashboard.session.actor}",
            "Your reason is in the audit. Nothing can be revealed or changed from here.",
            link_url=f"/admin/resources/{resource.uuid}/",
            link_label="Back to the operators' page",
        )
    elif not dashboard.is_member:
        yield Notice(
            "info",
            "You can look, but not change anything",
            "Heroku did not say who you are. To do more, open the dashboard again from Heroku.",
        )
    if access.state_of(resource) == AccessState.LOST:
        yield Notice(
            "warning",
            "We cannot update your app's config vars",
            "Heroku does not let us into this add-on. What is set keeps working; "
            "credentials cannot be rotated until support has repaired it.",
        )
    if operation := latest_operation(resource, OperationKind.PLAN_CHANGE, active=True):
        plan = operation.target_plan
        yield Notice(
            "info",
            f"Moving to {plan.name if plan else 'the new plan'}",
            "The new limits apply within a minute.",
        )
