"""What every part of the running sandbox shares."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import aiohttp

from sandbox.clock import Clock, iso
from sandbox.store import Store

DEVELOPER_ID = "5ac1d0de-0000-4000-8000-000000000001"
DEVELOPER_EMAIL = "developer@example.com"
PROVIDER_LIMIT_SECONDS = 25.0


class Sandbox:
    """The store, the clock, the HTTP client to providers, one lock per resource, background tasks.

    ``public_url`` is the address others reach this process at, without a trailing slash.
    ``provider_limit`` is how many seconds a provider has to answer (Heroku: 25).
    """

    def __init__(
        self, store: Store, *, public_url: str, provider_limit: float = PROVIDER_LIMIT_SECONDS
    ) -> None:
        self.store = store
        self.clock = Clock(store)
        self.public_url = public_url.rstrip("/")
        self.provider_limit = provider_limit
        self._http: aiohttp.ClientSession | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def http(self) -> aiohttp.ClientSession:
        """The client for calls to providers; opened on first use inside the running loop."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._http

    def lock(self, addon_id: str) -> asyncio.Lock:
        """The lock that lets one customer operation at a time work on a resource."""
        lock = self._locks.get(addon_id)
        if lock is None:
            lock = self._locks[addon_id] = asyncio.Lock()
        return lock

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` in the background until it ends or the sandbox stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Stop background work, close connections and the store."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        self.store.close()

    def record(
        self, kind: str, summary: str, *, addon_id: str | None = None, detail: dict[str, Any] | None = None
    ) -> None:
        """Write one line of the event log. ``detail`` must carry no secret; it is shown as it is."""
        self.store.run(
            "INSERT INTO events (addon_id, at, kind, summary, detail) VALUES (?, ?, ?, ?, ?)",
            *(addon_id, self.clock.now(), kind, summary, json.dumps(detail or {})),
        )

    def events(
        self, *, addon_id: str | None = None, limit: int = 500, after: int | None = None
    ) -> list[dict[str, Any]]:
        """Events (of one resource), oldest first, as JSON-ready dictionaries: the first ``limit`` after the
        event with the id ``after``, so that a reader who goes on from there misses none; else the newest.
        """
        about = "SELECT * FROM events WHERE (? IS NULL OR addon_id = ?)"
        if after is None:
            newest = self.store.rows(about + " ORDER BY id DESC LIMIT ?", addon_id, addon_id, limit)
            rows = list(reversed(newest))
        else:
            rows = self.store.rows(
                about + " AND id > ? ORDER BY id LIMIT ?", addon_id, addon_id, after, limit
            )
        return [{**row, "at": iso(row["at"]), "detail": json.loads(row["detail"])} for row in rows]

    def log_input_url(self, log_token: str) -> str:
        """Where a provider posts log lines for one attachment; the token is in the credentials."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://token:{log_token}@{parts.netloc}/logs"

    def notify(self, app_id: str, level: str, text: str) -> None:
        """Leave a message for the page of an app; ``level`` is ``success`` or ``danger``."""
        self.store.run(
            "INSERT INTO notices (app_id, level, text, at) VALUES (?, ?, ?, ?)",
            app_id,
            level,
            text,
            self.clock.now(),
        )
