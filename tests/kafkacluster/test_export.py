"""A topic as a file: whole, in order, continued where it broke off, and no faster than the plan."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from addon.kafkacluster import export
from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.export import Export, begin_export, export_lines
from addon.kafkacluster.limits import Limits
from provisioning.models import AuditEvent
from provisioning.services import Fault, Refusal
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.test_messages import fill
from tests.kafkacluster.test_pages import address, browser_of
from tests.kafkacluster.test_topics import ADA, make

pytestmark = pytest.mark.django_db(transaction=True)
New = Callable[..., Customer]


def begin(shop: Customer, topic: str, *, partition: int | None = None, offset: int | None = None) -> Export:
    assert shop.resource.plan is not None
    limits = Limits.of(shop.resource)
    return begin_export(shop.tenant, limits, topic=topic, partition=partition, offset=offset, actor=ADA)


def exported(
    shop: Customer,
    topic: str,
    *,
    partition: int | None = None,
    offset: int | None = None,
    lines: int | None = None,
) -> list[dict[str, Any]]:
    """The lines of an export, or only so many of them when the client hangs up then."""
    begun = begin(shop, topic, partition=partition, offset=offset)

    async def collect() -> bytes:
        found, stream = b"", export_lines(begun)
        async for some in stream:
            found += some
            if lines is not None and found.count(b"\n") >= lines:
                break
        await stream.aclose()
        return found

    return [json.loads(line) for line in asyncio.run(collect()).splitlines()[:lines] if line]


def test_every_record_is_there_in_order_with_everything_it_has(customer: New) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop, partitions=2)
    shop.send_to(topic, b"text", partition=1, key="k", headers=[("h", b"1"), ("raw", b"\xff")])
    shop.send_to(topic, b"\xff\x00", partition=1)
    shop.send_to(topic, None, partition=0, key="gone")
    first, second, third, last = exported(shop, topic)
    assert (first["partition"], first["key"], first["value"]) == (0, "gone", None)
    assert (second["value"], second["headers"]) == ("text", [["h", "1"], ["raw", {"base64": "/w=="}]])
    assert abs(second["timestamp"] / 1000 - time.time()) < 120
    assert third["value"] == {"base64": "/wA="}
    assert last == {"complete": True, "topic": topic, "records": 3}
    assert AuditEvent.objects.get(event="topic.exported").detail == {"topic": topic}


def test_an_empty_topic_is_a_file_that_says_so(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    assert exported(shop, topic) == [{"complete": True, "topic": topic, "records": 0}]


def test_one_that_broke_off_continues_after_its_last_line_and_nothing_is_lost_or_twice(customer: New) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop, partitions=2)
    for partition in (0, 1):
        fill(shop, topic, 40, partition=partition)
    broken = exported(shop, topic, lines=55)
    last = broken[-1]
    rest = exported(shop, topic, partition=last["partition"], offset=last["offset"] + 1)
    assert rest[-1]["records"] == 25
    places = [(line["partition"], line["offset"]) for line in (*broken, *rest[:-1])]
    assert places == [(partition, offset) for partition in (0, 1) for offset in range(40)]


def test_records_that_come_meanwhile_are_no_part_of_it_so_it_ends(customer: New) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop)
    fill(shop, topic, 5)
    begun = begin(shop, topic)
    fill(shop, topic, 5)
    assert [(piece.start, piece.end) for piece in begun.pieces] == [(0, 5)]


def test_it_is_no_faster_than_the_consume_quota(customer: New) -> None:
    shop = customer()
    topic = make(shop)
    fill(shop, topic, 45, size=1_200)
    began = time.monotonic()
    found = exported(shop, topic)
    seconds = time.monotonic() - began
    assert found[-1]["records"] == 45
    # 54 kB at 6 kB/s, of which Kafka lets four or five seconds' worth through at once.
    assert seconds > 54_000 / 6_000 - 6


def test_another_tenant_s_topic_is_unknown_and_a_lost_right_ends_the_file_without_its_last_line(
    customer: New, cluster: Cluster
) -> None:
    owner, stranger = customer(plan="basic-0"), customer()
    topic = make(owner)
    fill(owner, topic, 3)
    with pytest.raises(Refusal, match="no topic"):
        begin(stranger, topic)
    begun = begin(owner, topic)
    cluster.revoke_grants(owner.user)

    async def download() -> list[bytes]:
        return [some async for some in export_lines(begun)]

    with pytest.raises(Fault, match="AUTHORIZATION"):
        asyncio.run(download())
    assert export._running == set()


def test_a_second_one_at_once_is_refused(customer: New, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = customer()
    topic = make(shop)
    monkeypatch.setattr(export, "_running", {shop.tenant.pk})
    with pytest.raises(Refusal, match="An export is running"):
        begin(shop, topic)


def test_it_touches_no_group(customer: New, cluster: Cluster) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop)
    fill(shop, topic, 3)
    exported(shop, topic)
    assert cluster.groups(shop.tenant.prefix) == []


def test_a_member_downloads_it_and_a_viewer_does_not(customer: New) -> None:
    shop = customer(plan="basic-0")
    topic = make(shop)
    fill(shop, topic, 3)
    member, viewer = AsyncClient(), AsyncClient()
    member.cookies = browser_of(shop).cookies
    viewer.cookies = browser_of(shop, user_scoped_resource_token=None, at=time.time() - 9).cookies

    async def download(client: AsyncClient, **query: str) -> tuple[Any, bytes]:
        answer = await client.get(address(shop, "export-topic", topic), query)
        if not answer.streaming:
            return answer, answer.content
        chunks: AsyncIterator[bytes] = answer.streaming_content  # type: ignore[attr-defined]
        return answer, b"".join([some async for some in chunks])

    answer, content = async_to_sync(download)(member)
    assert answer["Content-Disposition"] == f'attachment; filename="{topic}.jsonl"'
    assert "no-store" in answer["Cache-Control"]
    assert [json.loads(line).get("offset") for line in content.splitlines()] == [0, 1, 2, None]
    answer, content = async_to_sync(download)(member, partition="0", offset="2")
    assert topic in answer["Content-Disposition"]
    assert [json.loads(line).get("offset") for line in content.splitlines()] == [2, None]
    assert async_to_sync(download)(viewer)[0].status_code == 403
    assert async_to_sync(download)(member, partition="7")[0].status_code == 422
    assert async_to_sync(download)(AsyncClient())[0].status_code == 401
