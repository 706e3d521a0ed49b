"""Totals are what the rows amount to, whenever rows come, whoever dies, however often it runs."""

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from structlog.testing import capture_logs

from addon.inference import rollup, upkeep
from addon.inference.models import Period, RequestFailure, RollUpMark, UsageEvent, UsageTotal
from addon.inference.rollup import RollUp, roll_up
from provisioning.models import Heartbeat, Resource
from tests.inference.usage.conftest import counted, event, failure, requests_in, some_rows, stored

Record = Callable[..., None]


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def versions() -> set[tuple[Any, ...]]:
    """Which versions of the totals' rows there are: a row that is written anew has another one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, ctid::text FROM inference_usagetotal")
        return set(cursor.fetchall())


def test_the_totals_of_every_period_are_what_the_rows_amount_to(
    resource: Resource, other: Resource, record: Record
) -> None:
    record(
        *some_rows([resource, other], number=400, since=days_ago(3), length=timedelta(days=3), seed=1),
        *some_rows([resource], number=300, since=days_ago(0.01), length=timedelta(minutes=3), seed=2),
    )
    roll_up()
    assert stored() == counted()
    assert len({key[1] for key in stored()}) == 3
    assert max(row["peak_requests"] for row in stored().values()) > 30


def test_a_day_is_utc_s_and_a_request_belongs_where_it_was_admitted(
    resource: Resource, record: Record
) -> None:
    day = datetime.combine(days_ago(2).date(), datetime.min.time(), tzinfo=UTC)
    record(event(resource, day), event(resource, day - timedelta(microseconds=1), milliseconds=600_000))
    roll_up()
    found = {row.start: row.requests for row in UsageTotal.objects.filter(period=Period.DAY)}
    assert found == {day: 1, day - timedelta(days=1): 1}


def test_running_again_changes_and_writes_nothing(resource: Resource, record: Record) -> None:
    record(*some_rows([resource], number=50, since=days_ago(1), length=timedelta(days=1), seed=3))
    roll_up()
    before = versions()
    # The rows were written within the last seconds: they are looked at again.
    assert roll_up().minutes > 0
    assert versions() == before


def test_rows_that_come_late_are_in_their_finished_minute_hour_and_day(
    resource: Resource, record: Record
) -> None:
    record(*some_rows([resource], number=50, since=days_ago(30), length=timedelta(days=30), seed=4))
    roll_up()
    record(
        event(resource, days_ago(0)),
        event(resource, days_ago(2), milliseconds=700_000),
        failure(resource, days_ago(5), status=503),
    )
    roll_up()
    expected = {key: row for key, row in counted().items() if key[1] != "minute"}
    assert {key: row for key, row in stored().items() if key[1] != "minute"} == expected


def test_a_row_that_comes_after_its_minutes_were_purged_is_in_its_day_all_the_same(
    resource: Resource, record: Record
) -> None:
    record(*some_rows([resource], number=40, since=days_ago(21), length=timedelta(hours=2), seed=5))
    roll_up()
    upkeep.purge()
    record(event(resource, days_ago(20.95)))
    roll_up()
    longer = {key: row for key, row in counted().items() if key[1] != "minute"}
    assert stored() == longer


def test_a_row_that_is_changed_is_totalled_anew(resource: Resource, record: Record) -> None:
    record(event(resource, days_ago(1)))
    UsageEvent.objects.update(output_tokens=0, outcome="hung_up")
    RollUpMark.objects.update_or_create(pk=1, defaults={"until": timezone.now() + timedelta(hours=1)})
    roll_up()
    assert stored() == {}
    RollUpMark.objects.update(until=timezone.now())
    UsageEvent.objects.update(output_tokens=77, outcome="complete")
    roll_up()
    assert stored() == counted()


def test_a_long_backlog_is_worked_off_in_pieces_also_when_many_rows_have_one_time(
    resource: Resource, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "BATCH_MOST", 7)
    record(*some_rows([resource], number=40, since=days_ago(4), length=timedelta(days=4), seed=6))
    UsageEvent.objects.update(model="nova-lite")
    for number in range(30):
        record(event(resource, days_ago(number / 10)))
    assert roll_up().minutes >= 30
    assert stored() == counted()
    assert Heartbeat.objects.filter(name="inference-usage").exists()


@pytest.mark.parametrize("statement", range(1, 12))
def test_a_worker_that_dies_at_any_statement_leaves_what_the_next_one_finishes(
    resource: Resource, record: Record, monkeypatch: pytest.MonkeyPatch, statement: int
) -> None:
    monkeypatch.setattr(rollup, "BATCH_MOST", 10)
    record(*some_rows([resource], number=25, since=days_ago(2), length=timedelta(days=2), seed=7))
    left = statement

    class Killed(BaseException):
        pass

    def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        if sql.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "WITH", "SET")):
            left -= 1
            if left == 0:
                raise Killed
        return execute(sql, params, many, context)

    with connection.execute_wrapper(die), pytest.raises(Killed):
        roll_up()
    roll_up()
    assert stored() == counted()


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_at_once_one_does_it_and_the_totals_are_right(
    resource: Resource, record: Record
) -> None:
    record(*some_rows([resource], number=300, since=days_ago(2), length=timedelta(days=2), seed=8))
    start, results = threading.Barrier(4), []

    def work() -> None:
        start.wait()
        try:
            results.append(roll_up())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert stored() == counted()


@pytest.mark.django_db(transaction=True)
def test_a_worker_leaves_it_to_the_one_that_is_at_it(resource: Resource, record: Record) -> None:
    record(event(resource, days_ago(1)))
    roll_up()
    record(event(resource, days_ago(1)))
    with psycopg.connect(address()) as at_it:
        at_it.execute("SELECT * FROM inference_rollupmark FOR UPDATE")
        assert roll_up() == RollUp(0, left_to_another=True)
    assert roll_up().minutes == 1
    assert requests_in(Period.DAY) == 2


@pytest.mark.django_db(transaction=True)
def test_rows_whose_commit_takes_long_are_not_passed_over(
    resource: Resource, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the allowance for clocks, which would hide what this is about.
    known = rollup.KNOWN_UNTIL.replace("5 seconds", "0 seconds")
    assert known != rollup.KNOWN_UNTIL
    monkeypatch.setattr(rollup, "KNOWN_UNTIL", known)
    at = days_ago(1)
    with psycopg.connect(address()) as slow:
        slow.execute(
            "INSERT INTO inference_usageevent (id, resource_id, at, model, region, input_tokens, output_tokens, "
            "cached_tokens, search_units, outcome, estimated, streamed, first_milliseconds, milliseconds) "
            "VALUES (gen_random_uuid(), %s, %s, 'nova-lite', 'us', 1, 1, 0, 0, 'complete', false, false, 1, 1)",
            [resource.pk, at],
        )
        record(event(resource, at))
        roll_up()
        assert requests_in(Period.DAY) == 1
    roll_up()
    assert requests_in(Period.DAY) == 2
    assert stored() == counted()


def test_a_recount_finds_and_mends_what_differs_and_nothing_else(
    resource: Resource, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    record(*some_rows([resource], number=200, since=days_ago(20), length=timedelta(days=19), seed=9))
    roll_up()
    call_command("recount_usage")
    assert "Every total is what its rows amount to." in capsys.readouterr().out

    # As if the rows were older than the last seconds, which every roll-up looks at again and so mends.
    RollUpMark.objects.update(until=timezone.now() + timedelta(hours=1))
    hour = UsageTotal.objects.filter(period=Period.HOUR, requests__gt=0).order_by("start").last()
    assert hour
    UsageTotal.objects.filter(pk=hour.pk).update(input_tokens=hour.input_tokens + 1)
    gone = UsageTotal.objects.filter(period=Period.DAY).order_by("start").first()
    assert gone
    gone.delete()
    invented = UsageTotal.objects.filter(period=Period.MINUTE, start__gte=days_ago(13)).first()
    assert invented
    invented.pk, invented.model = None, "nova-micro"
    invented.save()
    with pytest.raises(CommandError, match="3 totals differ"):
        call_command("recount_usage", "--json")
    assert len(json.loads(capsys.readouterr().out)["differences"]) == 3
    with pytest.raises(CommandError, match="3 totals differ"):
        call_command("recount_usage", "--dry-run")
    told = capsys.readouterr().out
    assert f"hour {hour.start:%Y-%m-%d %H:%M} resource {resource.pk} {hour.model}" in told
    assert "nova-micro" in told
    call_command("recount_usage", "--fix")
    assert "3 totals put right" in capsys.readouterr().out
    call_command("recount_usage")
    kept = {k: r for k, r in counted().items() if k[1] != "minute" or k[2] >= days_ago(13)}
    assert {k: r for k, r in stored().items() if k[1] != "minute" or k[2] >= days_ago(13)} == kept


def test_a_row_later_than_the_retention_leaves_the_totals_of_then_alone(
    resource: Resource, record: Record
) -> None:
    record(event(resource, days_ago(95)))
    with capture_logs() as logs:
        roll_up()
    assert stored() == {}
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["inference.usage.too_late"]


def test_what_is_old_is_deleted_and_its_totals_stay(
    resource: Resource, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(
        *(event(resource, days_ago(days), recorded_at=days_ago(days)) for days in (1, 50, 100, 500)),
        failure(resource, days_ago(100), recorded_at=days_ago(100)),
        failure(resource, days_ago(1)),
    )
    with monkeypatch.context() as then:
        then.setattr(rollup, "usage_retention", lambda: timedelta(days=1000))
        roll_up()
    purged = upkeep.purge()
    assert (purged.events, purged.failures) == (2, 1)
    assert {(days_ago(0) - row.at).days for row in UsageEvent.objects.all()} == {1, 50}
    assert RequestFailure.objects.count() == 1
    assert requests_in(Period.MINUTE) == 1
    assert requests_in(Period.HOUR) == 3
    assert requests_in(Period.DAY) == 4


def test_a_row_that_was_not_rolled_up_is_never_deleted(
    resource: Resource, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(event(resource, days_ago(100), recorded_at=days_ago(100)))
    assert upkeep.purge().events == 0
    with monkeypatch.context() as then:
        then.setattr(rollup, "usage_retention", lambda: timedelta(days=1000))
        roll_up()
    assert upkeep.purge().events == 1
    assert requests_in(Period.DAY) == 1


def address() -> str:
    """The test's database."""
    shared = urlsplit(os.environ["DATABASE_URL"])
    return shared._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
