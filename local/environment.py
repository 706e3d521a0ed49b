"""The generated secrets of one machine and the file that keeps them.

`.data/local.env` (mode 600) holds `NAME=value` lines. Secrets are generated once and stay; the addresses of
the running stack are written beside them at each start, so that `manage.py` in a second shell finds the
same databases.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

SERVICES = ("INFERENCE", "KAFKACLUSTER", "MOBILOUD")


def new_secrets() -> dict[str, str]:
    """Return one fresh value for every secret the settings ask for."""
    generated = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SEALING_KEYS": _versioned_key(),
        "PEPPERS": _versioned_key(),
    }
    for service in SERVICES:
        for kind in ("PASSWORDS", "SSO_SALTS", "OAUTH_CLIENT_SECRETS"):
            generated[f"{service}_{kind}"] = secrets.token_urlsafe(32)
    return generated


def _versioned_key() -> str:
    return "1:" + base64.b64encode(secrets.token_bytes(32)).decode()


def read(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines: comments, `export`, and quotes around a value are understood.

    A file that does not exist is empty. Raises ValueError, naming file and line, for anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip().removeprefix("export ").strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name.isidentifier():
            raise ValueError(f"{path}, line {number}: not of the form NAME=value")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[name] = value
    return values


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step, readable by its owner alone."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("# Written by the launcher. Secrets are kept, addresses are renewed at each start.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
