"""A program that the launcher runs: how it is started, asked to stop, and cleared away."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local.watcher import Watcher, group_is_alive, signal_group

STORES = 0
"""Level of databases: they stop after the processes that use them."""
PROCESSES = 1
"""Level of everything else."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to start. `user` is the uid and gid to run as, or None for the launcher's own."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: tuple[int, int] | None = None
    level: int = PROCESSES
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


class RunningProgram:
    """A started program: the leader of a session and process group of its own.

    The group keeps a terminal's Ctrl-C away from it, so that the launcher decides the order of the stop,
    and lets what a crashed leader leaves behind be found.
    """

    def __init__(
        self, program: Program, *, watcher: Watcher, output: int | IO[bytes] = subprocess.DEVNULL
    ) -> None:
        self.program = program
        self._watcher = watcher
        argv = watcher.started_by(
            program.argv,
            level=program.level,
            stop_signal=program.stop_signal,
            stop_seconds=program.stop_seconds,
        )
        uid, gid = program.user or (None, None)
        self.process = subprocess.Popen(
            argv,
            stdin=watcher.pipe,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.environment},
            cwd=program.folder,
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=[] if program.user else None,
        )

    @property
    def pid(self) -> int:
        """The process id, which is the id of its process group too."""
        return self.process.pid

    def is_alive(self) -> bool:
        """Tell whether the leader still runs."""
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Send the program's own stop signal to its leader."""
        if self.is_alive():
            self.process.send_signal(self.program.stop_signal)

    def clear(self) -> None:
        """Kill whatever is left of the program and take it off the watcher's list."""
        signal_group(self.pid, signal.SIGKILL)
        self.process.wait()
        while group_is_alive(self.pid):
            time.sleep(0.01)
        self._watcher.forget(self.pid)

    def stop(self) -> None:
        """Ask to stop, wait for the program's `stop_seconds`, then kill what is left."""
        self.ask_to_stop()
        try:
            self.process.wait(self.program.stop_seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.clear()
