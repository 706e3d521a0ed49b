"""A test run has one PostgreSQL and one Redis, whatever its workers, and takes them along when it ends."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.ports import is_taken
from tests.local.processes import Session, eventually, kill, session
from tests.support.folders import server_folder
from tests.support.kafka import NO_KAFKA

PROJECT = Path(__file__).resolve().parents[2]

INNER = """
import os, time, urllib.parse
import psycopg, pytest, redis

@pytest.mark.parametrize("number", range(2))
def test_both_answer(number):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("select 1")
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as connection:
        connection.ping()
    with open(f"seen-{number}.new", "w") as seen:
        seen.write(os.environ["DATABASE_URL"] + " " + os.environ["REDIS_URL"])
    os.rename(f"seen-{number}.new", f"seen-{number}")
    while not all(os.path.exists(f"seen-{other}") for other in range(SEEN)):
        time.sleep(0.05)
    time.sleep(SECONDS)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as made:
        yield made


@contextmanager
def inner_run(folder: Path, *options: str, seconds: int, seen: int) -> Iterator[Session]:
    """A test run of its own, in a temporary folder, whose tests write down the addresses they were given."""
    (folder / "test_inner.py").write_text(f"SECONDS, SEEN = {seconds}, {seen}\n{INNER}")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p tests.support.services -p no:django\n")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = {**kept, "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder), NO_KAFKA: "not asked for here"}
    with session("-m", "pytest", "-q", *options, folder=folder, environ=environ) as started:
        yield started


def seen(folder: Path, number: int) -> tuple[str, str]:
    database, redis = (folder / f"seen-{number}").read_text().split()
    return database, redis


def ports(folder: Path) -> list[int]:
    """The ports of the servers that the inner run has started."""
    eventually((folder / "seen-0").exists, seconds=60)
    return [int(urlsplit(address).port or 0) for address in seen(folder, 0)]


def test_workers_share_the_servers_and_each_has_a_redis_database_of_its_own(folder: Path) -> None:
    # Each of the two tests waits for the other, so they run in two workers or never end.
    with inner_run(folder, "-n", "2", seconds=0, seen=2) as run:
        assert run.end(seconds=90) == 0, run.text
    (first, first_redis), (second, second_redis) = seen(folder, 0), seen(folder, 1)
    assert first == second
    assert first_redis.rpartition("/")[0] == second_redis.rpartition("/")[0]
    assert first_redis != second_redis
    assert not any(map(is_taken, ports(folder)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_neither_servers_nor_folders(folder: Path, number: signal.Signals) -> None:
    with inner_run(folder, seconds=60, seen=1) as run:
        taken = ports(folder)
        assert all(map(is_taken, taken))
        run.process.send_signal(number)
        assert run.end() == 2
    assert not any(map(is_taken, taken))
    assert list(folder.glob("addonworks-tests-*")) == []


def test_a_killed_run_leaves_no_servers(folder: Path) -> None:
    with inner_run(folder, seconds=60, seen=1) as run:
        taken = ports(folder)
        kill(run.process.pid)
        eventually(lambda: not any(map(is_taken, taken)), seconds=20)
