"""The page that shows a topic's messages and sends it a test message, and the download of all of them."""

import uuid as uuids
from urllib.parse import urlencode

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse

from addon.kafkacluster.doors import Done, action, cluster_page, limits_of, tenant_of
from addon.kafkacluster.export import begin_export, export_lines
from addon.kafkacluster.forms import ExportForm, LookForm, MessageForm, read
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


@cluster_page
@member_required
def export(request: DashboardRequest, uuid: uuids.UUID, name: str) -> HttpResponse:
    """A topic as a download of JSON lines, from its beginning or from a partition and offset on."""
    tenant, given = tenant_of(request), read(ExportForm, request.GET).cleaned_data
    begun = begin_export(
        tenant,
        limits_of(request),
        topic=name,
        partition=given["partition"],
        offset=given["offset"],
        actor=request.dashboard.session.actor,
    )
    response = StreamingHttpResponse(export_lines(begun), content_type="application/x-ndjson")
    part = "" if given["partition"] is None else f"-from-{given['partition']}-{given['offset'] or 0}"
    response["Content-Disposition"] = f'attachment; filename="{name}{part}.jsonl"'
    # No HttpResponse by its type, but all that the doors do is to pass it on.
    return response  # type: ignore[return-value]


def _next(given: dict[str, str], last: int) -> str:
    """The query of the records after these; in one partition only, where offsets are in line."""
    if not given["partition"] or given["start"] in ("", "newest"):
        return ""
    return urlencode(
        {"topic": given["topic"], "partition": given["partition"], "start": "offset", "offset": last + 1}
    )
