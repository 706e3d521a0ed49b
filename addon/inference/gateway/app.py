"""The gateway's ASGI application: its addresses, and what every answer has."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.conf import settings

from addon.inference.config import upstream_settings
from addon.inference.gateway import metrics
from addon.inference.gateway.calls import Rooms
from addon.inference.gateway.chat import chat
from addon.inference.gateway.errors import ApiError, failed, suspended
from addon.inference.gateway.failures import Failures
from addon.inference.gateway.http import ClientGone, Exchange
from addon.inference.gateway.keys import Caller, Keys
from addon.inference.gateway.limits import Limiter
from addon.inference.gateway.listing import available_models, key_model, key_models, resource_model
from addon.inference.gateway.playground import PREFIX, api_path, is_playground, visitor
from addon.inference.gateway.rerank import rerank
from addon.inference.gateway.upstreams.registry import Upstreams
from addon.inference.gateway.usage import Meter
from addon.inference.gateway.usage_rows import UsageRows

log = structlog.get_logger(__name__)

Handler = Callable[[Exchange, Rooms, Caller, uuid.UUID], Awaitable[None]]
_POSTED: dict[str, Handler] = {"/v1/chat/completions": chat, "/v1/rerank": rerank, "/v2/rerank": rerank}


class Gateway:
    """One process's gateway. It comes to life with the first request, in the event loop that serves it."""

    def __init__(self) -> None:
        self._rooms: Rooms | None = None
        self._confirming: asyncio.Task[None] | None = None
        # The thread holds one database connection.
        self._lookups = ThreadPoolExecutor(1, thread_name_prefix="inference-keys")

    def serves(self, path: str) -> bool:
        """Whether a request to `path` is the gateway's."""
        return (
            path.startswith(("/v1/", "/models/"))
            or path in ("/v2/rerank", "/available-models")
            or (path.startswith(PREFIX) and is_playground(path))
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        exchange, request_id = Exchange(scope, receive, send), uuid.uuid4()
        exchange.headers["x-request-id"] = str(request_id)
        began = time.monotonic()
        try:
            await self._answer(exchange, request_id)
        except ClientGone:
            pass
        except ApiError as error:
            await self._error(exchange, error, request_id=request_id, began=began)
        except Exception as error:  # The last door: the customer gets an answer, operators the trace.
            log.exception("inference.failed", request_id=str(request_id), error=type(error).__name__)
            told = failed("Something went wrong on our side. Please try again.")
            await self._error(exchange, told, request_id=request_id, began=began)
        finally:
            metrics.count_request(exchange.caller.plan if exchange.caller else "", exchange.status)

    async def close(self) -> None:
        """Write and send what is left."""
        if self._rooms is None:
            return
        rooms, self._rooms = self._rooms, None
        if self._confirming:
            self._confirming.cancel()
        await rooms.meter.close()
        await rooms.failures.close()
        await rooms.limiter.close()
        await rooms.upstreams.close()

    def _open(self) -> Rooms:
        if self._rooms is None:
            self._rooms = Rooms(
                keys=Keys(self._lookups),
                limiter=Limiter(settings.REDIS_URL),
                meter=Meter(UsageRows()),
                failures=Failures(self._lookups),
                upstreams=Upstreams(upstream_settings()),
            )
            self._confirming = asyncio.get_running_loop().create_task(self._rooms.keys.keep_confirming())
        return self._rooms

    async def _answer(self, exchange: Exchange, request_id: uuid.UUID) -> None:
        rooms, path = self._open(), exchange.path
        played = path.startswith(PREFIX)
        handler = _POSTED.get(api_path(path) if played else path)
        if path == "/available-models":
            # Heroku's command line sends the account's own token here: it is not looked at.
            _only(exchange, "GET")
            await exchange.answer(200, available_models())
            return
        if not handler and path != "/v1/models" and not path.startswith(("/v1/models/", "/models/")):
            raise ApiError(404, f"There is nothing at {path[:200]}.", code="not_found")
        _only(exchange, "POST" if handler else "GET")
        if played:
            caller = await visitor(exchange, rooms.keys)
        else:
            try:
                caller = await rooms.keys.authenticate(exchange.given.get(b"authorization"))
            except ApiError as refused:
                if refused.status == 401:
                    await rooms.keys.limit_wrong(exchange.address)
                raise
        exchange.caller = caller
        if caller.suspension is not None:
            raise suspended(caller.suspension)
        if handler:
            await handler(exchange, rooms, caller, request_id)
        elif path == "/v1/models":
            await exchange.answer(200, key_models(caller))
        elif path.startswith("/v1/models/"):
            await exchange.answer(200, key_model(caller, path.removeprefix("/v1/models/")))
        else:
            await exchange.answer(200, resource_model(caller, path.removeprefix("/models/")))

    async def _error(
        self, exchange: Exchange, error: ApiError, *, request_id: uuid.UUID, began: float
    ) -> None:
        if exchange.started:
            return  # Streams tell of their errors themselves; anything else is cut short.
        if self._rooms and exchange.caller:
            self._rooms.failures.note(
                exchange.caller,
                request_id,
                status=error.status,
                code=error.code,
                seconds=time.monotonic() - began,
            )
        await exchange.answer(error.status, error.body, error.headers)


def _only(exchange: Exchange, method: str) -> None:
    allowed = {method, "HEAD"} if method == "GET" else {method}
    if exchange.method not in allowed:
        raise ApiError(
            405,
            f"Use {method} for {exchange.path[:200]}.",
            code="method_not_allowed",
            headers={"allow": ", ".join(sorted(allowed))},
        )
