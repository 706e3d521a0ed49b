"""Closing a month: statements are written once, frozen, and what turns out later is booked in the next month."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction

from billing import closing, shares
from billing.charges import month_charge
from billing.closing import book_correction, close_month, find_corrections, request_close
from billing.ledger import ingest
from billing.models import Correction, MonthClose, Statement, StatementLine
from billing.months import Month
from provisioning import resources
from provisioning.catalogue import sync_plans
from provisioning.models import AuditEvent, Plan, PlanPeriod, Resource
from provisioning.services import Refusal, UsageReading, all_services
from tests.support.partner import Partner, at_once
from tests.support.stack import until

pytestmark = pytest.mark.django_db
MARCH, APRIL = Month(2026, 3), Month(2026, 4)
Clock = Callable[[datetime], None]


@pytest.fixture(autouse=True)
def after_march(clock: Clock) -> None:
    clock(datetime(2026, 4, 3, tzinfo=UTC))


@pytest.fixture
def resource(plans: None) -> Resource:
    """A Kafka resource that was on Basic-0 for the first ten days of March and on Basic-1 from then on."""
    made = Partner("kafkacluster").provisioned()
    made.plan_periods.all().delete()
    period(made, "basic-0", MARCH.start, MARCH.start + timedelta(days=10))
    period(made, "basic-1", MARCH.start + timedelta(days=10), None)
    return made


def period(
    resource: Resource, plan: str, starts: datetime, ends: datetime | None, *, void: bool = False
) -> None:
    found = Plan.objects.get(service=resource.service, slug=plan)
    PlanPeriod.objects.create(
        resource=resource,
        plan=found,
        price_cents=found.price_cents,
        metered=found.metered,
        starts_at=starts,
        ends_at=ends,
        voided_at=ends if void else None,
    )


def set_shares(percent: str = "70") -> None:
    for slug in all_services():
        shares.set_share(service=slug, since=Month(2025, 1), percent=Decimal(percent), actor="finance")


def close(month: Month = MARCH) -> None:
    if not shares.share_of("kafkacluster", month):
        set_shares()
    request_close(month, actor="finance")
    assert close_month(month)


def test_a_statement_tells_each_period_and_adds_up(resource: Resource) -> None:
    close()
    statement = Statement.objects.get(resource=resource)
    # 2000 * 10/31 + 10000 * 21/31 = 7419.35… cents
    assert statement.fee_cents == 7_419
    assert statement.fee_exact == "230000/31"
    assert statement.net_cents == 5_193  # 70 %: 5193.3
    lines = list(statement.lines.values_list("plan", "price_cents", "cents"))
    assert lines == [("Basic-0", 2_000, 645), ("Basic-1", 10_000, 6_774)]
    row = MonthClose.objects.get()
    assert (row.statements, row.last_error) == (1, "")
    assert row.closed_at is not None
    assert set(AuditEvent.objects.filter(event__startswith="billing.").values_list("event", flat=True)) >= {
        *("billing.close_requested", "billing.month_closed", "billing.share_set"),
    }


def test_metered_use_is_priced_by_the_period_it_fell_in(plans: None) -> None:
    made = Partner("inference").provisioned()
    made.plan_periods.all().delete()
    change = MARCH.start + timedelta(days=4, hours=7, minutes=13)
    period(made, "nova-lite", MARCH.start, change)
    period(made, "nova-pro", change, None)
    moments = (change - timedelta(seconds=1), change, MARCH.end - timedelta(microseconds=1), MARCH.end)
    ingest(
        "inference",
        [UsageReading(uuid.uuid4(), made.pk, at, "input_tokens", 1_500_000) for at in moments],
    )
    close()
    statement = Statement.objects.get(resource=made)
    # 1.5 million at 6 cents, and twice that at 80 cents; the last one is April's.
    assert [(line.plan, line.quantity, line.cents) for line in statement.lines.exclude(unit="")] == [
        ("Amazon Nova Lite", 1_500_000, 9),
        ("Amazon Nova Pro", 3_000_000, 240),
    ]
    assert (statement.fee_cents, statement.usage_cents) == (0, 249)


def test_a_provision_that_never_finished_has_no_statement(plans: None) -> None:
    made = Partner("kafkacluster").provisioned()
    made.plan_periods.all().delete()
    period(made, "basic-0", MARCH.start, MARCH.start + timedelta(hours=11), void=True)
    close()
    assert not Statement.objects.exists()


def test_a_closed_month_is_frozen_in_the_database(resource: Resource) -> None:
    close()
    statement = Statement.objects.get()
    changes: tuple[Callable[[], object], ...] = (
        lambda: Statement.objects.update(fee_cents=1),
        lambda: StatementLine.objects.all().delete(),
        lambda: MonthClose.objects.update(closed_at=None),
        lambda: MonthClose.objects.all().delete(),
        lambda: Statement.objects.create(
            resource=Partner("kafkacluster").provisioned(),
            month=MARCH.first_day,
            service="kafkacluster",
            fee_cents=1,
            fee_exact="1",
            usage_cents=0,
            usage_exact="0",
            share_percent=1,
            net_cents=0,
        ),
    )
    for change in changes:
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    statement.refresh_from_db()
    assert statement.fee_cents == 7_419


def test_a_month_that_cannot_be_closed_says_why_and_leaves_nothing(resource: Resource, clock: Clock) -> None:
    def problem(month: Month) -> str:
        with pytest.raises(Refusal) as refused:
            request_close(month, actor="finance")
        return refused.value.message

    assert "Set our share" in problem(MARCH)
    set_shares()
    clock(datetime(2026, 5, 9, tzinfo=UTC))
    assert "Close March 2026 first" in problem(APRIL)
    clock(MARCH.end + timedelta(hours=23))
    assert problem(MARCH) == "March 2026 can be closed from 2 April, 00:00 UTC on."
    assert not MonthClose.objects.exists()


def test_closing_twice_changes_nothing(resource: Resource) -> None:
    close()
    assert request_close(MARCH, actor="another").requested_by == "finance"
    assert not close_month(MARCH)
    assert Statement.objects.count() == 1


def test_a_close_that_fails_says_so_and_is_tried_again(
    resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_shares()
    request_close(MARCH, actor="finance")
    with monkeypatch.context() as planted:
        planted.setattr(closing, "_write_statements", lambda *_: 1 / 0)
        assert closing.close_requested() == []
    assert "ZeroDivisionError" in MonthClose.objects.get().last_error
    assert not Statement.objects.exists()
    assert closing.close_requested() == [MARCH]


def test_what_changes_after_the_close_is_booked_once_in_the_next_month(resource: Resource) -> None:
    close()
    frozen = Statement.objects.get()
    # It turns out that the upgrade came five days later.
    first, second = resource.plan_periods.order_by("starts_at")
    second.starts_at = MARCH.start + timedelta(days=15)
    second.save()
    first.ends_at = second.starts_at
    first.save()
    assert find_corrections() == 1
    assert find_corrections() == 0
    entry = Correction.objects.get()
    truth = month_charge(resource, year=2026, month=3, until=MARCH.end)
    assert frozen.fee_cents + entry.fee_cents == truth.fee_cents
    assert (entry.statement, entry.month, entry.concerns) == (frozen, APRIL.first_day, MARCH.first_day)
    assert frozen.net_cents + entry.net_cents == shares.net_of(truth.fee_cents, Decimal(70))
    assert "plan fees 74.19 → " in entry.reason
    with pytest.raises(DatabaseError), transaction.atomic():
        Correction.objects.update(fee_cents=0)


def test_a_provision_that_fails_after_the_months_end_gives_its_fee_back(plans: None) -> None:
    made = Partner("kafkacluster").provisioned()
    made.plan_periods.all().delete()
    period(made, "basic-0", MARCH.end - timedelta(hours=5), None)
    close()
    made.plan_periods.update(ends_at=MARCH.end + timedelta(hours=6), voided_at=MARCH.end + timedelta(hours=6))
    assert find_corrections() == 1
    assert Correction.objects.get().fee_cents == -Statement.objects.get().fee_cents < 0


def test_a_resource_that_the_close_has_missed_is_corrected_without_a_statement(resource: Resource) -> None:
    close()
    late = Partner("kafkacluster").provisioned()
    late.plan_periods.all().delete()
    period(late, "basic-0", MARCH.start, None)
    find_corrections()
    entry = Correction.objects.get()
    assert (entry.resource, entry.statement, entry.fee_cents, entry.net_cents) == (late, None, 2_000, 1_400)


def test_late_usage_of_a_closed_month_is_corrected(plans: None) -> None:
    made = Partner("inference").provisioned()
    made.plan_periods.all().delete()
    period(made, "nova-pro", MARCH.start, None)
    close()
    ingest("inference", [UsageReading(uuid.uuid4(), made.pk, MARCH.start, "output_tokens", 2_000_000)])
    find_corrections()
    assert Correction.objects.get().usage_cents == 640


def test_an_operators_correction_stays_when_the_month_is_counted_again(resource: Resource) -> None:
    close()
    entry = book_correction(resource, concerns=MARCH, cents=-1_000, reason="Goodwill", actor="finance")
    assert (entry.net_cents, entry.month) == (-700, APRIL.first_day)
    assert find_corrections() == 0
    for wrong in ({"cents": 0}, {"reason": " "}, {"concerns": APRIL}):
        given = {"concerns": MARCH, "cents": 5, "reason": "why", **wrong}
        with pytest.raises(Refusal):
            book_correction(resource, actor="finance", **given)  # type: ignore[arg-type]
    assert Correction.objects.count() == 1


def test_a_share_begins_with_an_open_month_and_leaves_the_closed_ones(resource: Resource) -> None:
    close()
    with pytest.raises(Refusal, match="is closed"):
        shares.set_share(service="kafkacluster", since=MARCH, percent=Decimal(80), actor="finance")
    shares.set_share(service="kafkacluster", since=APRIL, percent=Decimal("80.25"), actor="finance")
    assert shares.share_of("kafkacluster", MARCH) == 70
    assert shares.share_of("kafkacluster", APRIL.plus(9)) == Decimal("80.25")
    for wrong in ("-1", "100.01", "1.234"):
        with pytest.raises(Refusal):
            shares.set_share(service="kafkacluster", since=APRIL, percent=Decimal(wrong), actor="finance")


# --- an upgrade racing the month's end ----------------------------------------------------------------------
@pytest.fixture
def committed(transactional_db: None) -> Resource:
    """A resource on Basic-0 since February, in rows that other threads see."""
    sync_plans(all_services().values())
    made = Partner("kafkacluster").provisioned()
    made.plan_periods.all().delete()
    period(made, "basic-0", Month(2026, 2).start, None)
    Resource.objects.filter(pk=made.pk).update(
        plan=Plan.objects.get(service="kafkacluster", slug="basic-0"), state="provisioned"
    )
    set_shares()
    # February is not ours to close here.
    MonthClose.objects.create(
        month=Month(2026, 2).first_day, requested_by="test", closed_at=datetime(2026, 3, 3, tzinfo=UTC)
    )
    return made


def close_waits() -> bool:
    """Whether somebody waits for those who have written plan periods."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks"
            " WHERE NOT granted AND relation = 'provisioning_planperiod'::regclass)"
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_an_upgrade_that_commits_after_the_months_end_is_in_the_statement(
    committed: Resource, clock: Clock
) -> None:
    """Heroku's call came in the month's last half; its transaction is still open when the month is being closed."""
    request_close(MARCH, actor="finance")
    clock(MARCH.start + timedelta(days=15, hours=12))
    wrote, closed = threading.Event(), threading.Event()

    def slow_upgrade() -> None:
        with transaction.atomic():
            resources.change_plan(all_services()["kafkacluster"], committed.uuid, "basic-1")
            wrote.set()
            # The commit comes when the close waits for it, or when it has not waited.
            until(lambda: close_waits() or closed.is_set())

    def close_meanwhile() -> None:
        assert wrote.wait(60)
        try:
            assert close_month(MARCH)
        finally:
            closed.set()

    at_once([slow_upgrade, close_meanwhile])
    # Half a month of 20 dollars and half a month of 100.
    assert Statement.objects.get(resource=committed).fee_cents == 6_000
    assert find_corrections() == 0


@pytest.mark.django_db(transaction=True)
def test_upgrades_and_closes_at_one_instant_lose_no_cent(committed: Resource, clock: Clock) -> None:
    """Whatever order they come in: what is frozen and what is corrected together is what the periods amount to."""
    clock(MARCH.end + timedelta(days=2))
    request_close(MARCH, actor="finance")
    others = [Partner("kafkacluster").provisioned() for _ in range(4)]
    for each in others:
        each.plan_periods.all().delete()
        period(each, "basic-0", MARCH.start, None)
    moment = MARCH.end - timedelta(microseconds=200_000)

    def late_upgrade(each: Resource) -> Callable[[], None]:
        def run() -> None:
            with transaction.atomic():
                PlanPeriod.objects.filter(resource=each, ends_at=None).update(
                    ends_at=moment - timedelta(days=3)
                )
                period(each, "basic-1", moment - timedelta(days=3), None)

        return run

    def close_now() -> None:
        close_month(MARCH)

    at_once([close_now, *(late_upgrade(each) for each in others), close_now])
    find_corrections()
    assert find_corrections() == 0
    assert Statement.objects.filter(month=MARCH.first_day).count() == 5
    for each in [committed, *others]:
        frozen = Statement.objects.get(resource=each)
        corrected = sum(
            row.fee_cents for row in Correction.objects.filter(resource=each, concerns=MARCH.first_day)
        )
        truth = month_charge(each, year=2026, month=3, until=MARCH.end).fee_cents
        assert frozen.fee_cents + corrected == truth
    assert month_charge(others[0], year=2026, month=3, until=MARCH.end).fee_cents > 2_000
