"""Requests and tokens per minute: taken together or not at all, exact across processes.

A request takes its place in the last 60 seconds and reserves the tokens it may use; what it did use is settled at the
end. Redis keeps the window. While Redis is away every process keeps one of its own: no answer is refused for that
reason, and operators are told.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import structlog

from addon.inference.gateway import metrics
from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.redis_line import NO_SCRIPT, RedisLine, RedisRefusal, Word

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60.0
REDIS_PATIENCE_SECONDS = 2.0
"""On a machine that is short of time every answer is late: a late Redis must not be taken for one that is away."""
REDIS_QUIET_SECONDS = 3.0
SETTLE_SECONDS = 0.005
"""How long a settlement waits for a request whose way to Redis it can share: till then too much is reserved."""
BATCH_MOST = 64
_SCRIPT = (Path(__file__).parent / "admit.lua").read_text()


@dataclass(frozen=True, slots=True)
class Ask:
    """One line for the script: what, of whose window, under which id, with how many tokens and which limits."""

    what: str
    window: str
    id: str
    tokens: int
    requests_per_minute: int = 0
    tokens_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """A request's place in the window, and how the window stands with it."""

    ask: Ask
    admitted: bool
    requests: int
    tokens: int
    wait_milliseconds: int
    empty_milliseconds: int

    def headers(self) -> dict[str, str]:
        """Both families as OpenAI's clients read them; resets are durations until the window is empty."""
        reset = duration(self.empty_milliseconds)
        ask = self.ask
        found = {
            "x-ratelimit-limit-requests": str(ask.requests_per_minute),
            "x-ratelimit-remaining-requests": str(max(0, ask.requests_per_minute - self.requests)),
            "x-ratelimit-reset-requests": reset,
        }
        if ask.tokens_per_minute:
            found["x-ratelimit-limit-tokens"] = str(ask.tokens_per_minute)
            found["x-ratelimit-remaining-tokens"] = str(max(0, ask.tokens_per_minute - self.tokens))
            found["x-ratelimit-reset-tokens"] = reset
        return found


def duration(milliseconds: int) -> str:
    """`1m0s`, `12.5s`, `300ms`: the form of OpenAI's reset headers."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"


class LocalWindow:
    """One resource's last 60 seconds in one process, while Redis is away."""

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self._seconds = seconds
        self._entries: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._sum = 0

    def admit(self, ask: Ask) -> Admission:
        """Take a place, or tell how long until there is one."""
        now, wait = time.monotonic(), 0.0
        while self._entries:
            oldest_id, (at, tokens) = next(iter(self._entries.items()))
            if at > now - self._seconds:
                break
            del self._entries[oldest_id]
            self._sum -= tokens
        used = len(self._entries)
        if used >= ask.requests_per_minute:
            ages = [at for at, _ in self._entries.values()]
            wait = ages[used - ask.requests_per_minute] + self._seconds - now
        excess = self._sum + ask.tokens - ask.tokens_per_minute
        if ask.tokens_per_minute and excess > 0:
            for at, tokens in self._entries.values():
                excess -= tokens
                wait = max(wait, at + self._seconds - now)
                if excess <= 0:
                    break
        if wait <= 0:
            self._entries[ask.id] = (now, ask.tokens)
            self._sum += ask.tokens
            return Admission(ask, True, used + 1, self._sum, 0, int(self._seconds * 1000))
        newest = next(reversed(self._entries.values()), (now, 0))[0]
        empty = ceil((newest + self._seconds - now) * 1000)
        return Admission(ask, False, used, self._sum, ceil(wait * 1000), empty)

    def settle(self, ask: Ask) -> None:
        """Put the tokens that were used in place of the reserved ones; a cancelled request gives its place back."""
        if ask.id not in self._entries:
            return
        at, reserved = self._entries[ask.id]
        self._sum += ask.tokens - reserved
        if ask.what == "cancel":
            del self._entries[ask.id]
        else:
            self._entries[ask.id] = (at, ask.tokens)


class Limiter:
    """Admits and settles. Concurrent requests share round trips: one is under way, the next gathers what comes."""

    def __init__(self, url: str, *, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window = window_seconds
        self._redis = RedisLine(url, patience_seconds=REDIS_PATIENCE_SECONDS)
        self._sha = "0" * 40
        self._waiting: list[tuple[Ask, asyncio.Future[Admission | None] | None]] = []
        self._sender: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._quiet_until = 0.0
        self._away = False
        self._local: dict[str, LocalWindow] = {}

    async def admit(self, ask: Ask) -> Admission:
        """Take a place for `ask`; ApiError 429 with the exact wait, or 400 for what can never be admitted."""
        if ask.tokens_per_minute and ask.tokens > ask.tokens_per_minute:
            raise ApiError(
                400,
                f"This request may need {ask.tokens:,} tokens (its input and its maximum of output), more than the "
                f"{ask.tokens_per_minute:,} per minute that the plan allows. Send less, or lower max_tokens.",
                code="request_exceeds_limit",
            )
        future: asyncio.Future[Admission | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, future))
        self._wake()
        admission = await future
        if admission is None:
            metrics.count_local_admission()
            admission = self._local.setdefault(ask.window, LocalWindow(self._window)).admit(ask)
        if not admission.admitted:
            raise _too_many(admission)
        return admission

    def settle(self, admission: Admission, *, tokens: int) -> None:
        """Replace the reservation by what was used, without waiting for it."""
        self._after("settle", admission, tokens)

    def cancel(self, admission: Admission) -> None:
        """Give the place and the tokens back: nothing was delivered."""
        self._after("cancel", admission, 0)

    async def close(self) -> None:
        """Send what is left and close the connection."""
        if self._waiting:
            self._wake()
        if self._sender:
            await self._sender
        self._redis.close()

    def _after(self, what: str, admission: Admission, tokens: int) -> None:
        ask = Ask(what, admission.ask.window, admission.ask.id, tokens)
        if local := self._local.get(ask.window):
            local.settle(ask)
        self._waiting.append((ask, None))
        if what == "cancel":
            # A place in the window is worth more than a share of a way to Redis.
            self._wake()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._wake)

    def _wake(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_MOST], self._waiting[BATCH_MOST:]
            answers = await self._call([ask for ask, _ in batch])
            for number, (ask, future) in enumerate(batch):
                if future is None or future.done():
                    continue
                if answers is None:
                    future.set_result(None)
                else:
                    admitted, *rest = answers[5 * number : 5 * number + 5]
                    future.set_result(Admission(ask, bool(admitted), *rest))

    async def _call(self, asks: list[Ask]) -> list[int] | None:
        if time.monotonic() < self._quiet_until:
            return None
        keys: list[Word] = []
        arguments: list[Word] = []
        for ask in asks:
            keys += [f"inference:{{{ask.window}}}:requests", f"inference:{{{ask.window}}}:tokens"]
            arguments += [ask.what, ask.id, ask.tokens, ask.requests_per_minute, ask.tokens_per_minute]
        arguments.append(int(self._window * 1_000_000))
        try:
            found: list[int] = await self._evaluate(keys, arguments)
        except (RedisRefusal, OSError, TimeoutError) as error:
            self._quiet_until = time.monotonic() + REDIS_QUIET_SECONDS
            if not self._away:
                self._away = True
                metrics.set_limiter_local(True)
                log.error("inference.limits.local", alarm=True, error=type(error).__name__)
            return None
        if self._away:
            self._away = False
            metrics.set_limiter_local(False)
            self._local.clear()
            log.warning("inference.limits.shared_again")
        return found

    async def _evaluate(self, keys: list[Word], arguments: list[Word]) -> list[int]:
        try:
            found: list[int] = await self._redis.call("EVALSHA", self._sha, len(keys), *keys, *arguments)
        except RedisRefusal as refusal:
            if not str(refusal).startswith(NO_SCRIPT):
                raise
            # The first call, or a Redis that was started anew.
            self._sha = await self._redis.call("SCRIPT", "LOAD", _SCRIPT)
            found = await self._redis.call("EVALSHA", self._sha, len(keys), *keys, *arguments)
        return found


def _too_many(admission: Admission) -> ApiError:
    ask, seconds = admission.ask, max(1, ceil(admission.wait_milliseconds / 1000))
    over_requests = admission.requests >= ask.requests_per_minute
    limit = f"{ask.requests_per_minute} requests" if over_requests else f"{ask.tokens_per_minute:,} tokens"
    used = f"{admission.requests}" if over_requests else f"{admission.tokens:,}"
    asked = "" if over_requests else f", and this request may need {ask.tokens:,}"
    return ApiError(
        429,
        f"Rate limit exceeded: {used} of {limit} per minute are used{asked}. Please retry after {seconds} seconds.",
        code="rate_limit_exceeded",
        headers={
            **admission.headers(),
            "retry-after": str(seconds),
            "retry-after-ms": str(max(1, admission.wait_milliseconds)),
        },
    )
