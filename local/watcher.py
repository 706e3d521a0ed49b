"""The last resort of a launcher: ends what it started, also when the launcher itself was killed.

Every program is started through a shell line that writes its process group into a pipe before it
becomes the program (`started_by`), so no program exists that the watcher does not know. The watcher is
a process of its own at the other end of the pipe: when the pipe closes, because the launcher ended in
whatever way, it stops each registered group that is still alive, the highest level first.

The lower half of this module runs as that process, by path and with the standard library alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_ANNOUNCE = 'echo "+ $$ {level} {signal} {seconds}" >&0; exec "$@" </dev/null'


class Watcher:
    """Starts the watcher process and keeps the pipe to it.

    Use as a context manager, or call `close` once everything was stopped: the watcher then finds nothing
    to do and ends.
    """

    def __init__(self) -> None:
        reading, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid())],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reading)

    def started_by(
        self, argv: Sequence[str], *, level: int, stop_signal: signal.Signals, stop_seconds: float
    ) -> list[str]:
        """Return the command line that registers itself and becomes `argv`.

        Start it with `stdin=watcher.pipe` and `start_new_session=True`. Programs of a higher level are
        stopped before those of a lower one; a group that outlives `stop_seconds` is killed.
        """
        announce = _ANNOUNCE.format(level=level, signal=int(stop_signal), seconds=stop_seconds)
        return ["/bin/sh", "-c", announce, "sh", *argv]

    @property
    def pipe(self) -> int:
        """The pipe's writing end, for a program's standard input until it has registered."""
        return self._pipe

    def is_alive(self) -> bool:
        """Tell whether the watcher process still runs."""
        return self._process.poll() is None

    def learn(self, group: int, *, level: int, stop_signal: signal.Signals, stop_seconds: float) -> None:
        """Put a process group on the list that was started under an earlier watcher."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, f"+ {group} {level} {int(stop_signal)} {stop_seconds}\n".encode())

    def forget(self, group: int) -> None:
        """Take a process group off the list because nothing of it is left."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, f"- {group}\n".encode())

    def close(self) -> None:
        """Close the pipe and wait until the watcher has stopped what was left, usually nothing."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def group_is_alive(group: int) -> bool:
    """Tell whether a process group still has a running member.

    Zombies do not count: in a container whose first process collects no orphans they would stay for ever.
    """
    if not Path("/proc/self/stat").exists():
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are enough, and this runs often
        if not name.isdigit():
            continue
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


def signal_group(group: int, number: int) -> None:
    """Send a signal to every member of a process group; nothing happens if it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _stop(registered: dict[int, tuple[int, int, float]]) -> None:
    for level in sorted({entry[0] for entry in registered.values()}, reverse=True):
        groups = {group: entry for group, entry in registered.items() if entry[0] == level}
        for group, (_, number, _) in groups.items():
            # The leader alone: gunicorn, Celery and Postgres stop their own children in order.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(group, number)
        asked = time.monotonic()
        while groups:
            for group, (_, _, seconds) in list(groups.items()):
                if not group_is_alive(group):
                    del groups[group]
                elif time.monotonic() > asked + seconds:
                    signal_group(group, signal.SIGKILL)
                    del groups[group]
            time.sleep(0.05)


def _watch(launcher: str) -> None:
    # The terminal and the launcher's own stop are no reason to leave early.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    registered: dict[int, tuple[int, int, float]] = {}
    for line in sys.stdin:
        sign, group, *rest = line.split()
        if sign == "-":
            registered.pop(int(group), None)
        else:
            registered[int(group)] = (int(rest[0]), int(rest[1]), float(rest[2]))
    left = {group: entry for group, entry in registered.items() if group_is_alive(group)}
    if left:
        with contextlib.suppress(OSError):
            os.write(2, f"launcher {launcher} is gone: stopping what it had started\n".encode())
        _stop(left)


if __name__ == "__main__":
    _watch(sys.argv[1])
