"""The page that shows a topic's messages, and sends it a test message."""

import uuid as uuids
from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import reverse

from addon.kafkacluster.doors import Done, action, cluster_page, limits_of, tenant_of
from addon.kafkacluster.forms import LookForm, MessageForm, read
from addon.kafkacluster.messages import MOST_RECORDS, browse, budget, send_message
from addon.kafkacluster.models import Topic
from provisioning.services import Refusal
from sso.doors import DashboardRequest, member_required
from sso.frame import render_page


@cluster_page
@member_required
def index(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Some messages of one topic: the newest, or those from an offset or a time on. Without a topic, the first one."""
    tenant, limits = tenant_of(request), limits_of(request)
    topics = list(Topic.objects.filter(tenant=tenant, state=Topic.State.LIVE).values_list("name", flat=True))
    found, problem = None, ""
    given = dict.fromkeys(LookForm.base_fields, "") | request.GET.dict()
    if given["topic"] and given["topic"] not in topics:
        raise Refusal(f"There is no topic {given['topic']}.", code="topic_unknown")
    given["topic"] = given["topic"] or next(iter(topics), "")
    if given["topic"]:
        try:
            form = read(LookForm, request.GET)
            found = browse(
                tenant,
                limits,
                topic=given["topic"],
                partition=form.cleaned_data["partition"],
                position=form.as_position(),
            )
        except Refusal as refusal:
            problem = refusal.message
    context = {
        "tenant": tenant,
        "topics": topics,
        "given": given,
        "found": found,
        "problem": problem,
        "next": _next(given, found.records[-1].offset) if found and found.records else "",
        "most_records": MOST_RECORDS,
        "most_bytes": budget(limits),
    }
    return render_page(request, "kafkacluster/messages.html", context)


@action
def send(request: DashboardRequest, uuid: uuids.UUID) -> Done:
    """Send a test message."""
    given = read(MessageForm, request.POST).cleaned_data
    partition, offset = send_message(
        tenant_of(request),
        topic=given["topic"],
        key=given["key"].encode() or None,
        value=None if given["tombstone"] else given["value"].encode(),
        headers=given["headers"],
        partition=given["partition"],
        actor=request.dashboard.session.actor,
    )
    page = f"{reverse('kafkacluster:messages', args=[uuid])}?{urlencode({'topic': given['topic']})}"
    return Done(f"Sent: partition {partition}, offset {offset}", page)


def _next(given: dict[str, str], last: int) -> str:
    """The query of the records after these; in one partition only, where offsets are in line."""
    if not given["partition"] or given["start"] in ("", "newest"):
        return ""
    return urlencode(
        {"topic": given["topic"], "partition": given["partition"], "start": "offset", "offset": last + 1}
    )
