"""A month's plan fees, against an oracle that counts seconds one by one."""

import calendar
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.charges import Charge, ChargeLine, metered_lines, month_charge
from billing.months import Month
from provisioning.models import Plan, PlanPeriod, Resource
from tests.support.partner import Partner

pytestmark = pytest.mark.django_db
EPOCH = datetime(2024, 1, 15, tzinfo=UTC)
HOUR = 3600
BASIC = 2_000


@pytest.fixture
def resource(plans: None) -> Resource:
    """A Kafka resource without any period."""
    made = Partner("kafkacluster").provisioned()
    made.plan_periods.all().delete()
    return made


def period(
    resource: Resource, starts: datetime, ends: datetime | None, *, cents: int = BASIC, void: bool = False
) -> None:
    PlanPeriod.objects.create(
        resource=resource,
        plan=Plan.objects.get(service="kafkacluster", slug="basic-0"),
        price_cents=cents,
        starts_at=starts,
        ends_at=ends,
        voided_at=ends if void else None,
    )


def cents_of(resource: Resource, year: int = 2026, month: int = 4, until: datetime | None = None) -> int:
    return month_charge(resource, year=year, month=month, until=until or Month(year, month).end).cents


def test_a_whole_month_costs_exactly_the_price(resource: Resource) -> None:
    period(resource, datetime(2026, 1, 1, tzinfo=UTC), None)
    for year, month in ((2026, 1), (2026, 2), (2026, 12), (2028, 2)):
        assert cents_of(resource, year, month) == BASIC


def test_half_a_month_costs_half(resource: Resource) -> None:
    period(resource, datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 16, tzinfo=UTC))
    assert cents_of(resource) == BASIC // 2


def test_what_lies_after_until_is_not_counted(resource: Resource) -> None:
    period(resource, datetime(2026, 4, 1, tzinfo=UTC), None)
    assert cents_of(resource, until=datetime(2026, 4, 4, tzinfo=UTC)) == BASIC // 10
    assert cents_of(resource, until=datetime(2026, 3, 1, tzinfo=UTC)) == 0


def test_a_provision_that_never_finished_costs_nothing(resource: Resource) -> None:
    period(resource, datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 16, tzinfo=UTC), void=True)
    assert month_charge(resource, year=2026, month=4, until=datetime(2026, 5, 1, tzinfo=UTC)).lines == ()


def test_a_period_that_ends_with_the_month_leaves_nothing_for_the_next(resource: Resource) -> None:
    period(resource, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert cents_of(resource) == 0


def test_half_a_cent_goes_to_the_even_side_once_at_the_end(resource: Resource) -> None:
    day = timedelta(days=1)
    start = datetime(2026, 4, 1, tzinfo=UTC)
    # 15 cents a month for one of thirty days is half a cent; two such periods are one cent, not nothing.
    period(resource, start, start + day, cents=15)
    assert cents_of(resource) == 0
    period(resource, start + day, start + 2 * day, cents=15)
    assert cents_of(resource) == 1
    period(resource, start + 2 * day, start + 3 * day, cents=15)
    assert cents_of(resource) == 2


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    gaps=st.lists(
        st.tuples(
            st.integers(0, 40 * 24 * HOUR),
            st.integers(0, 90 * 24 * HOUR),
            st.integers(0, 999_900),
            st.booleans(),
            st.integers(0, 999_999),
        ),
        max_size=6,
    ),
    month_number=st.integers(0, 14),
    until_seconds=st.integers(0, 500 * 24 * HOUR),
)
def test_any_history_costs_what_counting_its_seconds_gives(
    resource: Resource,
    gaps: list[tuple[int, int, int, bool, int]],
    month_number: int,
    until_seconds: int,
) -> None:
    resource.plan_periods.all().delete()
    at = EPOCH
    until = EPOCH + timedelta(seconds=until_seconds)
    year, month = 2024 + month_number // 12, month_number % 12 + 1
    start = datetime(year, month, 1, tzinfo=UTC)
    length = calendar.monthrange(year, month)[1] * 24 * HOUR
    expected = Fraction(0)
    for gap, lasts, cents, void, micros in gaps:
        begins = at + timedelta(seconds=gap, microseconds=micros)
        at = begins + timedelta(seconds=lasts)
        period(resource, begins, at, cents=cents, void=void)
        if not void:
            # A second of the month belongs to a period that is on at the moment the second is over.
            first = (begins - start) // timedelta(seconds=1)
            last = (min(at, until) - start) // timedelta(seconds=1)
            counted = max(0, min(last, length) - max(first, 0))
            expected += Fraction(cents * counted, length)
    charge = month_charge(resource, year=year, month=month, until=until)
    assert charge.exact_cents == expected
    assert charge.cents == round(expected)
    assert all(line.starts_at <= line.ends_at for line in charge.lines)


@pytest.mark.parametrize(("quantity", "cents"), [(250_000, 2), (349_999, 3), (350_000, 4), (650_000, 6)])
def test_metered_use_is_rounded_once_half_to_even(quantity: int, cents: int) -> None:
    begin, end = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    line = ChargeLine("Nova", 0, begin, end, Fraction(0), metered={"million_input_tokens": 10})
    charge = Charge(usage=tuple(metered_lines(line, {"input_tokens": quantity})))
    assert charge.usage_cents == cents
    assert charge.cents == cents
