"""Streams that nobody writes about any more become usage, once, by the task that beat starts."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from addon.inference.models import OpenStream, Outcome, UsageEvent
from addon.inference.tasks import settle_interrupted
from provisioning.models import Resource
from tests.inference.usage.conftest import event

pytestmark = pytest.mark.django_db


def opened(resource: Resource, *, silent_seconds: float, **fields: Any) -> OpenStream:
    """A stream that began a minute before it was last seen."""
    seen = timezone.now() - timedelta(seconds=silent_seconds)
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "at": seen - timedelta(seconds=60),
        "model": "nova-lite",
        "region": "us",
        "input_tokens": 40,
        "output_tokens": 7,
        "first_milliseconds": 90,
        "seen_at": seen,
    }
    return OpenStream.objects.create(resource=resource, **{**values, **fields})


def test_a_silent_stream_is_metered_for_what_was_known(resource: Resource) -> None:
    dead, alive = opened(resource, silent_seconds=40), opened(resource, silent_seconds=10)
    settle_interrupted()
    settle_interrupted()
    row = UsageEvent.objects.get()
    assert (row.pk, row.at, row.resource_id) == (dead.pk, dead.at, resource.pk)
    assert (row.input_tokens, row.output_tokens, row.outcome) == (40, 7, Outcome.INTERRUPTED)
    assert (row.first_milliseconds, row.milliseconds) == (90, 60_000)
    assert row.estimated
    assert row.streamed
    assert [stream.pk for stream in OpenStream.objects.all()] == [alive.pk]


def test_one_that_had_brought_nothing_costs_no_input(resource: Resource) -> None:
    opened(resource, silent_seconds=40, output_tokens=0)
    settle_interrupted()
    assert (UsageEvent.objects.get().input_tokens, UsageEvent.objects.get().output_tokens) == (0, 0)


def test_one_that_is_metered_already_is_not_metered_again(resource: Resource) -> None:
    dead = opened(resource, silent_seconds=40)
    event(resource, dead.at, id=dead.pk, output_tokens=99).save(force_insert=True)
    settle_interrupted()
    assert UsageEvent.objects.get().output_tokens == 99
    assert not OpenStream.objects.exists()


def test_open_streams_wait_for_no_log() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'inference_openstream'")
        assert cursor.fetchone() == ("u",)
