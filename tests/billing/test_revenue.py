"""Revenue by month: recurring revenue and its movements balance, gross adds up from statements, net is our share."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing import shares
from billing.charges import month_charge
from billing.closing import book_correction, close_month, request_close
from billing.models import Statement
from billing.months import Month
from billing.revenue import ServiceMonth, month_report, resource_months
from provisioning.models import Plan, PlanPeriod, Resource
from provisioning.services import all_services
from tests.support.partner import Partner

pytestmark = pytest.mark.django_db
MARCH = Month(2026, 3)
Clock = Callable[[datetime], None]
ENDS = timedelta(days=31)


@pytest.fixture(autouse=True)
def after_march(clock: Clock, plans: None) -> None:
    clock(datetime(2026, 4, 5, tzinfo=UTC))
    for slug in all_services():
        shares.set_share(service=slug, since=Month(2025, 1), percent=Decimal(70), actor="finance")


def life(*parts: tuple[str, timedelta], until: timedelta | None = None) -> Resource:
    """A resource on plans from times after March's beginning on, until a time."""
    made = Partner("kafkacluster").provisioned()
    made.plan_periods.all().delete()
    ends = [starts for _, starts in parts[1:]] + [until]
    for (slug, starts), end in zip(parts, ends, strict=True):
        plan = Plan.objects.get(service="kafkacluster", slug=slug)
        PlanPeriod.objects.create(
            resource=made,
            plan=plan,
            price_cents=plan.price_cents,
            starts_at=MARCH.start + starts,
            ends_at=None if end is None else MARCH.start + end,
        )
    return made


def kafka(month: Month = MARCH) -> ServiceMonth:
    return next(each for each in month_report(month).services if each.service == "kafkacluster")


def day(number: float) -> timedelta:
    return timedelta(days=number)


def moves() -> dict[str, tuple[int, int]]:
    return {kind: (move.resources, move.cents) for kind, move in kafka().moves.items()}


def test_each_resource_moves_once_however_often_its_plan_changed() -> None:
    life(("basic-0", day(-10)))  # stays
    life(("basic-0", day(5)))  # new
    life(("starter", day(-10)), ("free", day(3)), ("basic-0", day(20)))  # upgraded
    life(("basic-1", day(-10)), ("basic-0", day(20)))  # downgraded
    life(("basic-0", day(-10)), until=day(9))  # left
    life(("starter", day(4)), until=day(9))  # came and left
    life(("free", day(-10)), until=day(-2))  # gone before
    assert moves() == {
        "new": (2, 2_500),
        "upgraded": (1, 1_500),
        "downgraded": (1, -8_000),
        "left": (2, -2_500),
    }
    found = kafka()
    assert (found.mrr_begin, found.mrr_end) == (14_500, 8_000)
    assert found.mrr_begin + sum(move.cents for move in found.moves.values()) == found.mrr_end
    assert {row.plan: (row.resources, row.mrr_cents) for row in found.plans} == {"Basic-0": (4, 8_000)}


@pytest.mark.parametrize(("moment", "counts"), [(ENDS, 0), (ENDS - timedelta(microseconds=1), 1)])
def test_a_change_at_the_months_end_to_the_dot_is_the_next_months(moment: timedelta, counts: int) -> None:
    life(("basic-0", day(-10)), ("basic-1", moment))
    life(("basic-0", day(-10)), until=moment)
    assert moves()["upgraded"][0] == moves()["left"][0] == counts
    assert kafka().mrr_end == kafka(MARCH.next).mrr_begin


def test_any_months_movements_lead_from_its_beginning_to_its_end_and_on_to_the_next() -> None:
    rng = random.Random(7)
    plans = ["free", "starter", "basic-0", "basic-1"]
    for _ in range(25):
        at, parts = day(rng.uniform(-60, 60)), []
        for _ in range(rng.randint(1, 4)):
            parts.append((rng.choice(plans), at))
            at += rng.choice([day(rng.uniform(0, 40)), timedelta(0), timedelta(microseconds=1)])
        life(*parts, until=rng.choice([None, at]))
    months = [MARCH.plus(number) for number in (-2, -1, 0, 1)]
    for month in months:
        found = kafka(month)
        assert found.mrr_begin + sum(move.cents for move in found.moves.values()) == found.mrr_end
        assert sum(row.mrr_cents for row in found.plans) == found.mrr_end
    for month in months[:-1]:
        assert kafka(month).mrr_end == kafka(month.next).mrr_begin


def test_an_open_month_is_estimated_and_a_closed_one_adds_up_from_its_statements(clock: Clock) -> None:
    lives = [life(("basic-0", day(number))) for number in (-3, 2.5, 11, 30.99)]
    expected = sum(month_charge(each, year=2026, month=3, until=MARCH.end).cents for each in lives)
    assert (kafka().fees, kafka().gross) == (expected, expected)
    for month in (MARCH.previous, MARCH):
        request_close(month, actor="finance")
        close_month(month)
    found = kafka()
    statements = Statement.objects.filter(month=MARCH.first_day)
    assert (found.fees, found.statements) == (expected, 4)
    assert found.net == sum(each.net_cents for each in statements)
    # Changed afterwards: March stays as it is, and April takes the correction.
    book_correction(lives[0], concerns=MARCH, cents=-500, reason="An outage", actor="finance")
    assert (kafka().gross, kafka(MARCH.next).corrections) == (expected, -500)


def test_resources_are_listed_by_pages_and_found_by_name_and_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.revenue.PAGE", 2)
    lives = [life(("basic-0", day(0))) for _ in range(5)]
    Resource.objects.filter(pk=lives[3].pk).update(app_name="sharp-mountain")

    def walk() -> list[int]:
        seen: list[int] = []
        after: int | None = 0
        while after is not None:
            rows, after = resource_months(MARCH, service="kafkacluster", after=after)
            seen += [row.resource.pk for row in rows]
        return seen

    assert walk() == [each.pk for each in lives]
    request_close(MARCH, actor="finance")
    close_month(MARCH)
    assert walk() == [each.pk for each in lives]
    for query in ("mountain", str(lives[3].uuid), lives[3].uuid.hex):
        rows, _ = resource_months(MARCH, service="kafkacluster", query=query)
        assert [row.resource for row in rows] == [lives[3]]
    assert resource_months(MARCH, service="kafkacluster", query="nobody's")[0] == []
