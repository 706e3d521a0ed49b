"""The embedded PostgreSQL keeps its data, survives kills, and gets out of nobody's way."""

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local import folders, postgres
from local.folders import InUseError
from local.ports import PortTakenError
from local.postgres import Postgres
from local.watcher import Watcher
from tests.local.processes import eventually, is_running, kill, session
from tests.support.folders import server_folder

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as made:
        yield made


@pytest.fixture(scope="module")
def server(watcher: Watcher) -> Iterator[Postgres]:
    """One server for the tests that only look at it."""
    with server_folder() as made, Postgres(made / "data", fast=True, watcher=watcher) as started:
        yield started


def execute(server: Postgres, statement: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def test_data_survives_a_stop_and_a_new_start_by_another_owner(folder: Path, watcher: Watcher) -> None:
    with Postgres(folder / "data", fast=True, watcher=watcher) as first:
        execute(first, "create table kept as select 'still here' as words")
    with Postgres(folder / "data", fast=True, watcher=watcher) as second:
        assert execute(second, "select words from kept") == ("still here",)


def test_a_durable_server_keeps_committed_rows_and_its_address_over_a_kill(
    folder: Path, watcher: Watcher
) -> None:
    with Postgres(folder / "data", fast=True, watcher=watcher) as fast:
        assert execute(fast, "show fsync") == ("off",)
    with Postgres(folder / "data", watcher=watcher) as server:
        assert execute(server, "show fsync") == ("on",)
        address = server.url
        execute(server, "create table kept as select 'still here' as words")
        server.kill()
        server.start()
        assert server.url == address
        assert execute(server, "select words from kept") == ("still here",)


def test_only_the_password_opens_it_and_only_its_owner_reads_that(server: Postgres) -> None:
    wrong = f"postgresql://addonworks:{secrets.token_hex(8)}@127.0.0.1:{server.port}/addonworks"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    password = server.folder / "password"
    assert password.stat().st_mode & 0o077 == 0


def test_text_is_utf8_and_time_is_utc(server: Postgres) -> None:
    found = execute(
        server, "select upper('é'), current_setting('server_encoding'), current_setting('timezone')"
    )
    assert found == ("É", "UTF8", "UTC")


def test_a_taken_port_is_named_with_its_holder_and_nothing_is_created(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {port} is taken by process {os.getpid()} \("):
            Postgres(folder / "data", port=port).__enter__()
    assert not (folder / "data" / "cluster").exists()


def test_two_servers_never_share_a_folder(server: Postgres, watcher: Watcher) -> None:
    with pytest.raises(InUseError, match=f"in use by process {os.getpid()}"):
        Postgres(server.folder, fast=True, watcher=watcher).start()
    assert execute(server, "select 1") == (1,)


def test_a_server_whose_launcher_and_watcher_were_killed_is_taken_over(
    folder: Path, watcher: Watcher
) -> None:
    script = f"""
import os, sys, time
sys.path.insert(0, {str(PROJECT)!r})
from pathlib import Path
from local.postgres import Postgres
server = Postgres(Path({str(folder)!r}) / "data", fast=True)
server.start()
print("serving", server.pid, server._watcher._process.pid, flush=True)
time.sleep(60)
"""
    with session("-c", script) as launcher:
        _, server, its_watcher = launcher.until("serving").split()
        kill(int(its_watcher))
        kill(launcher.process.pid)
        launcher.end()
        assert is_running(int(server))
        with Postgres(folder / "data", fast=True, watcher=watcher) as taken_over:
            assert execute(taken_over, "select 1") == (1,)
            assert not is_running(int(server))


def test_a_server_whose_launcher_was_killed_stops_by_itself(folder: Path) -> None:
    script = f"""
import os, sys, time
sys.path.insert(0, {str(PROJECT)!r})
from pathlib import Path
from local.postgres import Postgres
server = Postgres(Path({str(folder)!r}) / "data", fast=True)
server.start()
print("serving", server.pid, flush=True)
time.sleep(60)
"""
    with session("-c", script) as launcher:
        server = int(launcher.until("serving").split()[1])
        kill(launcher.process.pid)
        eventually(lambda: not is_running(server))


def test_a_pid_file_whose_number_now_belongs_to_another_process_is_no_obstacle(
    folder: Path, watcher: Watcher
) -> None:
    with Postgres(folder / "data", fast=True, watcher=watcher) as server:
        pid_file = server.folder / "cluster" / "postmaster.pid"
        left = pid_file.read_text().splitlines()
        server.kill()
        # Of the server's own user, so that PostgreSQL by itself would refuse to start.
        other = session("-c", "import time; print('here', flush=True); time.sleep(60)")
        with other as foreign:
            foreign.until("here")
            pid_file.write_text("\n".join([str(foreign.process.pid), *left[1:]]) + "\n")
            server.start()
            assert execute(server, "select 1") == (1,)
            assert is_running(foreign.process.pid)


def test_a_cluster_whose_creation_was_interrupted_is_made_anew(folder: Path, watcher: Watcher) -> None:
    with Postgres(folder / "data", fast=True, watcher=watcher) as server:
        place = server.folder
    shutil.move(place / "cluster", place / "cluster.new")
    (place / "cluster.new" / "PG_VERSION").unlink()
    with Postgres(folder / "data", fast=True, watcher=watcher) as server:
        assert execute(server, "select 1") == (1,)
    assert not (place / "cluster.new").exists()


def test_a_folder_the_server_user_cannot_reach_is_replaced_and_parents_stay_closed(
    folder: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(folders, "SYSTEM_FOLDER", folder / "system")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with Postgres(closed / "data", fast=True, watcher=watcher, say=said.append) as server:
        assert execute(server, "select 1") == (1,)
        assert closed.stat().st_mode & 0o777 == 0o700
        if folders.unprivileged_user() is None:
            assert server.folder == closed / "data"
        else:
            assert server.folder == folders.fallback_for(closed / "data")
            assert str(server.folder) in said[0]


def test_programs_the_server_user_cannot_reach_are_copied_where_it_can(
    folder: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "SYSTEM_FOLDER", folder / "system")
    installed = postgres._installed_binaries()
    closed = folder / "closed"
    # As in a virtual environment below a home folder that is closed to others.
    for source in (installed.parent, installed.parents[1].with_name(f"{installed.parents[1].name}.libs")):
        if source.is_dir():
            shutil.copytree(source, closed / source.relative_to(installed.parents[2]), symlinks=True)
    closed.chmod(0o700)
    monkeypatch.setattr(
        postgres, "_installed_binaries", lambda: closed / installed.relative_to(installed.parents[2])
    )
    former = os.umask(0o077)
    try:
        with Postgres(folder / "data", fast=True, watcher=watcher) as server:
            assert execute(server, "select 1") == (1,)
    finally:
        os.umask(former)
    assert closed.stat().st_mode & 0o777 == 0o700


def test_what_keeps_the_server_from_starting_is_told(own_postgres: Postgres) -> None:
    own_postgres.stop()
    (own_postgres.folder / "cluster" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(Exception, match="no_such_setting"):
        own_postgres.start()
