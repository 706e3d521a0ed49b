"""A small launcher in a process of its own: supervises the command lines given as JSON, by name.

Usage: launcher.py '{"name": {"argv": [...], "level": 2, "stop_seconds": 5}, ...}'
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local.console import Console
from local.program import Program
from local.supervisor import Part, Supervisor


def main() -> None:
    """Run the parts until asked to stop."""
    console = Console()
    supervisor = Supervisor(console=console, back_off=[0.05])
    with supervisor.signals_handled():
        for name, options in json.loads(sys.argv[1]).items():
            program = partial(Program, name=name, **options)
            supervisor.add(Part(name=name, program=program, is_ready=lambda: True))
        console.say(f"launched {os.getpid()}")
        supervisor.run()
        supervisor.stop()
    console.say("stopped")


if __name__ == "__main__":
    main()
