"""The pages of one resource and one operation, and what is done from them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_protect

from operators import actions, audit, resource_links, timeline
from operators.doors import OperatorRequest, operator_page, render_operator_page
from operators.forms import LimitForm
from operators.ground_admin import state_badge
from operators.roles import Role
from provisioning import customer_data, interventions, lifecycle, limits
from provisioning.models import Operation, PlatformAccess, Resource
from provisioning.services import Refusal, service_of
from provisioning.states import ACTIVE_OPERATION_STATES, ResourceState

MAY_INTERVENE = (Role.OPERATOR,)


@operator_page()
def resource_page(request: OperatorRequest, uuid: UUID) -> HttpResponse:
    """Everything about one resource: facts, what is under way, what can be done, and its line of time."""
    resource = _resource(uuid)
    before = _moment(request.GET.get("before", ""))
    kind = request.GET.get("kind", "")
    entries = timeline.timeline(resource, before=before, kind=kind)
    return render_operator_page(
        request,
        "operators/resource.html",
        {
            "resource": resource,
            "service": service_of(resource),
            "badge": state_badge(resource),
            "access": PlatformAccess.objects.filter(resource=resource).first(),
            "under_way": list(
                resource.operations.filter(state__in=ACTIVE_OPERATION_STATES).select_related("target_plan")
            ),
            "credentials": list(resource.credentials.all()[:10]),
            "actions": actions.offered_to(resource, request.roles),
            "links": resource_links.offered_to(resource, request.roles),
            "limits": _limit_rows(resource),
            "may_set_limits": resource.state == ResourceState.PROVISIONED
            and bool(set(MAY_INTERVENE) & request.roles),
            "today": timezone.now().date(),
            "last_day": (timezone.now() + limits.LONGEST).date() - timedelta(days=1),
            "entries": entries,
            "older": entries[-1].at.isoformat() if len(entries) == timeline.PAGE_SIZE else "",
            "kinds": timeline.kinds(),
            "kind": kind,
            "before": before,
        },
    )


@csrf_protect
@operator_page(methods=("POST",))
def resource_action(request: OperatorRequest, uuid: UUID, name: str) -> HttpResponse:
    """Do one of the resource's actions."""
    resource = _resource(uuid)
    with _told(request) as told:
        told.text = actions.perform(
            name,
            resource,
            request=request,
            operator=request.user,
            roles=request.roles,
            reason=request.POST.get("reason", ""),
        )
    return HttpResponseRedirect(reverse("operators:resource", args=[uuid]))


@csrf_protect
@operator_page(*MAY_INTERVENE, methods=("POST",))
def set_limit(request: OperatorRequest, uuid: UUID) -> HttpResponse:
    """Set one limit of the resource until the end of a day."""
    resource, form = _resource(uuid), LimitForm(request.POST)
    with _told(request) as told, transaction.atomic():
        if not form.is_valid():
            raise Refusal(
                " ".join(str(text) for texts in form.errors.values() for text in texts), code="form"
            )
        wanted = form.cleaned_data
        before = limits.limits_of(resource)
        override = limits.set_override(
            resource.pk,
            name=wanted["name"],
            value=wanted["value"],
            ends_at=datetime.combine(wanted["until"] + timedelta(days=1), time(), tzinfo=UTC),
            reason=wanted["reason"],
            actor=audit.actor(request.user),
        )
        audit.record(
            "resource.limit_set",
            operator=request.user,
            obj=resource,
            reason=override.reason,
            before={override.name: before[override.name]},
            after={override.name: override.value, "until": override.ends_at.isoformat()},
            request=request,
        )
        told.text = f"The limit holds until the end of {wanted['until']:%-d %B %Y}, UTC."
    return HttpResponseRedirect(reverse("operators:resource", args=[uuid]))


@csrf_protect
@operator_page(*MAY_INTERVENE, methods=("POST",))
def end_limit(request: OperatorRequest, uuid: UUID, number: int) -> HttpResponse:
    """Give one limit back to the plan."""
    resource = _resource(uuid)
    with _told(request) as told, transaction.atomic():
        reason = _reason(request)
        if not resource.limit_overrides.filter(pk=number).exists():
            raise Http404
        override = limits.end_override(number, actor=audit.actor(request.user))
        audit.record(
            "resource.limit_ended",
            operator=request.user,
            obj=resource,
            reason=reason,
            before={override.name: override.value},
            request=request,
        )
        told.text = "The plan's limit holds again."
    return HttpResponseRedirect(reverse("operators:resource", args=[uuid]))


@csrf_protect
@operator_page(Role.SECURITY, methods=("POST",))
def export_data(request: OperatorRequest, uuid: UUID) -> HttpResponse:
    """Every row of the customer's, as a file of JSON lines."""
    resource = _resource(uuid)
    with _told(request) as told, transaction.atomic():
        reason = _reason(request)
        customer_data.note_export(resource, actor=audit.actor(request.user), reason=reason)
        audit.record("resource.exported", operator=request.user, obj=resource, reason=reason, request=request)
    if told.refused:
        return HttpResponseRedirect(reverse("operators:resource", args=[uuid]))
    answer = StreamingHttpResponse(
        (
            f"{json.dumps({'table': row.table, 'row': row.values}, cls=DjangoJSONEncoder)}\n"
            for row in customer_data.export(resource)
        ),
        content_type="application/x-ndjson",
    )
    answer["Content-Disposition"] = f'attachment; filename="{uuid}.jsonl"'
    return answer  # type: ignore[return-value] # a stream; the door adds headers only


@operator_page()
def operation_page(request: OperatorRequest, number: int) -> HttpResponse:
    """One operation: its steps, what it waits for, and what can be done about it."""
    operation = _operation(number)
    names = [step.name for step in lifecycle.steps_of(operation)]
    active = operation.state in ACTIVE_OPERATION_STATES
    return render_operator_page(
        request,
        "operators/operation.html",
        {
            "operation": operation,
            "resource": operation.resource,
            "badge": state_badge(operation),
            "steps": _steps(operation, names),
            "at": operation.step or (names[0] if names else ""),
            "active": active,
            "may_cancel": lifecycle.may_fail(operation),
            "may_intervene": active and bool(set(MAY_INTERVENE) & request.roles),
        },
    )


@csrf_protect
@operator_page(*MAY_INTERVENE, methods=("POST",))
def operation_action(request: OperatorRequest, number: int, name: str) -> HttpResponse:
    """Retry, cancel, or skip the step; the last two with a reason."""
    actor = audit.actor(request.user)
    with _told(request) as told, transaction.atomic():
        reason = "" if name == "retry" else _reason(request)
        before: Any = Operation.objects.filter(pk=number).values("state", "step").first()
        match name:
            case "retry":
                operation = interventions.retry_now(number, actor=actor)
            case "cancel":
                operation = interventions.end(number, reason=reason, actor=actor)
            case "skip":
                step = request.POST.get("step", "")
                operation = interventions.skip_step(number, step=step, reason=reason, actor=actor)
            case _:
                raise Http404
        audit.record(
            f"operation.{name}",
            operator=request.user,
            obj=operation,
            reason=reason,
            before=before,
            after={"state": operation.state, "step": operation.step},
            request=request,
        )
        told.text = {"retry": "It goes on now.", "cancel": "Cancelled.", "skip": "The step was skipped."}[
            name
        ]
    return HttpResponseRedirect(reverse("operators:operation", args=[number]))


@dataclass
class _Told:
    """What the next page says was done."""

    text: str = ""
    refused: bool = False


@contextmanager
def _told(request: OperatorRequest) -> Iterator[_Told]:
    """Let the next page tell how the body went: its text, or the Refusal that it raised."""
    told = _Told()
    try:
        yield told
    except Refusal as refusal:
        told.refused = True
        messages.error(request, refusal.message)
    else:
        if told.text:
            messages.success(request, told.text)


def _reason(request: OperatorRequest) -> str:
    """The reason that was given; raises Refusal without one."""
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise Refusal("Give a reason: it is kept in the audit.", code="reason_needed")
    return reason


def _resource(uuid: UUID) -> Resource:
    found = Resource.objects.select_related("plan").filter(uuid=uuid).first()
    if found is None:
        raise Http404
    return found


def _limit_rows(resource: Resource) -> list[dict[str, Any]]:
    plan = resource.plan
    if plan is None:
        return []
    now = limits.limits_of(resource)
    standing = {one.name: one for one in limits.standing_overrides().filter(resource=resource)}
    return [
        {
            "name": name,
            "label": name.replace("_", " ").capitalize(),
            "plan": f"{plan.limits[name]:,}",
            "now": f"{now[name]:,}",
            "override": standing.get(name),
        }
        for name in limits.overridable(plan)
    ]


def _operation(number: int) -> Operation:
    found = Operation.objects.select_related("resource__plan", "target_plan").filter(pk=number).first()
    if found is None:
        raise Http404
    return found


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        return None
    return found if found and found.tzinfo else None


def _steps(operation: Operation, names: list[str]) -> list[dict[str, Any]]:
    at = names.index(operation.step) if operation.step in names else 0
    active = operation.state in ACTIVE_OPERATION_STATES
    shown = []
    for position, name in enumerate(names):
        if operation.state == "succeeded" or position < at:
            state = "done"
        elif position > at or operation.state == "cancelled":
            state = "waiting"
        else:
            state = "current" if active else "failed"
        shown.append({"label": name, "state": state})
    return shown
