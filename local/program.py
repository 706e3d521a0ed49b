"""A program that the launcher runs: how it is started, asked to stop, and cleared away."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local.watcher import Watcher, group_is_alive, signal_group

STORES, WORKERS, DOORS = 0, 1, 2
"""Levels, stopped from the highest: what makes work, what does it, and the databases both need."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to start.

    `user` is the uid and gid to run as, or None for the launcher's own. `log` takes all output in place of
    the launcher's terminal, and starts empty; `answer` takes standard output alone.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: tuple[int, int] | None = None
    log: Path | None = None
    answer: Path | None = None
    level: int = DOORS
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


class RunningProgram:
    """A started program: the leader of a session and process group of its own.

    The group keeps a terminal's Ctrl-C away from it, so that the launcher decides the order of the stop,
    and lets what a crashed leader leaves behind be found.
    """

    def __init__(self, program: Program, *, watcher: Watcher, piped: bool = False) -> None:
        """Start it. `piped` makes what does not go to a file readable from `pipe`."""
        self.program = program
        self.started_at = time.monotonic()
        self._watcher = watcher
        argv = watcher.started_by(
            program.argv,
            level=program.level,
            stop_signal=program.stop_signal,
            stop_seconds=program.stop_seconds,
        )
        uid, gid = program.user or (None, None)
        with ExitStack() as files:
            output: int | IO[bytes] = subprocess.PIPE if piped else subprocess.DEVNULL
            errors: int | IO[bytes] = subprocess.STDOUT
            if program.log:
                output = files.enter_context(program.log.open("wb"))
            if program.answer:
                errors, output = output, files.enter_context(program.answer.open("wb"))
            self.process = subprocess.Popen(
                argv,
                stdin=watcher.pipe,
                stdout=output,
                stderr=errors,
                env={**os.environ, **program.environment},
                cwd=program.folder,
                start_new_session=True,
                user=uid,
                group=gid,
                extra_groups=[] if program.user else None,
            )
        self.pipe = self.process.stderr if program.answer else self.process.stdout

    @property
    def pid(self) -> int:
        """The process id, which is the id of its process group too."""
        return self.process.pid

    def handed_to(self, watcher: Watcher) -> None:
        """Put the program under another watcher, because its first one is gone."""
        watcher.learn(
            self.pid,
            level=self.program.level,
            stop_signal=self.program.stop_signal,
            stop_seconds=self.program.stop_seconds,
        )
        self._watcher = watcher

    def is_alive(self) -> bool:
        """Tell whether the leader still runs."""
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Send the program's own stop signal to its leader."""
        if self.is_alive():
            self.process.send_signal(self.program.stop_signal)

    def last_words(self, lines: int = 10) -> str:
        """Return the end of the program's log file, empty when it has none."""
        if self.program.log is None:
            return ""
        return "\n".join(self.program.log.read_text(errors="replace").splitlines()[-lines:])

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
