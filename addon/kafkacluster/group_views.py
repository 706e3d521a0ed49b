"""The pages about consumer groups, and what their buttons do.

A group's id may hold any character, so it stands in the query or a form's field and never in a path.
"""

import uuid as uuids
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from addon.kafkacluster import groups
from addon.kafkacluster.doors import Done, action, cluster_page, limits_of, tenant_of
from addon.kafkacluster.forms import GroupForm, NewGroupForm, PositionForm, confirm, read
from addon.kafkacluster.group_pages import find_group, list_groups
from addon.kafkacluster.models import Topic
from provisioning.services import Refusal
from sso.doors import DashboardRequest
from sso.frame import render_page


@cluster_page
def index(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Every consumer group by name, in pages."""
    tenant = tenant_of(request)
    context = {
        "tenant": tenant,
        "limits": limits_of(request),
        "page": list_groups(tenant, number=_page_number(request), search=request.GET.get("q", "").strip()),
        "topics": Topic.objects.filter(tenant=tenant, state=Topic.State.LIVE),
    }
    return render_page(request, "kafkacluster/groups.html", context)


@cluster_page
def one(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """One consumer group: members, offsets and lag, and what can be done with it."""
    tenant = tenant_of(request)
    name = request.GET.get("id", "")
    group = find_group(tenant, name)
    if group is None:
        raise Refusal(f"There is no consumer group {name}.", code="group_unknown")
    context = {
        "tenant": tenant,
        "group": group,
        "topics": Topic.objects.filter(tenant=tenant, state=Topic.State.LIVE),
        "in_use": groups.IN_USE,
    }
    return render_page(request, "kafkacluster/group.html", context)


@action
def register(request: DashboardRequest, uuid: uuids.UUID) -> Done:
    """Register a group with a position to start from."""
    form = read(NewGroupForm, request.POST)
    name = groups.register_group(
        tenant_of(request),
        own_name=form.cleaned_data["name"],
        topics=request.POST.getlist("topics"),
        position=form.as_position(),
        actor=request.dashboard.session.actor,
    )
    return Done(f"Consumer group {name} registered", reverse("kafkacluster:groups", args=[uuid]))


@action
def reset(request: DashboardRequest, uuid: uuids.UUID) -> Done:
    """Move a group on one topic."""
    given = read(GroupForm, request.POST).cleaned_data
    position = read(PositionForm, request.POST).as_position()
    groups.reset_group(
        tenant_of(request),
        name=given["group"],
        topic=given["topic"],
        position=position,
        actor=request.dashboard.session.actor,
    )
    return Done(f"The group continues on {given['topic']}: {position.words}", _page(uuid, given["group"]))


@action
def forget_topic(request: DashboardRequest, uuid: uuids.UUID) -> Done:
    """Delete a group's offsets on one topic."""
    given = read(GroupForm, request.POST).cleaned_data
    groups.forget_topic(
        tenant_of(request), name=given["group"], topic=given["topic"], actor=request.dashboard.session.actor
    )
    return Done(f"The offsets on {given['topic']} are deleted", _page(uuid, given["group"]))


@action
def delete(request: DashboardRequest, uuid: uuids.UUID) -> Done:
    """Delete a group."""
    name = read(GroupForm, request.POST).cleaned_data["group"]
    tenant = tenant_of(request)
    confirm(request.POST, name=name, prefix=tenant.prefix)
    groups.delete_group(tenant, name=name, actor=request.dashboard.session.actor)
    return Done(f"Consumer group {name} deleted", reverse("kafkacluster:groups", args=[uuid]))


def _page(uuid: uuids.UUID, name: str) -> str:
    return f"{reverse('kafkacluster:groups-one', args=[uuid])}?{urlencode({'id': name})}"


def _page_number(request: HttpRequest) -> int:
    given = request.GET.get("page", "1")
    return max(1, int(given)) if given.isdecimal() and len(given) < 7 else 1
