"""What every call goes through: who calls, for which model, and the call's use at its end."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from addon.inference.gateway import metrics
from addon.inference.gateway.catalogue import Model, models
from addon.inference.gateway.errors import ApiError, invalid
from addon.inference.gateway.failures import Failures
from addon.inference.gateway.keys import Caller, Keys
from addon.inference.gateway.limits import Admission, Ask, Limiter
from addon.inference.gateway.upstreams.registry import Upstreams
from addon.inference.gateway.usage import Meter
from addon.inference.gateway.usage_rows import Opening, Usage
from addon.inference.models import Outcome


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """The parts of one process's gateway."""

    keys: Keys
    limiter: Limiter
    meter: Meter
    failures: Failures
    upstreams: Upstreams


@dataclass(kw_only=True)
class Call:
    """One admitted request: when it began, and what it has used."""

    rooms: Rooms
    caller: Caller
    model: Model
    admission: Admission
    id: uuid.UUID
    streamed: bool = False
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.monotonic)
    first: float | None = None

    def first_byte(self) -> None:
        """The answer begins now."""
        if self.first is None:
            self.first = time.monotonic()

    async def begin_stream(self, *, input_tokens: int, produced: Callable[[], int]) -> None:
        """Write down that a stream begins; to be awaited before its first byte. ApiError 503.

        `input_tokens` is an estimate, and `produced` counts its output whenever it is asked.
        """
        self.first_byte()
        await self.rooms.meter.open(
            Opening(
                id=self.id,
                resource_id=self.caller.resource_id,
                at=self.at,
                model=self.model.id,
                region=self.caller.region,
                input_tokens=input_tokens,
                first_milliseconds=int(((self.first or self.began) - self.began) * 1000),
                produced=produced,
            )
        )

    async def deliver(self, *, outcome: Outcome = Outcome.COMPLETE, **used: Any) -> None:
        """Settle the reservation and commit the use; to be awaited before the answer's last byte. ApiError 503."""
        tokens = used.get("input_tokens", 0) + used.get("output_tokens", 0)
        self.rooms.limiter.settle(self.admission, tokens=tokens)
        now = time.monotonic()
        first_seconds, seconds = (self.first or now) - self.began, now - self.began
        usage = Usage(
            id=self.id,
            resource_id=self.caller.resource_id,
            at=self.at,
            model=self.model.id,
            region=self.caller.region,
            outcome=outcome.value,
            streamed=self.streamed,
            first_milliseconds=int(first_seconds * 1000),
            milliseconds=int(seconds * 1000),
            **used,
        )
        await self.rooms.meter.record(usage)
        metrics.count_answer(
            model=self.model.id,
            outcome=usage.outcome,
            seconds=seconds,
            first_byte_seconds=first_seconds if self.streamed else None,
            amounts=(usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.search_units),
        )

    def undo(self) -> None:
        """Nothing was delivered: give back what was reserved."""
        self.rooms.limiter.cancel(self.admission)


def check_model(named: Any, caller: Caller) -> Model:
    """The model that a request names, if the caller's plan is for it.

    ApiError 400 without a name, 404 for one that nobody sells, 403 for one of another plan.
    """
    if named is None or named == "":
        raise invalid("model is required", param="model")
    if not isinstance(named, str):
        raise invalid("model must be a string", param="model")
    model = models().get(named)
    if model is None:
        raise ApiError(404, f"model not found: '{named[:100]}'", code="model_not_found", param="model")
    if model.id != caller.plan:
        raise ApiError(
            403,
            f"You do not have access to that model: this key is for '{caller.plan}'. Add '{model.id}' to your app to "
            "get a key for it.",
            code="model_not_allowed",
            param="model",
        )
    return model


async def admit(
    rooms: Rooms, caller: Caller, model: Model, *, request_id: uuid.UUID, tokens: int, streamed: bool
) -> Call:
    """Take a place within the plan's limits; ApiError 429."""
    ask = Ask(
        "admit",
        f"{caller.resource_id}:{model.id}",
        request_id.hex,
        tokens if caller.tokens_per_minute else 0,
        caller.requests_per_minute,
        caller.tokens_per_minute or 0,
    )
    began, at = time.monotonic(), datetime.now(UTC)
    admission = await rooms.limiter.admit(ask)
    return Call(
        rooms=rooms,
        caller=caller,
        model=model,
        admission=admission,
        id=request_id,
        streamed=streamed,
        at=at,
        began=began,
    )
