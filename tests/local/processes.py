"""Looking at processes from outside: started ones, their lines, and who is left."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


class Session:
    """A started process and the lines it prints."""

    def __init__(
        self, argv: list[str], *, folder: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._incoming: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._incoming.put(line.rstrip("\n"))
        self._incoming.put(None)

    def until(self, words: str, *, seconds: float = 20) -> str:
        """Return the next line that contains `words`; fail with everything printed when none comes."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._incoming.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"{words!r} was not printed in {seconds} s:\n{self.text}") from None
            if line is None:
                raise AssertionError(f"ended before it printed {words!r}:\n{self.text}")
            self.lines.append(line)
            if words in line:
                return line

    def end(self, *, seconds: float = 35) -> int:
        """Wait until the process has ended and return its exit code."""
        code = self.process.wait(seconds)
        self._thread.join(seconds)
        while not self._incoming.empty():
            if (line := self._incoming.get()) is not None:
                self.lines.append(line)
        return code

    @property
    def text(self) -> str:
        """Everything read so far."""
        return "\n".join(self.lines)

    def tree(self) -> list[psutil.Process]:
        """Every process that was started by this one, and it itself."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


@contextmanager
def session(
    *argv: str, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Session]:
    """Run Python with these arguments; whatever is left of it at the end is killed."""
    started = Session([sys.executable, *argv], folder=folder, environ=environ)
    tree = started.tree
    try:
        yield started
    finally:
        left = tree() if started.process.poll() is None else []
        for process in left:
            # It may have ended by itself since the list was made.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        started.end()
        assert started.process.stdout
        started.process.stdout.close()


def eventually(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait until something holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not come true in {seconds} s"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def kill(pid: int) -> None:
    """End a process as a crash would."""
    os.kill(pid, signal.SIGKILL)
