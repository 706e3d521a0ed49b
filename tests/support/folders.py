"""Folders for embedded servers: pytest's own are closed to the user that Postgres runs as under root."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server_folder() -> Iterator[Path]:
    """Give a short, new folder that other users may pass through, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="addonworks-tests-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
