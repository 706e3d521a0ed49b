"""The usage ledger: what comes in stands once, whatever is told twice, late, at once or otherwise than before."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import ledger, partitions, recount
from billing.ledger import ingest, used_between
from billing.models import UsageRecord, UsageTotal
from billing.months import Month
from provisioning.catalogue import sync_plans
from provisioning.models import Resource
from provisioning.services import UsageReading, all_services
from tests.support.partner import Partner, at_once

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def april(clock: Callable[[datetime], None]) -> None:
    clock(NOW)


@pytest.fixture
def resource(plans: None) -> Resource:
    return Partner("inference").provisioned()


def reading(
    resource: Resource,
    quantity: int,
    *,
    at: datetime = NOW,
    event: uuid.UUID | None = None,
    unit: str = "input_tokens",
) -> UsageReading:
    return UsageReading(event or uuid.uuid4(), resource.pk, at, unit, quantity)


def used(resource: Resource, unit: str = "input_tokens") -> int:
    month = Month.of(NOW)
    return used_between([resource.pk], begin=month.start, end=month.end).get((resource.pk, unit), 0)


def assert_totals_are_right() -> None:
    begin, end = NOW - timedelta(days=400), NOW + timedelta(days=2)
    assert recount.differences(begin=begin.replace(hour=0), end=end.replace(hour=0)) == []


def test_the_same_readings_again_change_nothing(resource: Resource) -> None:
    readings = [reading(resource, number) for number in range(1, 50)]
    assert ingest("inference", readings).records == 49
    again = ingest("inference", [*readings, *readings])
    assert (again.records, again.corrections) == (0, 0)
    assert used(resource) == sum(range(1, 50))
    assert_totals_are_right()


def test_an_event_told_with_another_quantity_is_corrected_by_a_record_of_the_difference(
    resource: Resource,
) -> None:
    event = uuid.uuid4()
    for told in (100, 40, 40, 0, 0, 70):
        ingest("inference", [reading(resource, told, event=event)])
        assert used(resource) == told
    assert list(UsageRecord.objects.order_by("revision").values_list("revision", "quantity")) == [
        *((0, 100), (1, -60), (2, -40), (3, 70)),
    ]
    assert_totals_are_right()


def test_a_quantity_of_nothing_leaves_no_record(resource: Resource) -> None:
    assert ingest("inference", [reading(resource, 0)]).records == 0
    assert not UsageRecord.objects.exists()


def test_one_event_told_twice_in_one_call_counts_as_told_last(resource: Resource) -> None:
    event = uuid.uuid4()
    ingest("inference", [reading(resource, 5, event=event), reading(resource, 8, event=event)])
    assert used(resource) == 8
    assert_totals_are_right()


def test_units_and_resources_are_kept_apart(resource: Resource) -> None:
    other, event = Partner("inference").provisioned(), uuid.uuid4()
    ingest(
        "inference",
        [
            reading(resource, 1, event=event),
            reading(resource, 20, event=event, unit="output_tokens"),
            reading(other, 300),
        ],
    )
    assert (used(resource), used(resource, "output_tokens"), used(other)) == (1, 20, 300)


def test_what_is_older_than_the_retention_or_from_the_future_is_refused_and_counted(
    resource: Resource,
) -> None:
    oldest = partitions.oldest_kept().start
    result = ingest(
        "inference",
        [
            reading(resource, 1, at=oldest - timedelta(microseconds=1)),
            reading(resource, 2, at=oldest),
            reading(resource, 4, at=NOW + ledger.CLOCKS_APART),
        ],
    )
    assert (result.records, result.refused) == (1, 2)


@pytest.mark.parametrize(
    "statement", ["UPDATE billing_usagerecord SET quantity = 1", "DELETE FROM billing_usagerecord"]
)
def test_records_cannot_be_changed_or_deleted(resource: Resource, statement: str) -> None:
    ingest("inference", [reading(resource, 7)])
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    told=st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 3 * 24 * 3600),
            st.sampled_from(["input_tokens", "bytes_in"]),
            st.integers(0, 10**12),
        ),
        max_size=30,
    ),
    cut=st.integers(1, 7),
    span=st.tuples(st.integers(0, 4 * 24 * 3600), st.integers(0, 4 * 24 * 3600)),
)
def test_whatever_is_told_in_whatever_pieces_the_totals_equal_the_records(
    resource: Resource,
    told: list[tuple[int, int, str, int]],
    cut: int,
    span: tuple[int, int],
) -> None:
    # An event keeps its time: the first one told for it.
    namespace = uuid.uuid4()
    times: dict[int, datetime] = {}
    truth: dict[tuple[int, str], int] = {}
    before = used_between([resource.pk], begin=NOW - timedelta(days=5), end=NOW)
    begin, end = sorted(NOW - timedelta(days=4) + timedelta(seconds=each) for each in span)
    before_span = used_between([resource.pk], begin=begin, end=end)
    readings = []
    for event, seconds, unit, quantity in told:
        at = times.setdefault(event, NOW - timedelta(days=4) + timedelta(seconds=seconds))
        readings.append(
            reading(resource, quantity, at=at, event=uuid.uuid5(namespace, str(event)), unit=unit)
        )
        truth[event, unit] = quantity
    for start in range(0, len(readings), cut):
        ingest("inference", readings[start : start + cut])
    for unit in ("input_tokens", "bytes_in"):
        key = (resource.pk, unit)
        whole = used_between([resource.pk], begin=NOW - timedelta(days=5), end=NOW).get(key, 0)
        assert whole - before.get(key, 0) == sum(each for (_, of), each in truth.items() if of == unit)
        part = used_between([resource.pk], begin=begin, end=end).get(key, 0)
        assert part - before_span.get(key, 0) == sum(
            each for (event, of), each in truth.items() if of == unit and begin <= times[event] < end
        )
    assert_totals_are_right()


def test_the_recount_finds_and_mends_totals_that_are_wrong_missing_or_too_many(resource: Resource) -> None:
    ingest("inference", [reading(resource, 10, at=NOW - timedelta(hours=hours)) for hours in range(30)])
    assert recount.check_totals(days=3, fix=True) == []
    UsageTotal.objects.filter(period="day").order_by("start").first().delete()  # type: ignore[union-attr]
    UsageTotal.objects.filter(period="hour").order_by("start").filter(start__hour=5).update(quantity=11)
    UsageTotal.objects.create(
        resource=resource,
        period="hour",
        start=NOW.replace(hour=23) - timedelta(days=2),
        unit="x",
        quantity=1,
        records=1,
    )
    found = recount.check_totals(days=3, fix=True)
    assert len(found) == 3
    assert recount.check_totals(days=3, fix=False) == []
    assert used(resource) == 300


def test_partitions_are_made_ahead_once_and_a_record_lies_in_its_months(resource: Resource) -> None:
    with connection.cursor() as cursor:
        for month in partitions.present_months():
            cursor.execute(f"DROP TABLE {partitions.partition_of(month)}")
    assert [str(month) for month in partitions.make_ahead()] == ["2026-04", "2026-05", "2026-06", "2026-07"]
    assert partitions.make_ahead() == []
    ingest("inference", [reading(resource, 3), reading(resource, 4, at=NOW - timedelta(days=31))])
    assert Month(2026, 3) in partitions.present_months()
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(quantity) FROM billing_usagerecord_2026_03")
        assert cursor.fetchone() == (4,)


def test_old_partitions_are_dropped_when_their_month_is_closed_or_nothing_is_in_them(
    resource: Resource, clock: Callable[[datetime], None]
) -> None:
    march, february = Month(2026, 3), Month(2026, 2)
    ingest("inference", [reading(resource, 4, at=march.start), reading(resource, 4, at=february.start)])
    clock(datetime(2028, 1, 1, tzinfo=UTC))
    partitions.ensure_partitions({Month(2026, 1), Month(2027, 12)})
    dropped = partitions.drop_expired(closed={february})
    assert {Month(2026, 1), february} <= set(dropped)
    assert march not in dropped
    assert march in partitions.present_months()
    assert Month(2027, 12) in partitions.present_months()
    # What the records amounted to outlives them.
    totals = UsageTotal.objects.filter(period="day", start=february.start)
    assert [total.quantity for total in totals] == [4]


@pytest.mark.django_db(transaction=True)
def test_the_same_readings_from_eight_writers_at_once_are_kept_once() -> None:
    sync_plans(all_services().values())
    resource = Partner("inference").provisioned()
    readings = [reading(resource, 3, at=NOW - timedelta(minutes=number)) for number in range(200)]
    backwards = readings[::-1]

    def call(number: int) -> Callable[[], int]:
        return lambda: ingest("inference", backwards if number % 2 else readings).records

    assert sum(at_once([call(number) for number in range(8)])) == 200
    assert used(resource) == 600
    assert_totals_are_right()


def test_the_command_tells_what_differs_and_mends_it(
    resource: Resource, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest("inference", [reading(resource, 10)])
    call_command("recount_ledger")
    assert "Every total is what" in capsys.readouterr().out
    UsageTotal.objects.filter(period="day").update(quantity=9)
    with pytest.raises(CommandError, match="1 totals differ"):
        call_command("recount_ledger", json=True)
    told = json.loads(capsys.readouterr().out)
    assert [(each["stored"], each["counted"]) for each in told["differences"]] == [(9, 10)]
    assert not told["fixed"]
    call_command("recount_ledger", fix=True)
    assert "9 stored, 10 counted" in capsys.readouterr().out
    assert used(resource) == 10
