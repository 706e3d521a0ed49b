"""Our access to Heroku about one resource: the grant's exchange, and tokens that are refreshed in time.

One worker at a time exchanges or refreshes, held by a lease in the row; no lock is held while Heroku is asked, so a
deprovision never waits, and what it ended is not brought back by an answer that comes later.
"""

import contextlib
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import requests
import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from provisioning import audit, rows
from provisioning.heroku_http import TIMEOUT, error_id, retry_after, session
from provisioning.models import Operation, PlatformAccess, Resource
from provisioning.partner_secrets import partner_secrets
from provisioning.services import Fault, Unrecoverable, Wait
from provisioning.states import ACTIVE_OPERATION_STATES, AccessState, OperationKind
from provisioning.wakeups import wake_grant, wake_operation

log = structlog.get_logger(__name__)

REFRESH_MARGIN = timedelta(minutes=5)
"""How long before its end a token is replaced; Heroku asks for at least 90 seconds."""
GRANT_LIFETIME = timedelta(minutes=5)
TOKEN_LIFETIME = timedelta(hours=8)
LIFETIME_LONGEST = timedelta(days=366)
LEASE = timedelta(seconds=settings.OPERATION_LEASE_SECONDS / 2)
TOGETHER_SECONDS = 5.0
"""How long a worker goes on with the grants of one message."""
REFRESH_TRIES = 6
"""Refusals of a refresh, one after the other, before the access counts as lost."""


class ResourceGone(Exception):
    """Heroku does not know the resource (any more), or has withdrawn our access to it."""


class AccessLost(Unrecoverable):
    """The grant ran out or was refused: Heroku cannot be called about this resource until it sends a new one."""


def state_of(resource: Resource) -> str:
    """The state of the access, read anew."""
    found = PlatformAccess.objects.filter(resource=resource).values_list("state", flat=True).first()
    return found or AccessState.LOST


def usable_token(resource: Resource) -> str:
    """A token that is good for some minutes yet, refreshed when it has to be.

    Raises Wait while the grant's exchange or another worker's refresh is under way, AccessLost or ResourceGone
    when there is none, Fault when the refresh did not work out.
    """
    row = PlatformAccess.objects.filter(resource=resource).first()
    if row is None or row.state == AccessState.LOST:
        raise AccessLost("no access to Heroku: the grant was never exchanged")
    if row.state == AccessState.ENDED:
        raise ResourceGone("access has ended with the resource")
    if row.state == AccessState.WAITING:
        raise Wait("the grant is not exchanged yet", seconds=0.5)
    token = row.get_sealed("access_token") or ""
    if row.token_expires_at and row.token_expires_at - REFRESH_MARGIN > timezone.now():
        return token
    return refreshed_token(resource, stale=token)


def refreshed_token(resource: Resource, *, stale: str) -> str:
    """A token newer than `stale`, another worker's or a fresh one; errors as `usable_token`."""
    row = PlatformAccess.objects.get(resource=resource)
    if row.state == AccessState.LOST:
        raise AccessLost("no access to Heroku: the token could not be refreshed")
    if row.state != AccessState.GRANTED:
        raise ResourceGone("access has ended with the resource")
    current = row.get_sealed("access_token") or ""
    if current != stale:
        return current
    if not _take_lease(row, state=AccessState.GRANTED):
        raise Wait("another worker refreshes the token", seconds=0.5)
    row.refresh_from_db()
    if row.get_sealed("access_token") != stale:  # refreshed between our look and our lease
        _give_lease_back(row)
        return row.get_sealed("access_token") or ""
    try:
        answer = _ask_for_tokens(
            row, grant_type="refresh_token", refresh_token=row.get_sealed("refresh_token") or ""
        )
    except TokenRefused as error:
        row.attempt += 1
        lost = row.attempt >= REFRESH_TRIES
        _store(
            row, attempt=row.attempt, last_error=str(error), **({"state": AccessState.LOST} if lost else {})
        )
        if lost:
            audit.record("access.lost", resource=resource, reason=str(error))
            log.error("access.lost", resource=str(resource.uuid), error=str(error))
            raise AccessLost(f"Heroku refuses to refresh the token: {error}") from None
        raise Fault(f"refresh: {error}") from None
    except Fault as error:
        _store(row, last_error=str(error))
        raise
    if not _store_tokens(row, answer):
        raise ResourceGone("access has ended with the resource")
    return str(answer["access_token"])


def new_access(resource: Resource, *, code: str | None, expires_at: datetime | None) -> PlatformAccess:
    """The row, yet to be written, of the grant that came with a new resource; once written, wake its exchange.

    `expires_at` is Heroku's time; without one the five minutes of its documents count from now. Without a code the
    access is lost until a repeat brings one.
    """
    if not code:
        return PlatformAccess(
            resource=resource, state=AccessState.LOST, last_error="the request had no grant"
        )
    row = PlatformAccess(resource=resource, state=AccessState.WAITING)
    row.grant_expires_at = expires_at or timezone.now() + GRANT_LIFETIME
    row.set_sealed(grant_code=code)
    return row


def wake_exchange(row: PlatformAccess) -> None:
    """On commit, wake a worker for a grant that waits for its exchange."""
    if row.state == AccessState.WAITING:
        wake_grant(row.pk)


def renew_grant(resource: Resource, *, code: str | None, expires_at: datetime | None) -> None:
    """Keep the newer grant of a repeated request while no token has been obtained yet."""
    row = rows.fetch(PlatformAccess, "resource_id = %s", [resource.pk])
    if row is None or not code or row.state not in (AccessState.WAITING, AccessState.LOST):
        return
    if row.get_sealed("grant_code") == code:
        return
    row.set_sealed(grant_code=code)
    rows.execute(
        """
        UPDATE provisioning_platformaccess
           SET state = %s, grant_code = %s, grant_expires_at = %s, attempt = 0, last_error = '', next_attempt_at = %s
         WHERE id = %s AND state = ANY(%s)
        """,
        [
            AccessState.WAITING,
            row.grant_code,
            expires_at or timezone.now() + GRANT_LIFETIME,
            timezone.now(),
            row.pk,
            [AccessState.WAITING, AccessState.LOST],
        ],
    )
    wake_grant(row.pk)


def exchange_grant(access_id: int) -> None:
    """Exchange the grant of one access for tokens, tried again until the grant runs out. Safe to repeat."""
    row = PlatformAccess.objects.select_related("resource").filter(pk=access_id).first()
    if row is None or row.state != AccessState.WAITING or row.next_attempt_at > timezone.now():
        return
    if not _take_lease(row, state=AccessState.WAITING):
        return
    row.refresh_from_db()
    code = row.get_sealed("grant_code")
    error = "the grant ran out before it was exchanged"
    wait_at_least = 0.0
    expired = not row.grant_expires_at or row.grant_expires_at <= timezone.now()
    if code and not expired:
        try:
            answer = _ask_for_tokens(row, grant_type="authorization_code", code=code)
        except TokenRefused as refused:
            error = str(refused)
        except Fault as fault:
            error, wait_at_least = str(fault), fault.retry_after or 0.0
        else:
            if _store_tokens(row, answer):
                log.info("access.granted", resource=str(row.resource.uuid))
                _resume_provision(row.resource)
            return
    if code and not expired and row.grant_expires_at:
        # Heroku may not have worked on our answer yet, so even a refusal is tried again while the grant lives.
        delay = max(wait_at_least, min(0.5 * 2.0**row.attempt, 20.0))
        _store(
            row,
            attempt=row.attempt + 1,
            last_error=error,
            next_attempt_at=timezone.now() + timedelta(seconds=delay),
        )
        wake_grant(row.pk, countdown=delay if delay <= 10 else None)
        return
    if _store(row, state=AccessState.LOST, grant_code=None, last_error=error):
        audit.record("access.lost", resource=row.resource, reason=error)
        log.error("access.lost", resource=str(row.resource.uuid), error=error)


def exchange_grants(access_ids: Sequence[int]) -> None:
    """Exchange several grants; what the first ones leave no time for is left to other workers."""
    until = time.monotonic() + TOGETHER_SECONDS
    for access_id in access_ids:
        if time.monotonic() < until:
            exchange_grant(access_id)
        else:
            wake_grant(access_id)


def _resume_provision(resource: Resource) -> None:
    """Let a provision that waits for this access go on at once."""
    waiting = Operation.objects.filter(
        resource=resource, kind=OperationKind.PROVISION, state__in=ACTIVE_OPERATION_STATES
    )
    for operation_id in list(waiting.values_list("pk", flat=True)):
        waiting.update(next_attempt_at=timezone.now())
        wake_operation(operation_id)


class TokenRefused(Exception):
    """Heroku's token endpoint refused (4xx) with every client secret we have."""


def _take_lease(row: PlatformAccess, *, state: AccessState) -> bool:
    row.lease_token, now = uuid.uuid4(), timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    taken = PlatformAccess.objects.filter(free, pk=row.pk, state=state).update(
        lease_token=row.lease_token, lease_until=now + LEASE
    )
    return bool(taken)


def _give_lease_back(row: PlatformAccess) -> None:
    _store(row)


def _store(row: PlatformAccess, **values: Any) -> bool:
    """Write under our lease and give it back; False when the lease is no longer ours (the resource ended, say)."""
    return bool(
        PlatformAccess.objects.filter(pk=row.pk, lease_token=row.lease_token).update(
            lease_token=None, lease_until=None, **values
        )
    )


def _store_tokens(row: PlatformAccess, answer: dict[str, Any]) -> bool:
    row.set_sealed(access_token=str(answer["access_token"]))
    if answer.get(
        "refresh_token"
    ):  # the resource's refresh token lives as long as it does; a newer one replaces it
        row.set_sealed(refresh_token=str(answer["refresh_token"]))
    return _store(
        row,
        state=AccessState.GRANTED,
        access_token=row.access_token,
        refresh_token=row.refresh_token,
        token_expires_at=timezone.now() + _lifetime(answer.get("expires_in")),
        grant_code=None,
        attempt=0,
        last_error="",
    )


def _lifetime(expires_in: Any) -> timedelta:
    """How long a token lives; the eight hours of Heroku's documents when the answer does not say it sensibly."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        lifetime = timedelta(seconds=int(expires_in))
        if timedelta(0) < lifetime <= LIFETIME_LONGEST:
            return lifetime
    return TOKEN_LIFETIME


def _ask_for_tokens(row: PlatformAccess, **form: str) -> dict[str, Any]:
    """Ask Heroku's token endpoint with each client secret in turn: during its rotation either may be the right one.

    Form fields go in the body, so that no access log keeps them. TokenRefused on 4xx, Fault otherwise.
    """
    refusal = "no OAuth client secret is configured"
    for secret in partner_secrets(row.resource.service).oauth_client_secrets:
        try:
            response = session.post(
                f"{settings.HEROKU_ID_URL}/oauth/token",
                data={**form, "client_secret": secret},
                headers={"Accept": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Fault(f"token endpoint: {type(error).__name__}") from None
        if response.status_code == 200:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                answer: dict[str, Any] = response.json()
                if answer["access_token"] and (answer.get("refresh_token") or row.refresh_token):
                    return answer
            raise Fault("token endpoint: 200 without tokens")
        if response.status_code == 429 or response.status_code >= 500 or response.status_code < 400:
            raise Fault(f"token endpoint: {response.status_code}", retry_after=retry_after(response))
        refusal = f"token endpoint: {response.status_code} {error_id(response)}"
    raise TokenRefused(refusal)
