"""A kept connection is looked at before each request, at no cost while nothing happened to it."""

import contextlib
import time
from collections.abc import Iterator

import pytest
from django.db import DataError, connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper as Django

from provisioning.postgres.base import DatabaseWrapper

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept() -> Iterator[DatabaseWrapper]:
    """A connection of the test's own, as a web thread keeps one."""
    made = connections.create_connection("default")
    assert isinstance(made, DatabaseWrapper)
    made.ensure_connection()
    yield made
    made.close()


def begin_request(kept: DatabaseWrapper) -> None:
    """What Django does with a kept connection before each request."""
    vars(kept).update(health_check_enabled=True, health_check_done=False)
    kept.close_if_health_check_failed()


def process_id(of: DatabaseWrapper) -> int:
    """Its backend's process."""
    assert of.connection is not None
    return int(of.connection.info.backend_pid)


def test_a_healthy_connection_is_kept_without_asking_postgres(
    kept: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Django, "is_usable", lambda _: pytest.fail("asked"))
    before = process_id(kept)
    for _ in range(3):
        begin_request(kept)
        with kept.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert process_id(kept) == before


def test_a_connection_that_postgres_ended_is_replaced_before_a_statement_meets_it(
    kept: DatabaseWrapper,
) -> None:
    before = process_id(kept)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [before])
        for _ in range(200):
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [before])
            if not cursor.fetchone():
                break
            time.sleep(0.05)
    begin_request(kept)
    with kept.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert process_id(kept) != before


def test_what_postgres_has_said_unasked_is_heard_and_the_connection_stays(kept: DatabaseWrapper) -> None:
    before = process_id(kept)
    with kept.cursor() as cursor:
        cursor.execute("LISTEN news")
    other = connections.create_connection("default")
    with contextlib.closing(other), other.cursor() as cursor:
        cursor.execute("NOTIFY news")
    time.sleep(0.1)
    begin_request(kept)
    with kept.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert process_id(kept) == before


def test_a_statement_that_is_kept_goes_over_whatever_connection_there_is(kept: DatabaseWrapper) -> None:
    asked = "SELECT pg_backend_pid(), %s::text"
    assert kept.run(asked, ["once"]) == [(process_id(kept), "once")]
    assert kept.run(asked, [None]) == [(process_id(kept), None)]
    before = process_id(kept)
    kept.close()
    assert kept.run(asked, ["again"]) == [(process_id(kept), "again")]
    assert process_id(kept) != before


def test_a_kept_statement_that_failed_can_be_run_again(kept: DatabaseWrapper) -> None:
    with pytest.raises(DataError):
        kept.run("SELECT 1 / %s::int", [0])
    assert kept.run("SELECT 1 / %s::int", [1]) == [(1,)]
