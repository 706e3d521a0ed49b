"""The pages about topics, and what their buttons do."""

import uuid as uuids

from django.http import HttpResponse
from django.urls import reverse

from addon.kafkacluster import topics
from addon.kafkacluster.doors import Done, action, cluster_page, limits_of, tenant_of
from addon.kafkacluster.forms import NewTopicForm, PartitionsForm, SettingsForm, confirm, read, shown
from addon.kafkacluster.rates import are_known
from addon.kafkacluster.topic_pages import find_topic, list_topics, room_of
from addon.kafkacluster.topic_settings import POLICIES
from provisioning.services import Refusal
from sso.doors import DashboardRequest
from sso.frame import render_page

_WAITS = "The cluster does not answer at the moment: this is done as soon as it does."


@cluster_page
def index(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Every topic, and what the plan has room for."""
    tenant, limits = tenant_of(request), limits_of(request)
    context = {
        "tenant": tenant,
        "limits": limits,
        "room": room_of(tenant, limits),
        "topics": list_topics(tenant),
        "rates_known": are_known(tenant.cluster) and bool(tenant.cluster.metrics_urls),
        "policies": POLICIES,
        "default_hours": min(24, limits.retention_hours),
    }
    return render_page(request, "kafkacluster/topics.html", context)


@cluster_page
def one(request: DashboardRequest, uuid: uuids.UUID, name: str) -> HttpResponse:
    """One topic: its partitions, its settings, and what can be done with it."""
    tenant, limits = tenant_of(request), limits_of(request)
    topic = find_topic(tenant, name)
    if topic is None:
        raise Refusal(f"There is no topic {name}.", code="topic_unknown")
    context = {
        "tenant": tenant,
        "limits": limits,
        "room": room_of(tenant, limits),
        "topic": topic,
        "policies": POLICIES,
        "form": shown(topic.settings) if topic.settings else None,
        "most_partitions": topic.row.partitions + room_of(tenant, limits).partitions_left,
    }
    return render_page(request, "kafkacluster/topic.html", context)


@action
def create(request: DashboardRequest, uuid: uuids.UUID) -> Done:
    """Make a topic."""
    form = read(NewTopicForm, request.POST)
    change = topics.create_topic(
        request.dashboard.resource.pk,
        own_name=form.cleaned_data["name"],
        partitions=form.cleaned_data["partitions"],
        settings=form.settings(),
        actor=request.dashboard.session.actor,
    )
    return Done(
        f"Topic {change.name} created" if change.done else _WAITS, reverse("kafkacluster:topics", args=[uuid])
    )


@action
def configure(request: DashboardRequest, uuid: uuids.UUID, name: str) -> Done:
    """Change a topic's settings."""
    change = topics.configure_topic(
        request.dashboard.resource.pk,
        name=name,
        settings=read(SettingsForm, request.POST).settings(),
        actor=request.dashboard.session.actor,
    )
    return Done("Settings saved" if change.done else _WAITS, _page(uuid, name))


@action
def add_partitions(request: DashboardRequest, uuid: uuids.UUID, name: str) -> Done:
    """Let a topic have more partitions."""
    total = read(PartitionsForm, request.POST).cleaned_data["partitions"]
    change = topics.add_partitions(
        request.dashboard.resource.pk, name=name, total=total, actor=request.dashboard.session.actor
    )
    return Done(f"The topic has {total} partitions now" if change.done else _WAITS, _page(uuid, name))


@action
def purge(request: DashboardRequest, uuid: uuids.UUID, name: str) -> Done:
    """Delete every record of a topic."""
    confirm(request.POST, name=name, prefix=tenant_of(request).prefix)
    topics.purge_topic(request.dashboard.resource.pk, name=name, actor=request.dashboard.session.actor)
    return Done("Every record was deleted; the topic stays", _page(uuid, name))


@action
def delete(request: DashboardRequest, uuid: uuids.UUID, name: str) -> Done:
    """Delete a topic."""
    confirm(request.POST, name=name, prefix=tenant_of(request).prefix)
    change = topics.delete_topic(
        request.dashboard.resource.pk, name=name, actor=request.dashboard.session.actor
    )
    return Done(
        f"Topic {name} deleted" if change.done else _WAITS, reverse("kafkacluster:topics", args=[uuid])
    )


def _page(uuid: uuids.UUID, name: str) -> str:
    return reverse("kafkacluster:topics-one", args=[uuid, name])
