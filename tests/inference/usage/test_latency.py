"""Percentiles read from buckets are near the exact ones."""

from hypothesis import given
from hypothesis import strategies as st

from addon.inference.latency import BOUNDS, BUCKETS, percentile
from tests.inference.usage.conftest import bucket


@given(
    times=st.lists(st.integers(min_value=10, max_value=600_000), min_size=1, max_size=300),
    share=st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]),
)
def test_a_percentile_is_within_the_bucket_of_the_exact_one(times: list[int], share: float) -> None:
    counts = [0] * BUCKETS
    for time in times:
        counts[bucket(time)] += 1
    exact = sorted(times)[max(0, -(-int(share * len(times) * 1000) // 1000) - 1)]
    found = percentile(counts, share)
    assert found is not None
    assert exact / 1.45 <= found <= exact * 1.45


def test_without_requests_there_is_no_percentile() -> None:
    assert percentile([0] * BUCKETS, 0.5) is None


def test_what_takes_longer_than_all_bounds_is_told_as_the_last() -> None:
    counts = [0] * BUCKETS
    counts[-1] = 3
    assert percentile(counts, 0.99) == BOUNDS[-1]
