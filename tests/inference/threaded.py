"""An HTTP server in a thread of its own, for the stand-ins of model servers."""

import asyncio
import ssl
import threading
from abc import ABC, abstractmethod

from aiohttp import web


class ThreadedServer(ABC):
    """Serves `self.routes()` on a free port of the loopback until it is closed."""

    host = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self.hung_up = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)
        self._thread.start()
        self._ready.wait(timeout=60)

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The addresses that are served."""

    def close(self) -> None:
        """Stop the server."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=60)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=40_000_000)
        app.router.add_routes(self.routes())
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, self.host, 0, ssl_context=self.tls).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
