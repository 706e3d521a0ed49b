"""Calendar months in UTC: what statements, partitions and payouts go by."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self

_TEXT = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class Month:
    """One month. `str()` of it is `2026-03`."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The month written `2026-03`; ValueError when it is not."""
        found = _TEXT.fullmatch(text)
        if found is None or not 2000 <= int(found[1]) <= 9998:
            raise ValueError(f"{text!r} is not a month such as 2026-03")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, at: datetime | date) -> Self:
        """The month that a moment (UTC) or a day lies in."""
        day = at.astimezone(UTC) if isinstance(at, datetime) else at
        return cls(day.year, day.month)

    @property
    def start(self) -> datetime:
        """The first moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.next.start

    @property
    def first_day(self) -> date:
        """How rows store the month."""
        return date(self.year, self.month, 1)

    @property
    def label(self) -> str:
        """`March 2026`."""
        return f"{self.first_day:%B %Y}"

    @property
    def next(self) -> "Month":
        """The month after it."""
        return self.plus(1)

    @property
    def previous(self) -> "Month":
        """The month before it."""
        return self.plus(-1)

    def plus(self, months: int) -> "Month":
        """So many months later."""
        number = self.year * 12 + self.month - 1 + months
        return Month(number // 12, number % 12 + 1)
