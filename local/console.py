"""What a person sees: each line of a process under its coloured name."""

import contextlib
import os
import sys

_COLOURS = (36, 32, 35, 33, 34, 96, 92, 95, 93, 94)
_WIDTH = 10


class Console:
    """Prefixed lines on standard output, coloured on a terminal; NO_COLOR and FORCE_COLOR decide."""

    def __init__(self) -> None:
        forced = bool(os.environ.get("FORCE_COLOR"))
        self._coloured = not os.environ.get("NO_COLOR") and (forced or sys.stdout.isatty())
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        """Print one line that came from the process `name`."""
        if name not in self._names:
            self._names.append(name)
        label = f"{name:<{_WIDTH}}"
        if self._coloured:
            colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
            label = f"\033[{colour}m{label}\033[0m"
        self.write(f"{label} | {text}")

    def say(self, text: str) -> None:
        """Print a line of the launcher's own."""
        self.write(f"\033[1m{text}\033[0m" if self._coloured and text else text)

    def write(self, text: str) -> None:
        """Print a line as it is. A terminal that was closed is no reason to stop working."""
        with contextlib.suppress(OSError):
            print(text, flush=True)
