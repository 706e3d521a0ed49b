"""A tenant's topics: rows that say which there should be, and bringing the cluster to them.

Only we make topics, so the rows are the truth that a plan's limits are held against: they are written under the lock
of the resource before the cluster is asked, and two creations at once take turns. The cluster is asked afterwards,
without any lock on a row. Where it does not answer, the row waits, and a job brings the cluster to it later; what it
refuses is taken back and told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from addon.kafkacluster.cluster import Cluster, connect
from addon.kafkacluster.limits import Room, changing_topics, topic_defaults
from addon.kafkacluster.models import SharedCluster, Tenant, Topic
from addon.kafkacluster.topic_settings import Settings
from addon.kafkacluster.turns import turn
from provisioning import audit
from provisioning.services import Fault, Refusal, Unrecoverable
from provisioning.states import ResourceState

log = structlog.get_logger(__name__)

LONGEST_NAME = 249
"""Kafka's own limit, prefix included."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Change:
    """A change of a topic that was accepted; `done` is False when it waits for the cluster to answer."""

    name: str
    done: bool


def create_topic(
    resource_id: int, *, own_name: str, partitions: int, settings: Mapping[str, str], actor: str
) -> Change:
    """Make a topic of this resource's tenant; `own_name` is what follows the prefix, which may be given too.

    `settings` are by Kafka's names; what is left out gets the plan's default. Raises Refusal.
    """
    with changing_topics(resource_id) as room:
        prefix = room.tenant.prefix
        name = _whole_name(prefix, own_name)
        kept = _kept(room)
        if name in kept:
            raise Refusal(f"There is a topic {name} already.", code="topic_exists")
        if clash := next((other for other in kept if _as_metric(other) == _as_metric(name)), None):
            raise Refusal(
                f"{name} is too much like {clash}: Kafka takes a dot and an underscore for the same character when it "
                "names its metrics, and allows only one of the two topics.",
                code="topic_clashes",
            )
        room.check_new_topic(kept=kept, partitions=partitions)
        wanted = {**topic_defaults(room.limits), **settings}
        Settings.read(wanted).check(room.limits, partitions=partitions, changed=set(wanted))
        topic = Topic.objects.create(
            tenant=room.tenant, name=name, partitions=partitions, pending_settings=wanted
        )
        room.note({**kept, name: partitions})
        audit.record(
            "topic.created",
            resource=room.tenant.resource,
            actor=actor,
            topic=name,
            partitions=partitions,
            settings=wanted,
        )
    return _settled(topic)


def configure_topic(resource_id: int, *, name: str, settings: Mapping[str, str], actor: str) -> Change:
    """Set these settings of a topic, by Kafka's names; its others stay as they are. Raises Refusal.

    Setting what is set already changes nothing and leaves no event.
    """
    present, replicas = _present_settings(resource_id, name)
    changed = {key: value for key, value in settings.items() if present.get(key) != value}
    if not changed:
        return Change(name, done=True)
    with changing_topics(resource_id) as room:
        topic = _locked(room, name)
        Settings.read({**present, **changed}).check(
            room.limits, partitions=topic.partitions, replicas=replicas, changed=set(changed)
        )
        topic.pending_settings = {**topic.pending_settings, **changed}
        topic.state = Topic.State.CHANGING
        topic.save(update_fields=["pending_settings", "state"])
        audit.record(
            "topic.configured", resource=room.tenant.resource, actor=actor, topic=name, settings=changed
        )
    return _settled(topic)


def add_partitions(resource_id: int, *, name: str, total: int, actor: str) -> Change:
    """Let a topic have `total` partitions, more than it has; the plan's limit counts all topics. Raises Refusal."""
    with changing_topics(resource_id) as room:
        topic = _locked(room, name)
        kept = _kept(room)
        room.check_more_partitions(kept=kept, name=name, partitions=total)
        former, topic.partitions = topic.partitions, total
        topic.state = Topic.State.CHANGING
        topic.save(update_fields=["partitions", "state"])
        room.note({**kept, name: total})
        audit.record(
            "topic.partitions_added",
            resource=room.tenant.resource,
            actor=actor,
            topic=name,
            former=former,
            partitions=total,
        )
    return _settled(topic)


def delete_topic(resource_id: int, *, name: str, actor: str) -> Change:
    """Delete a topic with everything in it; one that is being deleted already is no error. Raises Refusal."""
    with changing_topics(resource_id) as room:
        topic = _locked(room, name, deleting=True)
        if topic.state != Topic.State.DELETING:
            topic.state = Topic.State.DELETING
            topic.save(update_fields=["state"])
            audit.record("topic.deleted", resource=room.tenant.resource, actor=actor, topic=name)
    return _settled(topic)


def purge_topic(resource_id: int, *, name: str, actor: str) -> None:
    """Delete every record that a topic holds now. Raises Refusal, and Fault when the cluster does not answer."""
    with changing_topics(resource_id) as room:
        topic = _locked(room, name)
        tenant = room.tenant
    with connect(tenant.cluster.address) as cluster:
        if cluster.topic_settings([topic.name])[topic.name]["cleanup.policy"] == "compact":
            raise Refusal(
                "A topic that is only compacted cannot be purged: Kafka keeps the last record of each key. Let its "
                "cleanup policy also delete, or delete the topic and make it anew.",
                code="compacted",
            )
        cluster.purge_topic(topic.name)
    audit.record("topic.purged", resource=tenant.resource, actor=actor, topic=name)


# --- bringing the cluster to the rows -----------------------------------------------------------------------
def settle_topic(topic_id: int, cluster: Cluster) -> None:
    """Bring the cluster to what a topic's row says; nothing when that is done. May run twice at once.

    In the tenant's turn, so that a name is given anew only after its deletion is through, and a removal finds what was
    made; the row is not locked meanwhile, and what is changed in it is settled too. Raises Fault when the cluster does
    not answer, and Refusal when it refuses: then the row is as it was before the change.
    """
    resource_id = Topic.objects.filter(pk=topic_id).values_list("tenant__resource_id", flat=True).first()
    if resource_id is None:
        return
    unsettled = Topic.objects.exclude(state=Topic.State.LIVE).filter(
        pk=topic_id, tenant__resource__state=ResourceState.PROVISIONED
    )
    with turn(resource_id):
        while (topic := unsettled.first()) is not None:
            if topic.state == Topic.State.DELETING:
                cluster.delete_topics([topic.name])
                topic.delete()
            else:
                _make_or_change(topic, cluster)


def settle_topics() -> int:
    """Settle what waits, on every cluster, and let the rows follow topics that others made or deleted there.

    Returns how many topics still wait. A cluster that does not answer is left for the next time.
    """
    Topic.objects.filter(tenant__removed_at__isnull=False).delete()
    for shared in SharedCluster.objects.all():
        try:
            with connect(shared.address) as cluster:
                _follow(shared, cluster)
                waiting = Topic.objects.filter(tenant__cluster=shared).exclude(state=Topic.State.LIVE)
                for topic_id in waiting.values_list("pk", flat=True):
                    try:
                        settle_topic(topic_id, cluster)
                    except Refusal as refusal:
                        log.warning("kafka_topics.refused", topic=topic_id, reason=refusal.message)
        except Fault as fault:
            log.warning("kafka_topics.cluster_away", cluster=shared.name, error=str(fault))
    return Topic.objects.exclude(state=Topic.State.LIVE).count()


def _follow(shared: SharedCluster, cluster: Cluster) -> None:
    """Let the rows of live topics follow the cluster: an operator's tools make, widen and delete topics too."""
    tenants = {
        tenant.prefix: tenant
        for tenant in Tenant.objects.filter(
            cluster=shared, removed_at=None, resource__state=ResourceState.PROVISIONED
        )
    }
    # Read before the cluster is asked: a row that comes later must not be taken for one without a topic.
    rows = {topic.name: topic for topic in Topic.objects.filter(tenant__cluster=shared)}
    found = {
        name: size for name, size in cluster.topic_counts().items() if f"{name.partition('.')[0]}." in tenants
    }
    for name, partitions in found.items():
        if name not in rows:
            Topic.objects.get_or_create(
                name=name,
                defaults={
                    "tenant": tenants[f"{name.partition('.')[0]}."],
                    "partitions": partitions,
                    "state": Topic.State.LIVE,
                    "made_at": timezone.now(),
                },
            )
    for name, topic in rows.items():
        live = Topic.objects.filter(pk=topic.pk, state=Topic.State.LIVE, settled_at=topic.settled_at)
        if name not in found:
            live.delete()
        elif topic.partitions != found[name]:
            live.update(partitions=found[name])


def _make_or_change(topic: Topic, cluster: Cluster) -> None:
    """Bring the cluster to the row as it was read; Refusal when Kafka will never take that."""
    refused: Unrecoverable | None = None
    try:
        if topic.made_at is None:
            cluster.create_topic(topic.name, partitions=topic.partitions, configs=topic.pending_settings)
            Topic.objects.filter(pk=topic.pk).update(made_at=timezone.now())
        present = len(cluster.await_topic(topic.name))
        if present < topic.partitions:
            cluster.add_partitions(topic.name, total=topic.partitions)
        if topic.pending_settings:
            cluster.set_topic_settings(topic.name, topic.pending_settings)
    except Unrecoverable as error:
        refused, present = error, len(cluster.describe_topics([topic.name]).get(topic.name, ()))
    with transaction.atomic():
        rows = Topic.objects.select_for_update(of=("self",)).select_related("tenant__resource")
        now = rows.get(pk=topic.pk)
        if refused is not None:
            _take_back(now, tried=topic, present=present, reason=str(refused))
        elif _wanted(now) == _wanted(topic):
            now.state, now.pending_settings, now.settled_at = Topic.State.LIVE, {}, timezone.now()
            now.save(update_fields=["state", "pending_settings", "settled_at"])
    if refused is not None:
        raise Refusal(
            f"Kafka refused this, and nothing was changed. It said: {refused}", code="kafka_refused"
        )


def _wanted(topic: Topic) -> tuple[str, int, dict[str, str]]:
    return topic.state, topic.partitions, topic.pending_settings


def _take_back(now: Topic, *, tried: Topic, present: int, reason: str) -> None:
    """Take out of a locked row what was tried, `present` being its partitions on the cluster; newer changes stay."""
    newer = {
        key: value for key, value in now.pending_settings.items() if tried.pending_settings.get(key) != value
    }
    if not present:
        now.delete()
    elif now.state != Topic.State.DELETING:
        wider = now.partitions != tried.partitions
        now.partitions, now.pending_settings = (now.partitions if wider else present), newer
        now.state = Topic.State.CHANGING if wider or newer else Topic.State.LIVE
        now.settled_at = timezone.now()
        now.save()
    audit.record("topic.refused", resource=now.tenant.resource, topic=now.name, reason=reason)


def _settled(topic: Topic) -> Change:
    """Settle a change right away; when the cluster does not answer, the job does it later."""
    try:
        with connect(topic.tenant.cluster.address) as cluster:
            settle_topic(topic.pk, cluster)
    except Fault as fault:
        log.warning("kafka_topics.waits", topic=topic.name, error=str(fault))
        return Change(topic.name, done=False)
    return Change(topic.name, done=True)


# --- the rows -----------------------------------------------------------------------------------------------
def _kept(room: Room) -> dict[str, int]:
    return dict(Topic.objects.filter(tenant=room.tenant).values_list("name", "partitions"))


def _locked(room: Room, name: str, *, deleting: bool = False) -> Topic:
    topic = (
        Topic.objects.select_for_update(of=("self",))
        .select_related("tenant__cluster", "tenant__resource")
        .filter(tenant=room.tenant, name=name)
        .first()
    )
    if topic is None:
        raise Refusal(f"There is no topic {name}.", code="topic_unknown")
    if topic.state == Topic.State.DELETING and not deleting:
        raise Refusal("This topic is being deleted.", code="topic_deleting")
    return topic


def _present_settings(resource_id: int, name: str) -> tuple[dict[str, Any], int]:
    """A topic's settings on the cluster and those it is to get, and how many replicas its partitions have."""
    topic = Topic.objects.filter(tenant__resource_id=resource_id, name=name).first()
    if topic is None:
        raise Refusal(f"There is no topic {name}.", code="topic_unknown")
    with connect(topic.tenant.cluster.address) as cluster:
        partitions = cluster.describe_topics([name]).get(name)
        if not partitions:
            raise Refusal("This topic is not on the cluster yet. Try again in a minute.", code="topic_waits")
        settings = {**cluster.topic_settings([name])[name], **topic.pending_settings}
        return settings, min(len(partition.replicas) for partition in partitions)


def _whole_name(prefix: str, own_name: str) -> str:
    own = own_name.strip().removeprefix(prefix)
    longest = LONGEST_NAME - len(prefix)
    if not own or not _NAME.fullmatch(own) or len(own) > longest:
        raise Refusal(
            "A topic's name is made of letters, digits, dots, underscores and dashes, without spaces; "
            f"{longest} characters at most after your prefix.",
            code="topic_name",
        )
    return f"{prefix}{own}"


def _as_metric(name: str) -> str:
    return name.replace(".", "_")
