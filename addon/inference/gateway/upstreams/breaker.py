"""A circuit breaker: keeps requests away from a server that is down."""

import time

from addon.inference.gateway.errors import unavailable

OPEN_AFTER_FAILURES = 5
OPEN_SECONDS = 5.0


class Breaker:
    """Opens after failures in a row. Then one request in OPEN_SECONDS may try, and if that works, it closes."""

    def __init__(self) -> None:
        self._failures, self._next_try = 0, 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server is taken to be down."""
        return self._failures >= OPEN_AFTER_FAILURES

    def check(self) -> None:
        """Raise ApiError 503 while the server is taken to be down and it is nobody's turn to try."""
        if not self.is_open:
            return
        now = time.monotonic()
        if now < self._next_try:
            raise unavailable("The model is unavailable right now. Please try again.")
        self._next_try = now + OPEN_SECONDS

    def succeeded(self) -> None:
        """The server answered."""
        self._failures = 0

    def failed(self) -> None:
        """The server did not answer, or with a fault of its own."""
        self._failures += 1
        self._next_try = time.monotonic() + OPEN_SECONDS
