"""What the embedded servers have in common: a folder of their own, one running program, and how it ends."""

import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Self

import psutil

from local import folders
from local.ports import PortTakenError, free_port, is_taken
from local.program import Program, RunningProgram
from local.watcher import Watcher

ORPHAN_STOP_SECONDS = 10.0


class EmbeddedServer(ABC):
    """One embedded server; a context manager, or driven by the supervisor.

    A server of its own kind sets the folder, the port (0: any that is free), `_watcher` and `_owns_watcher`, and
    `_running` while it runs.
    """

    folder: Path
    port: int
    _lock: IO[str] | None = None
    _running: RunningProgram | None = None
    _watcher: Watcher
    _owns_watcher: bool

    @abstractmethod
    def start(self) -> None:
        """Start the server and wait until it answers."""

    @abstractmethod
    def prepare(self) -> None:
        """Claim folder and port, and write what the server starts from: before each start. Raises as `claim`."""

    @abstractmethod
    def program(self) -> Program:
        """Return the server as a program; call `prepare` first."""

    @abstractmethod
    def _end_orphans(self) -> None:
        """Stop what a launcher that is gone left running in this folder."""

    def claim(self) -> None:
        """Lock the folder, end an orphaned server in it, and settle the port. May be called again.

        Raises InUseError when another launcher uses the folder, PortTakenError when the port is held.
        """
        if self._lock is None:
            self._lock = folders.lock(self.folder / "lock")
        self._end_orphans()
        if self.port == 0:
            self.port = free_port()
        elif is_taken(self.port):
            raise PortTakenError(self.port)

    def prepared(self) -> Program:
        """Prepare and return the server as a program: what a supervisor calls before each start."""
        self.prepare()
        return self.program()

    def release(self) -> None:
        """Give the folder's lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def stop(self) -> None:
        """Stop the server cleanly, if it runs, and release the folder. `start` may follow."""
        if self._running is not None:
            self._running.stop()
            self._running = None
        self.release()

    def kill(self) -> None:
        """Kill the server as a crash would (SIGKILL); the folder stays locked for the next `start`."""
        if self._running is not None:
            self._running.clear()
            self._running = None

    @property
    def pid(self) -> int | None:
        """The process id of the server started by `start`."""
        return self._running.pid if self._running else None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._owns_watcher:
            self._watcher.close()


def end_orphans(configuration: Path) -> None:
    """Stop servers that a launcher which is gone left with this configuration; the caller holds the folder's lock."""
    for process in psutil.process_iter(["cmdline"]):
        if str(configuration) not in (process.info["cmdline"] or []):
            continue
        try:
            process.terminate()
            process.wait(ORPHAN_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(ORPHAN_STOP_SECONDS)
        except psutil.NoSuchProcess:
            pass


def kept_password(path: Path) -> str:
    """The password kept in a file (mode 600), made at the first call."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    password = secrets.token_urlsafe(24)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password + "\n")
    return password
