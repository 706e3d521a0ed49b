"""What the embedded servers have in common: a folder of their own, one running program, and how it ends."""

import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

import psutil

from local.program import RunningProgram
from local.watcher import Watcher

ORPHAN_STOP_SECONDS = 10.0


class EmbeddedServer(ABC):
    """One embedded server; a context manager, or driven by the supervisor.

    A server of its own kind sets `_watcher` and `_owns_watcher`, and `_running` while it runs.
    """

    _running: RunningProgram | None = None
    _watcher: Watcher
    _owns_watcher: bool

    @abstractmethod
    def start(self) -> None:
        """Start the server and wait until it answers."""

    @abstractmethod
    def release(self) -> None:
        """Give the folder's lock back."""

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
