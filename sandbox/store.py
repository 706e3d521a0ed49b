"""The sandbox's state: one SQLite file in the data folder, written by one process."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS services (
    slug TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, manifest TEXT NOT NULL,
    oauth_client_secret TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS plans (
    id TEXT PRIMARY KEY, service TEXT NOT NULL REFERENCES services (slug), name TEXT NOT NULL,
    human_name TEXT NOT NULL, description TEXT NOT NULL, price TEXT NOT NULL, is_default INTEGER NOT NULL,
    state TEXT NOT NULL, position INTEGER NOT NULL, retired INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, UNIQUE (service, name));
CREATE TABLE IF NOT EXISTS apps (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, region TEXT NOT NULL, restarts INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, deleted_at REAL);
CREATE UNIQUE INDEX IF NOT EXISTS live_app_name ON apps (name) WHERE deleted_at IS NULL;
CREATE TABLE IF NOT EXISTS collaborators (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL, created_at REAL NOT NULL, UNIQUE (app_id, user_id));
CREATE TABLE IF NOT EXISTS config_vars (
    app_id TEXT NOT NULL REFERENCES apps (id), name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (app_id, name));
CREATE TABLE IF NOT EXISTS addons (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, service TEXT NOT NULL REFERENCES services (slug),
    plan TEXT NOT NULL, app_id TEXT NOT NULL REFERENCES apps (id), state TEXT NOT NULL
        CHECK (state IN ('provisioning', 'provisioned', 'deprovisioning', 'deprovisioned')),
    unanswered INTEGER NOT NULL DEFAULT 1, provider_id TEXT, options TEXT NOT NULL DEFAULT '{}',
    config TEXT NOT NULL DEFAULT '{}', message TEXT, drain_url TEXT,
    creation_failed INTEGER NOT NULL DEFAULT 0, deadline_at REAL,
    delete_due_at REAL, delete_attempts INTEGER NOT NULL DEFAULT 0,
    provision_actions INTEGER NOT NULL DEFAULT 0, deprovision_actions INTEGER NOT NULL DEFAULT 0,
    repeated_actions INTEGER NOT NULL DEFAULT 0, refused_actions INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, deleted_at REAL);
CREATE UNIQUE INDEX IF NOT EXISTS live_addon_name ON addons (name) WHERE deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS addon_by_app ON addons (app_id);
CREATE TABLE IF NOT EXISTS attachments (
    id TEXT PRIMARY KEY, addon_id TEXT NOT NULL REFERENCES addons (id),
    app_id TEXT NOT NULL REFERENCES apps (id),
    name TEXT NOT NULL, log_token TEXT NOT NULL, created_at REAL NOT NULL, UNIQUE (app_id, name));
CREATE INDEX IF NOT EXISTS attachment_by_addon ON attachments (addon_id);
CREATE INDEX IF NOT EXISTS attachment_by_log_token ON attachments (log_token);
CREATE TABLE IF NOT EXISTS releases (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps (id), version INTEGER NOT NULL,
    description TEXT NOT NULL, user_id TEXT NOT NULL, created_at REAL NOT NULL, UNIQUE (app_id, version));
CREATE TABLE IF NOT EXISTS grants (
    code TEXT PRIMARY KEY, addon_id TEXT NOT NULL REFERENCES addons (id), expires_at REAL NOT NULL,
    used_at REAL);
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, addon_id TEXT NOT NULL REFERENCES addons (id), kind TEXT NOT NULL,
    expires_at REAL, revoked_at REAL);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, addon_id TEXT, at REAL NOT NULL, kind TEXT NOT NULL,
    summary TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_by_addon ON events (addon_id, id);
CREATE TABLE IF NOT EXISTS faults (
    id TEXT PRIMARY KEY, service TEXT, addon TEXT, place TEXT NOT NULL, kind TEXT NOT NULL,
    times INTEGER NOT NULL, probability REAL NOT NULL, seconds REAL, hits INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS webhooks (
    id TEXT PRIMARY KEY, addon_id TEXT NOT NULL REFERENCES addons (id), url TEXT NOT NULL,
    level TEXT NOT NULL, include TEXT NOT NULL, authorization TEXT, secret TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS webhook_by_addon ON webhooks (addon_id);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id TEXT NOT NULL, event TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL, give_up_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app_id TEXT NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL,
    at REAL NOT NULL);
"""


class DataFolderInUseError(Exception):
    """Another sandbox process already works in this data folder."""


class Store:
    """SQLite in WAL mode, used from the event loop's thread only.

    Every statement runs to its end without giving up the thread, so a ``transaction`` block that awaits
    nothing is atomic among requests as well as on disk. Committed work survives ``kill -9`` of the process.
    Raises ``DataFolderInUseError`` when another process holds the folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = (folder / "sandbox.lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise DataFolderInUseError(f"another sandbox already works in {folder}") from None
        path = folder / "sandbox.sqlite3"
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(SCHEMA)
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nests into the outermost block. Nothing inside may ``await``."""
        if self._depth == 0:
            self._db.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._db.execute("COMMIT")

    def run(self, sql: str, *values: Any) -> int:
        """Execute one statement and return the number of rows it changed."""
        return self._db.execute(sql, values).rowcount

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Every row of a query, as dictionaries by column name."""
        return [dict(row) for row in self._db.execute(sql, values)]

    def row(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        found = self._db.execute(sql, values).fetchone()
        return None if found is None else dict(found)

    def close(self) -> None:
        """Close the database and release the folder."""
        self._db.close()
        self._lock_file.close()
