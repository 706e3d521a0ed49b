"""The secrets and addresses of one machine, in files of `NAME=value` lines (mode 600).

`.data/secrets.env` holds what was generated once and stays. `.data/local.env` is what the processes of the
last start were given, secrets and addresses, so that `manage.py` in a second shell finds the same databases.
"""

import base64
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

SERVICES = ("INFERENCE", "KAFKACLUSTER", "MOBILOUD")
SERVICE_SECRETS = ("PASSWORDS", "SSO_SALTS", "OAUTH_CLIENT_SECRETS")


def new_secrets() -> dict[str, str]:
    """Return one fresh value for every secret the settings ask for."""
    generated = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SEALING_KEYS": _versioned_key(),
        "PEPPERS": _versioned_key(),
        "MAIL_EVENTS_KEY": secrets.token_urlsafe(32),
        "MAIL_WEBHOOK_KEYS": secrets.token_urlsafe(32),
    }
    for service in SERVICES:
        for kind in SERVICE_SECRETS:
            generated[f"{service}_{kind}"] = secrets.token_urlsafe(32)
    return generated


def kept_secrets(path: Path) -> dict[str, str]:
    """Return the secrets kept in a file, after generating those that it lacks."""
    kept = read(path)
    missing = {name: value for name, value in new_secrets().items() if not kept.get(name)}
    if missing:
        kept.update(missing)
        write(path, kept)
    return kept


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
            value = re.sub(r"\\(['\"\\])", r"\1", value[1:-1])
        values[name] = value
    return values


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step, readable by its owner alone."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("# Written by the launcher; settings of your own belong in .env.\n")
        file.writelines(f"{name}='{_escaped(value)}'\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
