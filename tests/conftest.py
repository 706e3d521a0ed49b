"""Fixtures that every folder of tests may use; the shared servers start in `tests.support.services`."""

import os
import shutil
import uuid
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import Client
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from local.postgres import Postgres
from local.redis import Redis
from local.setup import BROWSERS
from local.watcher import Watcher
from tests.support.folders import server_folder


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The test database, whose append-only tables may be emptied: tests with real transactions do when they end."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('ALTER TABLE %I DISABLE TRIGGER %I', relname, tgname)"
            " FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND tgtype & 32 > 0"  # 32: fires at TRUNCATE
        )
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
    # Emptying every table takes the migrations' own rows too, and tells so by the signal that follows a migration.
    post_migrate.connect(_make_role_groups, sender=apps.get_app_config("operators"))


def _make_role_groups(**_: object) -> None:
    import_module("operators.migrations.0002_roles_and_guards").make_roles(apps, None)


@pytest.fixture(autouse=True)
def own_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong secrets of other tests count nothing here."""
    from provisioning import attempts

    monkeypatch.setattr(attempts, "_NAMESPACE", uuid.uuid4().hex)


@pytest.fixture
def admin_client(db: None) -> Client:
    """In place of pytest-django's: an operator who may everything, signed in with a second factor."""
    from tests.support.operators import operator_client

    return operator_client(username="admin", superuser=True)


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Address of this worker's own database in the shared Redis."""
    return os.environ["REDIS_URL"]


@pytest.fixture(scope="session")
def watcher() -> Iterator[Watcher]:
    """What ends the servers and processes of a test that was killed."""
    with Watcher() as started:
        yield started


@pytest.fixture
def own_postgres(watcher: Watcher) -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, to be stopped, killed and started at will."""
    with server_folder() as folder, Postgres(folder / "postgres", fast=True, watcher=watcher) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path, watcher: Watcher) -> Iterator[Redis]:
    """A Redis of the test's own, to be stopped, killed, flushed and started at will; it keeps nothing."""
    with Redis(tmp_path / "redis", watcher=watcher) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """This machine's Chromium, without a window.

    For one module and no longer: while it runs, Playwright keeps an event loop in this thread, in which Django refuses
    to touch the database.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("The browser tests need Chromium: run `apt-get install -y chromium`.", pytrace=False)
    expect.set_options(timeout=45_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()
