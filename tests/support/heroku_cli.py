"""Heroku's own command line with its AI plugin, from npm, run against a sandbox."""

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.program import Program, RunningProgram
from local.watcher import Watcher
from tests.support.stack import PROJECT, until

PACKAGE = PROJECT / "tests" / "sandbox" / "cli" / "package.json"
FOLDER = PROJECT / ".data" / "heroku-cli"
BIN = FOLDER / "node_modules" / ".bin"
AI_PLUGIN = FOLDER / "node_modules" / "@heroku" / "plugin-ai"


def install() -> None:
    """Install the CLI through npm, once, and again when its version changes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = PACKAGE.read_text()
    stamp = FOLDER / "installed.json"
    with (FOLDER / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            shutil.copy(PACKAGE, FOLDER / "package.json")
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, timeout=900, stdout=subprocess.DEVNULL)
            stamp.write_text(wanted)


class HerokuCli:
    """The CLI of one developer: a home of its own, a sandbox in Heroku's place."""

    def __init__(self, home: Path, *, sandbox_url: str, environment: Mapping[str, str] | None = None) -> None:
        """Installs the CLI when needed; `environment` adds variables."""
        install()
        self.home = home
        self.environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "CI": "true",
            "HEROKU_HOST": sandbox_url,
            "HEROKU_API_KEY": "any-key",
            "DISABLE_TELEMETRY": "true",
            # Otherwise each command leaves a process behind that looks for a newer release.
            "HEROKU_DISABLE_AUTOUPDATE": "true",
            "NO_COLOR": "1",
            **(environment or {}),
        }

    def link_ai_plugin(self) -> None:
        """What `heroku plugins:install @heroku/plugin-ai` does, from the installed package."""
        self("plugins:link", "--no-install", str(AI_PLUGIN))

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        """Run one command and return all that it printed; AssertionError unless it succeeds (or fails, when told)."""
        done = self._run(["heroku", *arguments], fails=fails)
        return done.stdout + done.stderr

    def shell(self, script: str, **variables: str) -> str:
        """Run a script of commands in bash, as pasted into a terminal, and return its output; it must succeed."""
        return self._run(["bash", "-ec", script], variables=variables).stdout

    def _run(
        self, argv: list[str], *, fails: bool = False, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv,
            env={**self.environment, **(variables or {})},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done


@contextmanager
def https_for_the_plugin(folder: Path, *, host: str, url: str, watcher: Watcher) -> Iterator[dict[str, str]]:
    """The sandbox's https before the provider at `url`; yields the variables that it tells people to set."""
    argv = [sys.executable, "-m", "sandbox", "https", f"{host}={url}", "--port", "0", "--data", str(folder)]
    log = folder / "https.log"
    program = Program(name="https", argv=argv, folder=PROJECT, log=log, stop_seconds=5)
    running = RunningProgram(program, watcher=watcher)
    try:
        until(lambda: log.read_text().endswith("SSL_CERT_DIR\n"))
        exports = [line for line in log.read_text().splitlines() if line.startswith("export ")]
        yield dict(shlex.split(line)[1].split("=", 1) for line in exports)
    finally:
        running.stop()
