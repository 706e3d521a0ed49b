"""Keeps the processes of one machine running, and stops them in order.

One thread, one loop: it reads what the processes print, starts a crashed one again after a back-off, and
sees the signals that end it all. Parts stop by level (`local.program`), each level at once.
"""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from local.console import Console
from local.program import Program, RunningProgram
from local.watcher import Watcher

BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_SECONDS = 30.0
"""A process that ran this long starts its back-off anew when it crashes."""

_TICK = 0.1


class StoppedError(Exception):
    """A person or the system asked the launcher to stop while it was waiting for something."""


def nothing_needed() -> str | None:
    """Say that nothing is missing; the default of `Part.needs`."""
    return None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One row of the table of processes.

    `program` is called before every start and may prepare it; what it raises is shown, and the start is
    tried again. `is_ready` tells whether the part does its work. `needs` names in one line what this machine
    lacks for it, such as Java, and how to get it: the part is then left out and the rest runs.
    """

    name: str
    program: Callable[[], Program]
    is_ready: Callable[[], bool]
    needs: Callable[[], str | None] = nothing_needed


class _State:
    """One part while the launcher runs."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.running: RunningProgram | None = None
        self.crashes = 0
        self.start_at = 0.0


class Supervisor:
    """Runs parts until told to stop. Use `signals_handled` around everything that starts a process."""

    def __init__(
        self,
        *,
        console: Console,
        watcher: Callable[[], Watcher] = Watcher,
        back_off: Sequence[float] = BACK_OFF_SECONDS,
    ) -> None:
        self._console = console
        self._new_watcher = watcher
        self._watcher = watcher()
        self._back_off = back_off
        self._selector = selectors.DefaultSelector()
        self._states: list[_State] = []
        self._steps: list[RunningProgram] = []
        self._requests = 0

    @contextlib.contextmanager
    def signals_handled(self) -> Iterator[None]:
        """Turn Ctrl-C, SIGTERM and a closed terminal into a request to stop; a second one kills."""

        def request(*_: object) -> None:
            # Nothing is printed here: the signal may have interrupted a print.
            self._requests += 1

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        former = {number: signal.signal(number, request) for number in numbers}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @property
    def stop_requested(self) -> bool:
        """Tell whether someone asked to stop."""
        return self._requests > 0

    def add(self, part: Part) -> bool:
        """Start a part and keep it running; tell whether this machine has what it needs."""
        missing = part.needs()
        if missing is not None:
            self._console.say(f"{part.name} is left out: {missing}")
            return False
        state = _State(part)
        self._states.append(state)
        self._start(state)
        return True

    def wait_ready(self, names: Sequence[str], *, seconds: float) -> list[str]:
        """Keep everything running until the named parts are ready; return those that were not in time.

        Raises StoppedError when asked to stop.
        """
        deadline = time.monotonic() + seconds
        waiting = [state for state in self._states if state.part.name in names]
        while waiting and time.monotonic() < deadline:
            self._tick()
            if self.stop_requested:
                raise StoppedError
            waiting = [state for state in waiting if not (state.running and state.part.is_ready())]
        return [state.part.name for state in waiting]

    def run_steps(self, chains: Sequence[Sequence[Program]]) -> str | None:
        """Run chains of programs that end by themselves, the chains side by side.

        Returns the name of the first that failed, its output shown, or None. Raises StoppedError.
        """
        queues = [list(chain) for chain in chains]
        current: list[RunningProgram | None] = [None] * len(queues)
        failed: str | None = None
        while failed is None and (any(queues) or any(current)):
            for index, queue in enumerate(queues):
                step = current[index]
                if step is not None and not step.is_alive():
                    self._finish(step)
                    self._steps.remove(step)
                    current[index] = None
                    if step.process.returncode != 0:
                        failed = step.program.name
                        break
                if current[index] is None and queue:
                    current[index] = self._launch(queue.pop(0))
                    self._steps.append(current[index])  # type: ignore[arg-type]
            self._tick(0.02)
            if self.stop_requested:
                raise StoppedError
        return failed

    def run(self) -> None:
        """Keep everything running until asked to stop."""
        while not self.stop_requested:
            self._tick()

    def stop(self) -> None:
        """Stop everything, the highest level first; a second request kills what is left."""
        if self.stop_requested:
            self._console.say("stopping (once more to stop at once)")
        running = [state.running for state in self._states if state.running] + self._steps
        for level in sorted({one.program.level for one in running}, reverse=True):
            group = [one for one in running if one.program.level == level]
            for one in group:
                one.ask_to_stop()
            asked = time.monotonic()
            while group:
                self._read(0.05)
                for one in list(group):
                    late = time.monotonic() > asked + one.program.stop_seconds or self._requests > 1
                    if one.is_alive() and not late:
                        continue
                    if one.is_alive():
                        self._console.say(f"{one.program.name} did not stop in time: killed")
                    self._finish(one)
                    group.remove(one)
        self._states.clear()
        self._steps.clear()
        self._watcher.close()

    def _start(self, state: _State) -> None:
        try:
            state.running = self._launch(state.part.program())
        except Exception as error:  # noqa: BLE001 - one part that cannot start must not take the others along
            self._again(state, f"{state.part.name} could not be started: {error}")

    def _launch(self, program: Program) -> RunningProgram:
        if not self._watcher.is_alive():
            self._replace_watcher()
        running = RunningProgram(program, watcher=self._watcher, piped=True)
        if running.pipe is not None:
            os.set_blocking(running.pipe.fileno(), False)
            self._selector.register(running.pipe, selectors.EVENT_READ, _Lines(program.name))
        return running

    def _replace_watcher(self) -> None:
        self._watcher.close()
        self._watcher = self._new_watcher()
        for state in self._states:
            if state.running:
                state.running.handed_to(self._watcher)

    def _again(self, state: _State, message: str) -> None:
        state.running = None
        seconds = self._back_off[min(state.crashes, len(self._back_off) - 1)]
        state.crashes += 1
        state.start_at = time.monotonic() + seconds
        self._console.say(f"{message}; starting it again in {seconds:g} s")

    def _tick(self, seconds: float = _TICK) -> None:
        self._read(seconds)
        for state in self._states:
            running = state.running
            if running is None:
                if time.monotonic() >= state.start_at and not self.stop_requested:
                    self._start(state)
            elif not running.is_alive():
                words = running.last_words()
                self._finish(running)
                if time.monotonic() - running.started_at > STEADY_SECONDS:
                    state.crashes = 0
                reason = _reason(running.process.returncode)
                self._again(state, f"{state.part.name} {reason}" + (f"\n{words}\n" if words else ""))

    def _finish(self, running: RunningProgram) -> None:
        """Clear a program away and print the rest of what it said."""
        running.clear()
        if running.pipe is not None:
            key = self._selector.unregister(running.pipe)
            self._take(running.pipe, key.data)
            key.data.flush(self._console)
            running.pipe.close()

    def _read(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        ready = self._selector.select(seconds)
        for key, _ in ready:
            assert not isinstance(key.fileobj, int)  # noqa: S101 - only our own pipes are registered
            if not self._take(key.fileobj, key.data):  # type: ignore[arg-type]
                # At its end a pipe is always readable: the process is about to be cleared away.
                time.sleep(0.02)

    def _take(self, pipe: IO[bytes], lines: "_Lines") -> bool:
        """Print what a pipe holds; False at its end."""
        while True:
            try:
                received = os.read(pipe.fileno(), 65536)
            except BlockingIOError:
                return True
            if not received:
                return False
            lines.feed(received, self._console)


class _Lines:
    """Puts a process's output together to lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""

    def feed(self, received: bytes, console: Console) -> None:
        *whole, self._rest = (self._rest + received).split(b"\n")
        for line in whole:
            console.line(self._name, line.decode(errors="replace").rstrip("\r"))

    def flush(self, console: Console) -> None:
        if self._rest:
            console.line(self._name, self._rest.decode(errors="replace"))
            self._rest = b""


def _reason(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with code {code}"
