"""What the gateway counts for Prometheus. The processes of one web server are added up by `/metrics`."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_REQUESTS = Counter(
    "addonworks_inference_requests",
    "Requests, by model (none without a known key) and status; 499: the client left before an answer began.",
    ["model", "status"],
)
_ANSWERS = Counter(
    "addonworks_inference_answers", "Answers delivered and metered, by how they ended.", ["model", "outcome"]
)
_TOKENS = Counter(
    "addonworks_inference_tokens", "Tokens metered; cached ones are also input.", ["model", "kind"]
)
_SEARCH_UNITS = Counter("addonworks_inference_search_units", "Search units metered.", ["model"])
_DURATION = Histogram(
    "addonworks_inference_answer_seconds",
    "From a request's admission to its answer's end.",
    ["model"],
    buckets=_SECONDS,
)
_FIRST = Histogram(
    "addonworks_inference_first_byte_seconds",
    "From a stream's admission to its first byte.",
    ["model"],
    buckets=_SECONDS,
)
_UPSTREAM_FAULTS = Counter(
    "addonworks_inference_upstream_faults", "Faults of upstreams, by reason.", ["upstream", "reason"]
)
_LOCAL_ADMISSIONS = Counter(
    "addonworks_inference_local_admissions", "Admissions decided by one process alone, without Redis."
)
_LOCAL_LIMITERS = Gauge(
    "addonworks_inference_local_limiters",
    "Processes that limit by themselves, because Redis is away.",
    multiprocess_mode="livesum",
)


@cache
def _request(model: str, status: int) -> Counter:
    return _REQUESTS.labels(model, str(status))


@cache
def _answer(model: str, outcome: str) -> Counter:
    return _ANSWERS.labels(model, outcome)


@cache
def _tokens(model: str) -> tuple[Counter, Counter, Counter, Counter]:
    return (
        _TOKENS.labels(model, "input"),
        _TOKENS.labels(model, "output"),
        _TOKENS.labels(model, "cached"),
        _SEARCH_UNITS.labels(model),
    )


@cache
def _times(model: str) -> tuple[Histogram, Histogram]:
    return _DURATION.labels(model), _FIRST.labels(model)


def count_request(model: str, status: int) -> None:
    """A request has come to its end."""
    _request(model, status).inc()


def count_answer(
    *,
    model: str,
    outcome: str,
    seconds: float,
    first_byte_seconds: float | None,
    amounts: tuple[int, int, int, int],
) -> None:
    """An answer was metered; `amounts` are its input, output and cached tokens and its search units.

    `first_byte_seconds` is None for an answer that was no stream.
    """
    _answer(model, outcome).inc()
    for counter, amount in zip(_tokens(model), amounts, strict=True):
        if amount:
            counter.inc(amount)
    duration, first = _times(model)
    duration.observe(seconds)
    if first_byte_seconds is not None:
        first.observe(first_byte_seconds)


def count_upstream_fault(upstream: str, reason: str) -> None:
    """An upstream failed; `upstream` is its address, `reason` a status or an exception's name."""
    _UPSTREAM_FAULTS.labels(upstream, reason).inc()


def count_local_admission() -> None:
    """A process decided alone."""
    _LOCAL_ADMISSIONS.inc()


def set_limiter_local(local: bool) -> None:
    """Whether this process limits by itself."""
    _LOCAL_LIMITERS.set(1 if local else 0)
