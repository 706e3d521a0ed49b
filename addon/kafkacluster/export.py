"""A topic as a file, record by record, for a back-up before it is deleted or the add-on is removed.

JSON lines, partition by partition in the order of the offsets, up to where each partition ended when the export began;
so the last complete line of a file that broke off tells where the next one continues. It reads with the tenant's own
login, in fetches that the consume quota lets through evenly: the quota is its speed.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as Start
from kafka import TopicPartition

from addon.kafkacluster.data import Connection, connection_of, reader
from addon.kafkacluster.groups import check_topic
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import Tenant
from addon.kafkacluster.own_login import connect_as_tenant
from addon.kafkacluster.quickstart import advice
from addon.kafkacluster.records import Blob, Record
from provisioning import audit
from provisioning.services import Fault, Refusal

MOST_AT_ONCE = 8
"""Exports that one process carries; each waits most of the time for its tenant's quota."""

_THREADS = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="kafka-export")
_POLL_SECONDS = 0.5
_SILENCE_SECONDS = 20.0
"""Routers cut a connection that is silent for long (Heroku's after 55 s), so an empty line is sent after this."""


@dataclass(frozen=True)
class Piece:
    """What to read of one partition: offsets from `start` up to and without `end`."""

    partition: int
    start: int
    end: int


@dataclass(frozen=True)
class Export:
    """An export that may begin: everything it needs of Postgres is read."""

    tenant_id: int
    topic: str
    pieces: tuple[Piece, ...]
    connection: Connection
    fetch_bytes: int


_running: set[int] = set()


def begin_export(
    tenant: Tenant, limits: Limits, *, topic: str, partition: int | None, offset: int | None, actor: str
) -> Export:
    """What an export reads now; with `partition` and `offset` it continues there. Writes the audit event.

    Raises Refusal, also while another export of the tenant runs in this process, and Fault.
    """
    check_topic(tenant, topic)
    if tenant.pk in _running or len(_running) >= MOST_AT_ONCE:
        raise Refusal("An export is running. Wait until it is through, then start this one.", code="busy")
    with connect_as_tenant(tenant) as cluster:
        described = cluster.describe_topics([topic]).get(topic, ())
        if partition is not None and all(each.index != partition for each in described):
            raise Refusal("The topic has no such partition.", code="partition_unknown")
        if any(each.leader is None for each in described):
            raise Fault(f"topic {topic} has a partition without leader")
        wanted = [
            TopicPartition(topic, each.index)
            for each in described
            if partition is None or each.index >= partition
        ]
        first, end = cluster.first_offsets(wanted), cluster.end_offsets(wanted)
    pieces = []
    for each in wanted:
        start = first[each] if each.partition != partition else max(first[each], offset or 0)
        if start < end[each]:
            pieces.append(Piece(each.partition, start, end[each]))
    audit.record("topic.exported", resource=tenant.resource, actor=actor, topic=topic)
    return Export(tenant.pk, topic, tuple(pieces), connection_of(tenant), max(1000, advice(limits).fetch))


async def export_lines(export: Export) -> AsyncGenerator[bytes]:
    """The lines of an export, some at a time; the last one says that it is complete.

    Raises Fault in the middle of the file when Kafka refuses to go on: the file has no last line then.
    """
    loop = asyncio.get_running_loop()
    opened = reader(export.connection, fetch_bytes=export.fetch_bytes)
    _running.add(export.tenant_id)
    try:
        consumer: Consumer = await loop.run_in_executor(_THREADS, opened.__enter__)
        try:
            records, spoke = 0, time.monotonic()
            for piece in export.pieces:
                consumer.assign([Start(export.topic, piece.partition, piece.start)])
                through = False
                while not through:
                    messages = await loop.run_in_executor(_THREADS, _consume, consumer)
                    lines, through = _lines(messages, piece)
                    records += len(lines)
                    if lines:
                        yield b"".join(lines)
                        spoke = time.monotonic()
                    elif time.monotonic() - spoke > _SILENCE_SECONDS:
                        yield b"\n"
                        spoke = time.monotonic()
            yield _line({"complete": True, "topic": export.topic, "records": records})
        finally:
            # Not awaited when the client has gone: closing takes its time and must not be cut short.
            _THREADS.submit(opened.__exit__, None, None, None)
    finally:
        _running.discard(export.tenant_id)


def _consume(consumer: Consumer) -> list[Message]:
    return consumer.consume(500, _POLL_SECONDS)


def _lines(messages: Sequence[Message], piece: Piece) -> tuple[list[bytes], bool]:
    """The lines of these messages, and whether the piece is through."""
    lines: list[bytes] = []
    for message in messages:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                return lines, True
            if not error.retriable():
                raise Fault(f"Kafka: {error.name()}")
            continue
        record = Record.of(message)
        if record.offset < piece.end:
            lines.append(_line(_fields(record)))
        if record.offset >= piece.end - 1:
            return lines, True
    return lines, False


def _fields(record: Record) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": None if record.at is None else round(record.at.timestamp() * 1000),
        "key": _plain(record.key),
        "headers": [[name, _plain(blob)] for name, blob in record.headers],
        "value": _plain(record.value),
    }


def _plain(blob: Blob) -> str | dict[str, str] | None:
    """Text as it is, other bytes as `{"base64": …}`, nothing as null."""
    if blob.raw is None:
        return None
    try:
        return blob.raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(blob.raw).decode()}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
