"""A resource's latest requests, answered and failed ones together. There is nothing in them of what was said."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from addon.inference.models import Outcome, RequestFailure, UsageEvent
from provisioning.models import Resource

PAGE_SIZE = 50
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES = {
    Outcome.COMPLETE: ("Complete", "good"),
    Outcome.HUNG_UP: ("Client left", "neutral"),
}
_CUT = ("Cut short", "bad")
_CODES = {
    "invalid_json": "Not JSON",
    "invalid_request": "Invalid request",
    "invalid_image": "Unusable image",
    "unrecognized_parameter": "Unknown parameter",
    "model_not_found": "Unknown model",
    "model_not_allowed": "Another plan's model",
    "model_refused": "Refused by the model",
    "wrong_endpoint": "Wrong endpoint",
    "request_too_large": "Too large",
    "request_exceeds_limit": "Larger than the limit",
    "rate_limit_exceeded": "Rate limited",
    "upstream_error": "Model failed",
    "timeout": "Timed out",
    "unavailable": "Unavailable",
}


@dataclass(frozen=True)
class RequestRow:
    """One request, or (`repeats`) several alike that failed within a moment."""

    id: UUID
    at: datetime
    model: str
    status: int
    words: str
    tone: str
    milliseconds: int
    first_milliseconds: int | None = None
    streamed: bool = False
    answered: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    search_units: int = 0
    estimated: bool = False
    repeats: int = 1


@dataclass(frozen=True)
class RequestPage:
    """Some requests, newest first; `older` leads on, None at the end."""

    rows: tuple[RequestRow, ...]
    older: int | None


def recent_requests(resource: Resource, *, errors_only: bool, before: int | None = None) -> RequestPage:
    """The newest requests of `resource`, or those before the time `before` (microseconds since 1970).

    With `errors_only` just those that failed, or whose answer was cut.
    """
    events = UsageEvent.objects.filter(resource=resource)
    failures = RequestFailure.objects.filter(resource=resource)
    if errors_only:
        events = events.exclude(outcome=Outcome.COMPLETE)
    if before is not None:
        at = _EPOCH + before * _MICROSECOND
        events, failures = events.filter(at__lt=at), failures.filter(at__lt=at)
    most = PAGE_SIZE + 1
    rows = [
        *map(_answered, events.order_by("-at")[:most]),
        *map(_failed, failures.order_by("-at")[:most]),
    ]
    rows.sort(key=lambda row: row.at, reverse=True)
    shown = rows[:PAGE_SIZE]
    older = (shown[-1].at - _EPOCH) // _MICROSECOND if len(rows) > PAGE_SIZE else None
    return RequestPage(tuple(shown), older)


def _answered(row: UsageEvent) -> RequestRow:
    words, tone = _OUTCOMES.get(Outcome(row.outcome), _CUT)
    return RequestRow(
        id=row.pk,
        at=row.at,
        model=row.model,
        status=200,
        words=words,
        tone=tone,
        milliseconds=row.milliseconds,
        first_milliseconds=row.first_milliseconds if row.streamed else None,
        streamed=row.streamed,
        answered=True,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        search_units=row.search_units,
        estimated=row.estimated,
    )


def _failed(row: RequestFailure) -> RequestRow:
    return RequestRow(
        id=row.pk,
        at=row.at,
        model=row.model,
        status=row.status,
        words=_CODES.get(row.code, row.code.replace("_", " ").capitalize()),
        tone="warning" if row.status < 500 else "bad",
        milliseconds=row.milliseconds,
        repeats=row.repeats,
    )
