"""How often one address, or one account, may present a wrong secret. Counted in Redis, the same for every process.

Secrets that machines hold (Basic pairs, SSO salts, API keys) are too long to be guessed; the right one is always
let in, at no cost, whatever was counted: nobody can lock Heroku or a customer out by being wrong in their name. Only
a wrong one is counted, and beyond the limit answered 429. Passwords and codes, which people choose or read off, are
different: `take` reserves the attempt before anything is compared, so that not one more than allowed is tried, also at
one instant.
"""

import hashlib
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from prometheus_client import Counter

log = structlog.get_logger(__name__)

LIMITED = Counter("addonworks_attempts_limited", "Attempts answered 429 after too many wrong ones.", ["door"])
_AWAY_SECONDS = 5.0
_KEPT_MOST = 10_000
_NAMESPACE = "attempts"

_TAKE = """
for position, key in ipairs(KEYS) do
    local most = tonumber(ARGV[2 * position - 1])
    if tonumber(redis.call('GET', key) or '0') >= most then
        return math.max(1, redis.call('PTTL', key))
    end
end
for position, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then
        redis.call('PEXPIRE', key, ARGV[2 * position])
    end
end
return 0
"""
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return 0
"""


@dataclass(frozen=True)
class Limit:
    """So many attempts of one subject in a window that begins with the first of them."""

    door: str
    most: int
    seconds: int


PARTNER_API = Limit("partner_api", 300, 300)
SSO = Limit("sso", 100, 300)
API_KEYS = Limit("api_keys", 600, 60)
SIGN_IN_PAIR = Limit("operator_name_and_address", 5, 900)
SIGN_IN_ADDRESS = Limit("operator_address", 30, 900)
SIGN_IN_NAME = Limit("operator_name", 100, 3600)
CODES = Limit("operator_codes", 10, 900)

Subject = tuple[Limit, str]


@cache
def _client(url: str) -> Any:
    return redis.Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5)


class _Local:
    """The same counting in this process alone, for the time Redis is away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}

    def take(self, subjects: tuple[Subject, ...]) -> float:
        now = time.monotonic()
        with self._lock:
            if len(self._counts) > _KEPT_MOST:
                self._counts = {key: value for key, value in self._counts.items() if value[1] > now}
            known = {}
            for limit, subject in subjects:
                count, until = self._counts.get(_key(limit, subject), (0, 0.0))
                count, until = (count, until) if until > now else (0, now + limit.seconds)
                if count >= limit.most:
                    return until - now
                known[_key(limit, subject)] = (count + 1, until)
            self._counts.update(known)
        return 0.0

    def give_back(self, subjects: tuple[Subject, ...]) -> None:
        with self._lock:
            for limit, subject in subjects:
                count, until = self._counts.get(_key(limit, subject), (0, 0.0))
                self._counts[_key(limit, subject)] = (max(0, count - 1), until)


_local = _Local()
_away_until = 0.0
_blocked: dict[str, float] = {}


def _key(limit: Limit, subject: str) -> str:
    # Names and addresses do not belong into Redis.
    return f"{{{_NAMESPACE}}}:{limit.door}:{hashlib.sha256(subject.lower().encode()).hexdigest()[:32]}"


def take(*subjects: Subject) -> float:
    """Count one attempt of every subject, or of none: 0.0 when each was below its limit, else the seconds to wait."""
    global _away_until
    waiting = max((_blocked.get(_key(*each), 0.0) for each in subjects), default=0.0) - time.monotonic()
    if waiting > 0:
        LIMITED.labels(subjects[0][0].door).inc()
        return waiting
    wait = None
    if time.monotonic() >= _away_until:
        arguments = [value for limit, _ in subjects for value in (limit.most, limit.seconds * 1000)]
        try:
            wait = (
                _client(settings.REDIS_URL).eval(
                    _TAKE, len(subjects), *(_key(*each) for each in subjects), *arguments
                )
                / 1000
            )
        except redis.RedisError as error:
            _away_until = time.monotonic() + _AWAY_SECONDS
            log.warning("attempts.redis_away", error=type(error).__name__)
    if wait is None:
        wait = _local.take(subjects)
    if wait:
        LIMITED.labels(subjects[0][0].door).inc()
        if len(subjects) == 1:
            _remember(_key(*subjects[0]), wait)
    return float(wait)


def give_back(*subjects: Subject) -> None:
    """Uncount an attempt that was right."""
    try:
        _client(settings.REDIS_URL).eval(_GIVE_BACK, len(subjects), *(_key(*each) for each in subjects))
    except redis.RedisError:
        pass
    _local.give_back(subjects)


def _remember(key: str, wait: float) -> None:
    # So that a storm of wrong ones costs no round trip each. Short: another process may have given one back.
    if len(_blocked) > _KEPT_MOST:
        _blocked.clear()
    _blocked[key] = time.monotonic() + min(wait, 1.0)
