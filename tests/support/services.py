"""One PostgreSQL, one Redis and one Kafka for a whole test run, and the environment the settings are read from.

A pytest plugin (named in pyproject.toml) and not part of conftest.py, because pytest-django reads the
settings before any conftest. The process that was started by hand owns the servers; the workers of
pytest-xdist inherit their addresses. pytest-django gives every worker a database of its own; here every
worker gets a Redis database of its own. The Kafka broker is shared: tenants never meet, and users, topics and groups of
a test have names of their own. It starts beside everything else, and is waited for once the tests are collected.
"""

import os
import shutil
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from local.environment import new_secrets
from local.kafka import Kafka
from local.kafka_jars import Jars, KafkaError
from local.postgres import Postgres
from local.redis import DATABASES, Redis
from local.watcher import Watcher
from tests.support.folders import server_folder
from tests.support.kafka import JARS, KAFKA_LOG, NO_KAFKA, wait_for_kafka


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the servers, or in a worker take its share of them, before the settings are read."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        # A run that is ended by a time limit or a closed terminal clears up as one ended by Ctrl-C.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt_once)
        early_config.add_cleanup(_start())
    else:
        database = 1 + int(worker.removeprefix("gw")) % (DATABASES - 1)
        os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{database}").geturl()
    return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Wait for the broker, which has been starting meanwhile; whoever starts workers leaves it to them."""
    if session.items and not session.config.option.collectonly:
        wait_for_kafka()


def _interrupt_once(*_: object) -> NoReturn:
    # make and the terminal each pass the signal on: the second must not interrupt the clearing up.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _start() -> Callable[[], None]:
    """Start the servers, set the environment, and return what stops and removes them."""
    with ExitStack() as cleaning:
        folder = cleaning.enter_context(server_folder())
        watcher = cleaning.enter_context(Watcher())
        kafka = _launch_kafka(cleaning, folder=folder, watcher=watcher)
        postgres = Postgres(folder / "postgres", fast=True, watcher=watcher)
        cleaning.callback(shutil.rmtree, postgres.folder, ignore_errors=True)
        cleaning.enter_context(postgres)
        redis = cleaning.enter_context(Redis(folder / "redis", watcher=watcher))
        os.environ.update(
            {**new_secrets(), **kafka},
            DJANGO_SETTINGS_MODULE="addon.settings",
            ADDONWORKS_ENV="test",
            ADDONWORKS_ENV_FILE="",
            LOG_FORMAT="json",
            LOG_LEVEL="INFO",
            DATABASE_URL=postgres.url,
            REDIS_URL=redis.url,
            BASE_URL="http://testserver",
            # Names that never resolve, so that a test that forgot its stand-in reaches nobody.
            HEROKU_API_URL="https://api.heroku.invalid",
            HEROKU_ID_URL="https://id.heroku.invalid",
            HEROKU_DASHBOARD_URL="https://dashboard.heroku.invalid",
        )
        started = cleaning.pop_all()
    return started.close


def _launch_kafka(cleaning: ExitStack, *, folder: Path, watcher: Watcher) -> dict[str, str]:
    """Launch the broker and return its environment; where it cannot run, tests that need it tell why."""
    jars = Jars(JARS)
    missing = os.environ.get(NO_KAFKA) or jars.missing()
    if missing is not None:
        return {NO_KAFKA: missing}
    kafka = Kafka(folder / "kafka", jars=jars, watcher=watcher)
    cleaning.callback(kafka.stop)
    try:
        kafka.launch()
    except KafkaError as error:
        return {NO_KAFKA: str(error)}
    return {**kafka.environment, KAFKA_LOG: str(kafka.log)}
