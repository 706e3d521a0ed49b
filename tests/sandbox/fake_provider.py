"""A small add-on provider over the network that can be told to misbehave, for testing the sandbox."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Received:
    """One request the provider got: in arrival order, with the time it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float
    form: dict[str, str] = field(default_factory=dict)


@dataclass
class Conduct:
    """How the provider answers one service's calls; tests change it at any time.

    ``script`` holds the answers of the next calls by method: ``(status, body)``, ``"hang"`` or ``"reset"``.
    """

    provision_status: int = 200
    config: dict[str, Any] = field(default_factory=dict)
    message: str = "Welcome."
    script: dict[str, list[Any]] = field(default_factory=dict)
    delay: float = 0.0
    during: Callable[[dict[str, Any]], None] | None = None


class FakeProvider:
    """Serves ``/<slug>/heroku/resources``, ``/<slug>/sso/login`` and ``/<slug>/hooks`` for any slug."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.conducts: dict[str, Conduct] = {}
        self._stopping = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner, self.port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> tuple[web.AppRunner, int]:
        application = web.Application()
        application.router.add_route("*", "/{slug}/heroku/resources", self._resources)
        application.router.add_route("*", "/{slug}/heroku/resources/{uuid}", self._resources)
        application.router.add_post("/{slug}/sso/login", self._login)
        application.router.add_post("/{slug}/hooks", self._hook)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, int(runner.addresses[0][1])

    def stop(self) -> None:
        """Close the port and end the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def url(self, slug: str, path: str) -> str:
        """An address of a service's endpoint at this provider."""
        return f"http://127.0.0.1:{self.port}/{slug}{path}"

    def calls(self, slug: str, method: str | None = None) -> list[Received]:
        """What one service got, in order."""
        prefix = f"/{slug}/heroku/"
        found = [call for call in list(self.received) if call.path.startswith(prefix)]
        return [call for call in found if method in (None, call.method)]

    async def _resources(self, request: web.Request) -> web.StreamResponse:
        slug = request.match_info["slug"]
        conduct = self.conducts[slug]
        raw = await request.read()
        body: Any = json.loads(raw) if raw else None
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.received.append(Received(request.method, request.path, headers, body, time.monotonic()))
        expected = base64.b64encode(f"{slug}:{slug}-password".encode()).decode()
        if headers.get("authorization") != f"Basic {expected}":
            return web.json_response({"message": "Who are you?"}, status=401)
        if conduct.delay:
            await asyncio.sleep(conduct.delay)
        if conduct.during is not None and body is not None:
            await asyncio.get_running_loop().run_in_executor(None, conduct.during, body)
        script = conduct.script.get(request.method)
        if script:
            return await self._scripted(request, script.pop(0))
        if request.method == "POST":
            answer: dict[str, Any] = {"id": body["uuid"], "message": conduct.message}
            if conduct.provision_status == 200:
                answer["config"] = conduct.config
            return web.json_response(answer, status=conduct.provision_status)
        if request.method == "PUT":
            return web.json_response({"message": f"Moved to {body['plan']}."})
        return web.Response(status=204)

    async def _scripted(self, request: web.Request, step: Any) -> web.StreamResponse:
        if step == "hang":
            await self._stopping.wait()
        if step == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, body = step
        if isinstance(body, str):
            return web.Response(status=status, text=body)
        return web.json_response(body, status=status)

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.received.append(Received("HOOK", request.path, headers, raw, time.monotonic()))
        script = self.conducts[request.match_info["slug"]].script.get("HOOK")
        return web.Response(status=script.pop(0) if script else 204)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.received.append(Received("SSO", request.path, headers, None, time.monotonic(), form))
        return web.Response(text=f"<h1>Dashboard of {form.get('resource_id')}</h1>", content_type="text/html")
