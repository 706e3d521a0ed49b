"""The launcher's command line: `python -m local setup|run|sandbox|lint|clean`."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run the command named by the arguments; return the exit code, 1 with one line why it could not."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Runs Addonworks on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="install packages and build scripts and styles")
    setup.add_argument("--dev", action="store_true", help="also what tests and checks need")
    run = commands.add_parser("run", help="start everything and keep it running")
    run.add_argument("--check", action="store_true", help="stop as soon as everything is ready")
    commands.add_parser("sandbox", help="start the stand-in Heroku alone")
    commands.add_parser("lint", help="run every check")
    commands.add_parser("clean", help="remove everything that was made here, data included")
    arguments = parser.parse_args()
    # Each command imports what it needs: `setup` runs before any package is installed.
    if arguments.command == "setup":
        return _setup(dev=arguments.dev)
    if arguments.command == "run":
        return _run(check=arguments.check)
    if arguments.command == "sandbox":
        _sandbox()
    if arguments.command == "lint":
        return _lint()
    return _clean()


def _setup(*, dev: bool) -> int:
    from local import setup

    try:
        setup.run(PROJECT, dev=dev)
    except setup.SetupError as error:
        return _fail(error)
    return 0


def _run(*, check: bool) -> int:
    from local.console import Console
    from local.folders import InUseError
    from local.postgres import PostgresError
    from local.stack import LaunchError, Stack

    try:
        return Stack(PROJECT, console=Console(), environ=os.environ).run(check=check)
    except (LaunchError, PostgresError, InUseError, ValueError) as error:
        return _fail(error)


def _sandbox() -> NoReturn:
    from local.stack import LaunchError, Ports, create_data_folder

    try:
        port = Ports.chosen(os.environ).sandbox_port
    except LaunchError as error:
        sys.exit(_fail(error))
    create_data_folder(PROJECT / ".data")
    data = PROJECT / ".data" / "sandbox"
    argv = ["-m", "sandbox", "serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(data)]
    if (data / "services.json").exists():
        argv += ["--services", str(data / "services.json")]
    os.chdir(PROJECT)
    os.execv(sys.executable, [sys.executable, *argv])  # noqa: S606 - becomes the sandbox


def _lint() -> int:
    from local.lint import lint

    return 0 if lint(PROJECT) else 1


def _clean() -> int:
    from local.clean import clean

    try:
        clean(PROJECT)
    except RuntimeError as error:
        return _fail(error)
    return 0


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
