"""The sandbox's clock: it can be moved forward and sped up, and it survives a restart."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from sandbox.store import Store


class Clock:
    """Sandbox time in seconds since the epoch; every expiry of the sandbox is measured on it.

    ``offset`` moves it relative to real time once, ``speed`` makes it run faster from then on. What the
    sandbox tells others to measure on their own clocks (SSO timestamps, ``expires_in``, ``expires_at``)
    is given in real time, see ``real_seconds``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        saved = store.row("SELECT value FROM meta WHERE key = 'clock'")
        state = json.loads(saved["value"]) if saved else {"real": 0.0, "sandbox": 0.0, "speed": 1.0}
        self._real: float = state["real"]
        self._sandbox: float = state["sandbox"]
        self.speed: float = state["speed"]

    def now(self) -> float:
        """Sandbox time, in seconds since the epoch."""
        return self._sandbox + (time.time() - self._real) * self.speed

    def real_seconds(self, sandbox_seconds: float) -> float:
        """How long a stretch of sandbox time lasts on an ordinary clock, at the present speed."""
        return sandbox_seconds / self.speed

    def change(
        self, *, advance: float = 0.0, offset: float | None = None, speed: float | None = None
    ) -> None:
        """Move the clock (``offset``: seconds ahead of real time; ``advance``: seconds from where it is)
        and set its speed (1 is real time). Raises ValueError for a speed that is not above 0."""
        if speed is not None and not 0 < speed <= 1_000_000:
            raise ValueError("speed must be above 0 and at most 1000000")
        real = time.time()
        sandbox = real + offset if offset is not None else self.now()
        self._real, self._sandbox = real, sandbox + advance
        self.speed = speed if speed is not None else self.speed
        value = json.dumps({"real": self._real, "sandbox": self._sandbox, "speed": self.speed})
        self._store.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('clock', ?)", value)

    def as_json(self) -> dict[str, Any]:
        """The clock as the control API shows it: ``now`` (ISO 8601), ``offset`` in seconds, ``speed``."""
        now = self.now()
        # + 0.0: the sum has no minus before nothing.
        return {"now": iso(now), "offset": round(now - time.time(), 3) + 0.0, "speed": self.speed}


def iso(seconds: float) -> str:
    """A Platform API timestamp: ISO 8601, UTC, whole seconds, ``Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def vendor_time(seconds: float) -> str:
    """The ``oauth_grant.expires_at`` format of the Partner API: the offset carries no colon."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S-0000")
