"""Who calls: presented keys, looked up in Postgres once and then kept by each process.

A kept key is only as good as its last confirmation. One query every half second confirms all of a process's keys at
once, so that a revoked key, an ended resource and a changed plan are known everywhere within a second. When the
confirmation is late (Postgres or the process is slow), keys are looked up again one by one: late is never lenient.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from addon.inference.gateway.errors import ApiError, unauthenticated, unavailable
from addon.inference.service import KEY_PREFIX
from provisioning import attempts
from provisioning.credentials import find_credential, key_public_id
from provisioning.limits import limits_of, standing_overrides, with_overrides
from provisioning.models import Credential, LimitOverride, Plan
from provisioning.states import LIVE_STATES, CredentialState

log = structlog.get_logger(__name__)
T = TypeVar("T")

CONFIRM_EVERY_SECONDS = 0.4
GOOD_FOR_SECONDS = 0.9
FORGET_AFTER_SECONDS = 300.0
KEPT_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A live resource, as its key showed it. Limits are per minute; a rerank model has none on tokens."""

    credential_id: UUID
    resource_id: int
    resource_uuid: str
    region: str
    plan: str
    requests_per_minute: int
    tokens_per_minute: int | None
    suspension: str | None = None
    """Why an operator keeps the customer out; None when none does."""


class _Kept:
    __slots__ = ("caller", "confirmed_at", "used_at")

    def __init__(self, caller: Caller, now: float) -> None:
        self.caller, self.confirmed_at, self.used_at = caller, now, now


class Keys:
    """One process's kept keys. All of it runs in the event loop but the queries, which run in `threads`."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._kept: dict[str, _Kept] = {}

    async def authenticate(self, authorization: bytes | None) -> Caller:
        """The caller of an Authorization header's `Bearer` key; ApiError 401, or 503 when nobody can tell."""
        scheme, _, raw = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise unauthenticated()
        key, now = raw.strip().decode("latin-1"), time.monotonic()
        kept = self._kept.get(key)
        if kept and now - kept.confirmed_at < GOOD_FOR_SECONDS:
            kept.used_at = now
            return kept.caller
        public_id = key_public_id(key, prefix=KEY_PREFIX)
        if public_id is None:
            raise unauthenticated()
        caller = await self.query(_find, key, public_id)
        if caller is None:
            self._kept.pop(key, None)
            raise unauthenticated()
        if len(self._kept) < KEPT_MOST:
            # The answer is as old as the question.
            self._kept[key] = _Kept(caller, now)
        return caller

    async def limit_wrong(self, address: str) -> None:
        """Count a wrong key; ApiError 429 when there were too many from this address. The right one always passes."""
        wait = await asyncio.get_running_loop().run_in_executor(
            self._threads, attempts.take, (attempts.API_KEYS, address)
        )
        if wait:
            raise ApiError(
                429,
                "Too many requests with invalid API keys.",
                code="too_many_invalid_keys",
                headers={"Retry-After": str(math.ceil(wait))},
            )

    async def keep_confirming(self) -> None:
        """Confirm every kept key again and again, until cancelled."""
        while True:
            began = time.monotonic()
            try:
                await self._confirm(began)
            except ApiError:
                pass  # Logged; until it works again, every key is looked up by itself.
            await asyncio.sleep(max(0.05, CONFIRM_EVERY_SECONDS - (time.monotonic() - began)))

    async def _confirm(self, now: float) -> None:
        for key in [key for key, kept in self._kept.items() if now - kept.used_at > FORGET_AFTER_SECONDS]:
            del self._kept[key]
        if not self._kept:
            return
        asked = list(self._kept.items())
        found = await self.query(_still_good, [kept.caller.credential_id for _, kept in asked])
        for key, kept in asked:
            caller = found.get(kept.caller.credential_id)
            if caller is None:
                self._kept.pop(key, None)
            else:
                kept.caller, kept.confirmed_at = caller, max(kept.confirmed_at, now)

    async def query(self, function: Callable[..., T], *arguments: Any) -> T:
        """What `function` finds in Postgres, called in a thread; ApiError 503 while Postgres is away."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _in_thread, function, arguments)
        except (DatabaseError, InterfaceError) as error:
            log.error("inference.keys.database_away", error=type(error).__name__)
            raise unavailable("Keys cannot be checked right now. Please try again.", retry_after=1) from error


def _in_thread(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    close_old_connections()
    return function(*arguments)


def _find(key: str, public_id: str) -> Caller | None:
    credential = find_credential(key, public_id=public_id)
    return caller_of(credential) if credential else None


def _still_good(ids: list[UUID]) -> dict[UUID, Caller]:
    """The callers of these credentials that may go on. Asked more often than anything: no rows are made into models."""
    live = Credential.objects.filter(
        pk__in=ids, resource__state__in=LIVE_STATES, resource__service="inference"
    ).exclude(state=CredentialState.REVOKED)
    found = live.exclude(retires_at__lte=timezone.now()).values_list(
        "pk",
        "resource_id",
        "resource__uuid",
        "resource__region",
        "resource__plan_id",
        "resource__suspended_at",
        "resource__suspension_reason",
    )
    plans = {
        pk: (slug, limits)
        for pk, slug, limits in Plan.objects.filter(service="inference").values_list("pk", "slug", "limits")
    }
    overrides: dict[int, list[LimitOverride]] = {}
    for override in standing_overrides().filter(resource__service="inference"):
        overrides.setdefault(override.resource_id, []).append(override)
    return {
        pk: _caller(
            pk,
            resource,
            str(of),
            region,
            plans[plan][0],
            with_overrides(plans[plan][1], overrides.get(resource, ())),
            reason if since else None,
        )
        for pk, resource, of, region, plan, since, reason in found
        if plan in plans
    }


def caller_of(credential: Credential) -> Caller | None:
    """The caller that a live credential stands for; None when its resource has ended."""
    resource = credential.resource
    if resource.state not in LIVE_STATES or resource.plan is None or resource.service != "inference":
        return None
    return _caller(
        credential.pk,
        resource.pk,
        str(resource.uuid),
        resource.region,
        resource.plan.slug,
        limits_of(resource),
        resource.suspension_reason if resource.suspended_at else None,
    )


def _caller(
    credential: UUID,
    resource: int,
    resource_uuid: str,
    region: str,
    plan: str,
    limits: Mapping[str, Any],
    suspension: str | None,
) -> Caller:
    return Caller(
        credential_id=credential,
        resource_id=resource,
        resource_uuid=resource_uuid,
        region=region,
        plan=plan,
        requests_per_minute=limits["requests_per_minute"],
        tokens_per_minute=limits.get("tokens_per_minute"),
        suspension=suspension,
    )
