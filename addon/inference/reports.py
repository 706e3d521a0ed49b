"""What the usage page shows of a range of time: points for its charts, sums, percentiles and peaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from addon.inference.latency import BUCKETS, percentile
from addon.inference.models import Period, UsageTotal
from addon.inference.totals import PEAKS, SUMS
from provisioning.models import Resource


@dataclass(frozen=True)
class Range:
    """A range to choose: its length, the totals it is read from, and the length of time of one point."""

    slug: str
    label: str
    length: timedelta
    period: Period
    step: timedelta
    step_label: str


RANGES = {
    each.slug: each
    for each in (
        Range("1h", "1 hour", timedelta(hours=1), Period.MINUTE, timedelta(minutes=1), "minute"),
        Range("24h", "24 hours", timedelta(hours=24), Period.MINUTE, timedelta(minutes=15), "15 minutes"),
        Range("7d", "7 days", timedelta(days=7), Period.HOUR, timedelta(hours=1), "hour"),
        Range("30d", "30 days", timedelta(days=30), Period.HOUR, timedelta(hours=6), "6 hours"),
    )
}
DEFAULT_RANGE = "24h"
_COLUMNS = ("start", *SUMS, *PEAKS, "durations", "first_bytes")


def _zeros() -> list[int]:
    return [0] * BUCKETS


@dataclass
class Use:
    """What was used in some time; the names are those of `UsageTotal`."""

    requests: int = 0
    hung_up: int = 0
    broken: int = 0
    refused: int = 0
    limited: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    search_units: int = 0
    peak_requests: int = 0
    peak_tokens: int = 0
    durations: list[int] = field(default_factory=_zeros)
    first_bytes: list[int] = field(default_factory=_zeros)

    @property
    def errors(self) -> int:
        """Requests without an answer, and answers that the model cut short."""
        return self.refused + self.limited + self.failed + self.broken

    @property
    def attempts(self) -> int:
        """Every request there was."""
        return self.requests + self.refused + self.limited + self.failed

    @property
    def error_percent(self) -> float | None:
        """Errors among the attempts, in percent; None without any attempt."""
        return 100 * self.errors / self.attempts if self.attempts else None

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    def latency(self, share: float) -> float | None:
        """Milliseconds that a share of the answers did not exceed."""
        return percentile(self.durations, share)

    @property
    def p50(self) -> float | None:
        """The median answer, in milliseconds."""
        return self.latency(0.5)

    @property
    def p95(self) -> float | None:
        """19 of 20 answers took no longer, in milliseconds."""
        return self.latency(0.95)

    @property
    def p99(self) -> float | None:
        """99 of 100 answers took no longer, in milliseconds."""
        return self.latency(0.99)

    @property
    def first_p50(self) -> float | None:
        """The median stream's time to its first byte, in milliseconds."""
        return percentile(self.first_bytes, 0.5)

    @property
    def first_p95(self) -> float | None:
        """19 of 20 streams began no later, in milliseconds."""
        return percentile(self.first_bytes, 0.95)

    def add(self, row: Sequence[Any]) -> None:
        """Add one total, its columns in the order of `_COLUMNS`."""
        for name, value in zip(_COLUMNS[1:], row[1:], strict=True):
            have = getattr(self, name)
            if name in PEAKS:
                setattr(self, name, max(have, value))
            elif name in SUMS:
                setattr(self, name, have + value)
            elif any(value):
                setattr(self, name, [a + b for a, b in zip(have, value, strict=True)])


@dataclass(frozen=True)
class Point:
    """One point of the charts: the use from `start` on, for the range's step."""

    start: datetime
    use: Use


@dataclass(frozen=True)
class Report:
    """A resource's use in a range; the last point is of a time that is not over."""

    range: Range
    points: tuple[Point, ...]
    total: Use

    @property
    def busy_points(self) -> list[Point]:
        """The points with something in them, the newest first: what a table shows."""
        return [point for point in reversed(self.points) if point.use.attempts]

    def as_json(self) -> dict[str, Any]:
        """Columns for the charts: times in seconds, percentiles in milliseconds (null without an answer)."""
        uses = [point.use for point in self.points]
        columns: dict[str, list[Any]] = {"at": [int(point.start.timestamp()) for point in self.points]}
        for name in (*SUMS, "errors"):
            columns[name] = [getattr(use, name) for use in uses]
        for name in ("p50", "p95", "p99"):
            columns[name] = [
                None if value is None else round(value) for value in (getattr(u, name) for u in uses)
            ]
        return {"range": self.range.slug, "step": int(self.range.step.total_seconds()), **columns}


def usage_report(resource: Resource, chosen: Range) -> Report:
    """The use of `resource` in the range that ends now. One query of some hundred totals, however many requests."""
    step = chosen.step.total_seconds()
    last = datetime.fromtimestamp(timezone.now().timestamp() // step * step, tz=UTC)
    count = round(chosen.length / chosen.step)
    points = tuple(Point(last - chosen.step * (count - 1 - number), Use()) for number in range(count))
    first, total = points[0].start, Use()
    rows = UsageTotal.objects.filter(resource=resource, period=chosen.period, start__gte=first)
    for row in rows.order_by().values_list(*_COLUMNS):
        number = (row[0] - first) // chosen.step
        if number < count:
            points[number].use.add(row)
    for point in points:
        if point.use.attempts:
            total.add((point.start, *(getattr(point.use, name) for name in _COLUMNS[1:])))
    return Report(chosen, points, total)
