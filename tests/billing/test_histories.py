"""Random histories of a resource's plans against an oracle of exact fractions that knows nothing of ours.

The oracle counts, for each price, the whole seconds of the month that belong to it. A seeded loop runs always;
`BILLING_HISTORIES=100000` makes it as long as wanted.
"""

import calendar
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.charges import Period, charge
from billing.months import Month

HISTORIES = int(os.environ.get("BILLING_HISTORIES", "1500"))
PRICES = (0, 1, 3, 500, 2_000, 10_000, 99_900, 999_900, 7_919)
FIRST = datetime(2023, 11, 1, tzinfo=UTC)
MONTHS = [Month.of(FIRST).plus(number) for number in range(18)]  # with a February of 29 days and one of 28


def half_even(exact: Fraction) -> int:
    """Rounded by the decimal module, which does it another way than `round` of a fraction."""
    with localcontext(prec=60):
        whole, rest = divmod(exact.numerator, exact.denominator)
        tie = (
            Decimal("0.5")
            if 2 * rest == exact.denominator
            else Decimal("0.4" if 2 * rest < exact.denominator else "0.6")
        )
        return int((Decimal(whole) + tie).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def oracle(history: list[Period], month: Month) -> tuple[Fraction, int]:
    """The exact fees of a month and the highest price that was on in it."""
    length = calendar.monthrange(month.year, month.month)[1] * 86_400
    start = month.start.timestamp()
    exact, highest = Fraction(0), 0
    for each in history:
        if each.voided:
            continue
        begins = int(each.starts_at.timestamp() - start // 1) if each.starts_at >= month.start else 0
        ends = length if each.ends_at is None else int((each.ends_at - month.start) // timedelta(seconds=1))
        ends = min(ends, length)
        if each.starts_at < month.end and (each.ends_at is None or each.ends_at > month.start):
            exact += Fraction(each.price_cents * max(0, ends - begins), length)
            highest = max(highest, each.price_cents)
    return exact, highest


def check(history: list[Period]) -> None:
    for month in MONTHS:
        if history and history[0].starts_at >= month.end:
            continue
        found = charge(history, start=month.start, end=month.end, until=month.end)
        exact, highest = oracle(history, month)
        assert found.exact_cents == exact
        assert found.fee_cents == half_even(exact) <= highest
        assert sum(line.cents for line in found.lines) == found.fee_cents
        assert all(bool(abs(line.cents - line.exact_cents) <= 1) for line in found.lines)
        if exact == highest:  # one price all month long
            assert found.fee_cents == highest


def histories(seed: int, count: int) -> Iterator[list[Period]]:
    """Lives of resources: most change plans now and then, some within a second, some on a month's border to the dot."""
    rng = random.Random(seed)
    for _ in range(count):
        at = FIRST + timedelta(seconds=rng.randrange(400 * 86_400), microseconds=rng.randrange(1_000_000))
        if rng.random() < 0.15:
            at = rng.choice(MONTHS).start + timedelta(microseconds=rng.choice((-1, 0, 1)))
        if rng.random() < 0.08:
            yield [Period("p", rng.choice(PRICES), at, at + timedelta(hours=11), voided=True)]
            continue
        history = []
        for number in range(changes := rng.choice((1, 1, 2, 2, 3, 5, 8))):
            kind = rng.random()
            if kind < 0.25:
                lasts = timedelta(microseconds=rng.randrange(2_000_000))
            elif kind < 0.45:
                lasts = max(
                    Month.of(at).end - at + timedelta(microseconds=rng.choice((-1, 0, 1))), timedelta(0)
                )
            else:
                lasts = timedelta(seconds=rng.randrange(90 * 86_400), microseconds=rng.randrange(1_000_000))
            last = number == changes - 1
            ends = None if last and rng.random() < 0.5 else at + lasts
            history.append(Period(f"p{number}", rng.choice(PRICES), at, ends))
            at += lasts
        yield history


def test_any_life_of_a_resource_costs_what_the_oracle_says_in_every_month() -> None:
    for history in histories(20_260_401, HISTORIES):
        check(history)


@settings(max_examples=150, deadline=None)
@given(
    lasting=st.lists(
        st.tuples(st.integers(0, 120 * 86_400 * 10**6), st.integers(0, 10**7)), min_size=1, max_size=6
    ),
    first=st.integers(0, 200 * 86_400 * 10**6),
)
def test_hypothesis_finds_no_history_that_the_oracle_counts_otherwise(
    lasting: list[tuple[int, int]], first: int
) -> None:
    at, history = FIRST + timedelta(microseconds=first), []
    for micros, price in lasting:
        ends = at + timedelta(microseconds=micros)
        history.append(Period("p", price, at, ends))
        at = ends
    check(history)


@settings(max_examples=100, deadline=None)
@given(
    price=st.integers(0, 10**7),
    month=st.sampled_from(MONTHS),
    cuts=st.lists(st.integers(0, 31 * 86_400 * 10**6), max_size=12),
)
def test_a_months_periods_of_one_plan_sum_to_its_price_exactly(
    price: int, month: Month, cuts: list[int]
) -> None:
    moments = sorted(min(month.start + timedelta(microseconds=cut), month.end) for cut in cuts)
    edges = [month.start - timedelta(days=3), *moments, None]
    history = [Period("p", price, begins, ends) for begins, ends in pairwise(edges) if begins]
    found = charge(history, start=month.start, end=month.end, until=month.end)
    assert found.exact_cents == price
    assert found.fee_cents == sum(line.cents for line in found.lines) == price


def test_neighbouring_months_of_an_uninterrupted_life_lose_and_double_nothing() -> None:
    # A price that divides by no month's length: each month is whole all the same.
    history = [Period("p", 7_919, FIRST, None)]
    for month in MONTHS:
        assert charge(history, start=month.start, end=month.end, until=month.end).fee_cents == 7_919
