"""The sandbox as an aiohttp application, and the process around it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox import identity
from sandbox.apps import first_start
from sandbox.background import keep_time, until_told_to_stop
from sandbox.catalogue import register_services
from sandbox.control import control_routes
from sandbox.pages import page_routes
from sandbox.resources import give_up_interrupted
from sandbox.routes import platform_routes
from sandbox.state import Sandbox
from sandbox.store import Store
from sandbox.web_api import SANDBOX, json_errors, same_site

log = logging.getLogger(__name__)
SHUTDOWN_SECONDS = 1.5


def build_application(sandbox: Sandbox) -> web.Application:
    """The HTTP application over a running sandbox; it owns the sandbox's background work and its end."""
    application = web.Application(middlewares=[json_errors, same_site], client_max_size=2 * 1024 * 1024)
    application[SANDBOX] = sandbox
    application.add_routes([web.post("/oauth/token", identity.token), web.post("/logs", identity.logs)])
    application.add_routes(platform_routes())
    application.add_routes(control_routes())
    application.add_routes(page_routes())
    application.cleanup_ctx.append(_background)
    return application


async def _background(application: web.Application) -> AsyncIterator[None]:
    sandbox = application[SANDBOX]
    sandbox.spawn(keep_time(sandbox))
    yield
    await sandbox.close()


async def serve(
    *, host: str, port: int, data: Path, services: Any, public_url: str | None, provider_limit: float
) -> None:
    """Run until SIGTERM or SIGINT; ``services`` is a parsed services.json, or None.

    Prints one line when ready; with port 0 it tells the port. Raises DataFolderInUseError, OSError for a
    taken port, ApiError for a bad services document.
    """
    store = Store(data)
    sandbox = Sandbox(store, public_url=public_url or f"http://{host}:{port}", provider_limit=provider_limit)
    runner = web.AppRunner(build_application(sandbox), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    try:
        first_start(sandbox)
        give_up_interrupted(sandbox)
        if services is not None:
            register_services(sandbox, services)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        if public_url is None:
            sandbox.public_url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{bound}"  # noqa: S104
        print(f"sandbox ready at {sandbox.public_url}", flush=True)
        await until_told_to_stop()
    finally:
        await runner.cleanup()
        with contextlib.suppress(Exception):
            await sandbox.close()
