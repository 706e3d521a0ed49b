"""Fixtures that every folder of tests may use; the shared servers start in `tests.support.services`."""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from local.postgres import Postgres
from local.redis import Redis
from local.setup import BROWSERS
from local.watcher import Watcher
from tests.support.databases import keep_rows, migrated_database, put_rows_back
from tests.support.folders import server_folder

# How long an example takes says something of the machine only.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """In place of pytest-django's: a copy of the run's migrated database, with the catalogue in it.

    After a test with real transactions every table gets back the rows that it has here.
    """
    from provisioning.catalogue import sync_plans
    from provisioning.services import all_services

    with migrated_database() as url, pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", urlsplit(url).path.removeprefix("/"))
        with django_db_blocker.unblock():
            connection.close()  # the example's tests run beside ours, with a copy of their own
            sync_plans(all_services().values())
            keep_rows()
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: put_rows_back())
        yield
        with django_db_blocker.unblock():
            connection.close()


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
