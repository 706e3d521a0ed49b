"""Removes what the launcher and the set-up made in a checkout. Standard library alone: .venv goes too."""

import shutil
from pathlib import Path

from local import folders

MADE = (
    "staticfiles",
    "frontend/dist",
    "frontend/node_modules",
    "sandbox/static/dist",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".import_linter_cache",
    ".hypothesis",
    ".venv",
)


def clean(project: Path) -> None:
    """Remove data, builds, caches and installed packages; raises RuntimeError while the project runs."""
    data = project / ".data"
    if data.exists():
        try:
            lock = folders.lock(data / "run.lock")
        except folders.InUseError as error:
            raise RuntimeError(f"still running (process {error.owner}): stop it first") from None
        with lock:
            shutil.rmtree(folders.fallback_for(data / "postgres"), ignore_errors=True)
            shutil.rmtree(data)
    for name in MADE:
        shutil.rmtree(project / name, ignore_errors=True)
    for cache in project.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
