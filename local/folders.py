"""Data folders: locked by one launcher at a time, and reachable by the user a server runs as."""

import fcntl
import hashlib
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

SYSTEM_FOLDER = Path("/var/lib/addonworks")
"""Where root keeps what an unprivileged user must reach and cannot below the project."""

User = tuple[int, int]


class InUseError(Exception):
    """Another live process holds the lock of a data folder; the message and `owner` name it."""

    def __init__(self, folder: Path, owner: str) -> None:
        super().__init__(f"{folder} is in use by process {owner}")
        self.owner = owner


def lock(path: Path) -> IO[str]:
    """Take an exclusive lock that ends with the returned file or with this process.

    Raises InUseError, naming the holder's process id, when another process has it.
    """
    file = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise InUseError(path.parent, owner) from None
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def unprivileged_user() -> User | None:
    """Return the uid and gid that a server refusing to run as root takes, None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def can_enter(folder: Path, user: User) -> bool:
    """Tell whether a user can traverse every folder down to this one, asked of the kernel itself."""
    return _succeeds_as(user, ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])


def can_run(command: Path, user: User) -> bool:
    """Tell whether a user can execute this program (`--version` of it)."""
    return _succeeds_as(user, [str(command), "--version"])


def _succeeds_as(user: User, argv: list[str]) -> bool:
    uid, gid = user
    try:
        done = subprocess.run(
            argv, user=uid, group=gid, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def fallback_for(folder: Path) -> Path:
    """Return the system folder that stands in for one that a server's user cannot reach."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return SYSTEM_FOLDER / digest


def create_system_folder() -> None:
    """Create the folder that every user may pass through, whatever this process's umask is."""
    if not SYSTEM_FOLDER.exists():
        SYSTEM_FOLDER.mkdir(parents=True)
        SYSTEM_FOLDER.chmod(0o755)


def open_to_all(folder: Path) -> None:
    """Let every user read a folder of ours and all in it, and run what its owner may run."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runnable else 0o644)


def reachable(folder: Path, user: User | None, say: Callable[[str], None]) -> Path:
    """Create `folder`, or the system folder that stands in for it, owned by `user`; return it.

    Permissions of folders above it are never changed. The folder is private to its owner.
    """
    if user is None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not can_enter(folder.parent, user):
        chosen = fallback_for(folder)
        say(f"{folder} cannot be reached by the unprivileged user of the server: using {chosen}")
        create_system_folder()
        folder = chosen
    folder.mkdir(exist_ok=True, mode=0o700)
    if folder.stat().st_uid == 0:
        os.chown(folder, *user)
    return folder
