"""Times in buckets: counts that can be added up over minutes, hours and days, and percentiles read from the sum.

Each bucket is half as wide again as the one before it (the square root of two), so a percentile is told within a fifth
of its value, as a rule much closer; the exact times of single requests stand in their rows.
"""

from collections.abc import Sequence
from itertools import pairwise

BOUNDS = tuple(round(10 * 2 ** (step / 2)) for step in range(33))
"""Milliseconds: bucket `n` holds times from `BOUNDS[n - 1]` to below `BOUNDS[n]`, the first and the last are open."""
BUCKETS = len(BOUNDS) + 1
_EDGES = tuple(pairwise((0, *BOUNDS, BOUNDS[-1])))


def percentile(counts: Sequence[int], share: float) -> float | None:
    """The time in milliseconds that `share` (0 to 1) of the counted requests did not exceed; None when none is counted.

    Within a bucket times are taken as evenly spread. What lies above the last bound is told as the bound.
    """
    rank = share * sum(counts)
    if rank <= 0:
        return None
    below = 0
    for count, (low, high) in zip(counts, _EDGES, strict=True):
        if count and below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below += count
    raise AssertionError("unreachable")
