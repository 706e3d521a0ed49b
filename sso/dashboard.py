"""The overview: the first page of every service's dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpResponse

from provisioning.models import Plan, Resource
from provisioning.partner_secrets import partner_secrets
from provisioning.services import Meter, Refusal, service_of
from sso.config_vars import config_var_rows
from sso.events import customer_events
from sso.frame import render_page
from sso.rotation import rotation_view

if TYPE_CHECKING:
    from sso.doors import DashboardRequest


@dataclass(frozen=True)
class PlanChoice:
    """A plan the resource can move to, and the exact command that does it."""

    plan: Plan
    command: str

    @property
    def element_id(self) -> str:
        """The id of the command on the page."""
        return f"plan-{self.plan.slug}"


@dataclass(frozen=True)
class Estimate:
    """What this month has cost so far, in cents; `note` says what it leaves out."""

    cents: int
    note: str = ""


def render_overview(
    request: DashboardRequest, template: str, *, estimate: Estimate | None = None, **context: Any
) -> HttpResponse:
    """Render a service's overview; `template` extends `dashboard/overview.html`.

    `estimate` comes from the caller, because what things cost is known on a floor above this one.
    """
    resource = request.dashboard.resource
    before = request.GET.get("before", "")
    values = {
        "config_vars": config_var_rows(resource),
        "rotation": rotation_view(resource) if request.dashboard.service.issues_credentials else None,
        "limit_rows": request.dashboard.service.limit_rows(resource.plan) if resource.plan else [],
        "meters": measured(request.dashboard.service.usage_summary(resource)),
        "plan_choices": plan_choices(resource),
        "events": customer_events(
            resource, before=int(before) if before.isdecimal() and len(before) < 18 else None
        ),
        "estimate": estimate,
        "overlap": in_hours(settings.CREDENTIAL_OVERLAP_SECONDS),
    }
    return render_page(request, template, {**values, **context})


def in_hours(seconds: int) -> str:
    """`2 hours`, `90 minutes`: a length of time in the largest unit that fits exactly."""
    for size, word in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            return f"{seconds // size} {word}{'' if seconds == size else 's'}"
    raise AssertionError("unreachable")


def measured(meters: list[Meter]) -> list[Meter]:
    """Those whose use is known: a limit alone stands among the plan's limits."""
    return [meter for meter in meters if meter.used is not None and meter.limit]


def plan_choices(resource: Resource) -> list[PlanChoice]:
    """The plans that Heroku would let this resource move to, in the catalogue's order."""
    service = service_of(resource)
    manifest_id = partner_secrets(resource.service).manifest_id
    name = resource.name or "ADDON"
    choices = []
    for plan in Plan.objects.filter(service=resource.service, withdrawn_at=None).exclude(
        slug=resource.plan.slug if resource.plan else ""
    ):
        if resource.region not in plan.regions:
            continue
        try:
            service.check_plan_change(resource, plan)
        except Refusal:
            continue
        choices.append(PlanChoice(plan, f"heroku addons:upgrade {name} {manifest_id}:{plan.slug}"))
    return choices
