"""Databases of the run's Postgres, each a copy of one that was migrated once for the whole run.

Migrating takes ten seconds of a processor, a copy takes a tenth of one.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db import connection

PROJECT = Path(__file__).resolve().parents[2]
_MIGRATED = "migrated"
_UNFINISHED = "migrated_unfinished"
_LOCK = 7_031_995
_MIGRATE_SECONDS = 600.0


@contextmanager
def migrated_database() -> Iterator[str]:
    """The URL of a new database as `manage.py migrate` leaves an empty one; it is dropped with the block."""
    _ensure_migrated()
    name = f"copy_{uuid.uuid4().hex[:12]}"
    with _administrator() as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {_MIGRATED} STRATEGY file_copy")
    try:
        yield _url_of(name)
    finally:
        with _administrator() as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _ensure_migrated() -> None:
    """Have the database that is copied; whoever comes first migrates it, and the others wait for that."""
    with _administrator() as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [_LOCK])  # until the connection's end
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_MIGRATED]).fetchone():
            return
        admin.execute(f"DROP DATABASE IF EXISTS {_UNFINISHED} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {_UNFINISHED}")
        done = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=PROJECT,
            env={**os.environ, "DATABASE_URL": _url_of(_UNFINISHED)},
            capture_output=True,
            text=True,
            timeout=_MIGRATE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"migrate: {done.stdout}{done.stderr}")
        # Postgres copies only what nobody is connected to.
        admin.execute(f"ALTER DATABASE {_UNFINISHED} WITH ALLOW_CONNECTIONS false")
        admin.execute(f"ALTER DATABASE {_UNFINISHED} RENAME TO {_MIGRATED}")


def _administrator() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def _url_of(database: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()


def keep_rows() -> None:
    """Remember the rows that this process's database has now."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = [connection.ops.quote_name(name) for name in names]
    steps = [f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE"]
    steps += [f"DELETE FROM {table}" for table in tables]  # noqa: S608 - names of our own tables
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA kept")
        for table in tables:
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")  # noqa: S608 - likewise
            if cursor.fetchone() == (True,):
                cursor.execute(f"CREATE TABLE kept.{table} AS TABLE {table}")
                steps.append(f"INSERT INTO {table} TABLE kept.{table}")
        # As a replica Postgres leaves out the triggers that keep rows as they are, and looks after no foreign key.
        cursor.execute(
            "CREATE PROCEDURE kept.put_back() LANGUAGE plpgsql SET session_replication_role = replica"
            f" AS $$ BEGIN {'; '.join(steps)}; END $$"
        )


def put_rows_back() -> None:
    """Let every table have the rows again that were kept, and no other; waits for those who are still writing.

    After tests that commit. Django's own way, emptying every table and making its permissions anew, takes half a second
    of a processor.
    """
    with connection.cursor() as cursor:
        cursor.execute("CALL kept.put_back()")
