"""`make lint`: every check, each named, all of them run even after one has failed."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from local import environment
from local.audit import audit
from local.postgres import Postgres

_MANAGE = (sys.executable, "manage.py")
_CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "format", "--check"),
    ("ruff", "check"),
    ("mypy",),
    ("lint-imports",),
    (*_MANAGE, "makemigrations", "--check", "--dry-run"),
    (*_MANAGE, "check", "--deploy", "--fail-level", "WARNING"),
    (sys.executable, "-m", "pip", "--disable-pip-version-check", "check"),
)


def lint(project: Path, *, say: Callable[[str], None] = print) -> bool:
    """Run every check of the project; tell whether all passed."""
    folder = Path(tempfile.mkdtemp(prefix="addonworks-lint-"))
    # Postgres may run as another user, who has to pass through.
    folder.chmod(0o711)
    with Postgres(folder / "postgres", fast=True) as postgres:
        environ = {**os.environ, **_like_production(database_url=postgres.url)}
        failed = [check for check in _CHECKS if not _passes(check, project, environ, say)]
    audited = audit(project, say=say)
    for made in (postgres.folder, folder):
        shutil.rmtree(made, ignore_errors=True)
    for check in failed:
        say(f"failed: {_name(check)}")
    return audited and not failed


def _passes(
    check: tuple[str, ...], project: Path, environ: Mapping[str, str], say: Callable[[str], None]
) -> bool:
    binaries = Path(sys.executable).parent
    argv = [str(binaries / check[0]) if "/" not in check[0] else check[0], *check[1:]]
    started = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=project,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = done.returncode == 0
    if not passed:
        say(done.stdout.rstrip())
    say(f"{'ok' if passed else 'FAILED':<6} {_name(check)} ({time.monotonic() - started:.1f} s)")
    return passed


def _name(check: tuple[str, ...]) -> str:
    return " ".join(Path(part).name if "/" in part else part for part in check)


def _like_production(*, database_url: str) -> dict[str, str]:
    """Return an environment as production has it, with secrets of the moment."""
    return {
        **environment.new_secrets(),
        # The example of the guide is checked like the services that are sold.
        "MORE_SERVICES": "examples.keyvalue.service.KeyValue",
        **{f"KEYVALUE_{kind}": "secret-of-the-example" for kind in environment.SERVICE_SECRETS},
        "ADDONWORKS_ENV": "production",
        "ADDONWORKS_ENV_FILE": "",
        "DJANGO_SETTINGS_MODULE": "addon.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "BASE_URL": "https://addons.example.com",
        "EMAIL_HOST": "smtp.example.com",
        "DEFAULT_FROM_EMAIL": "Addonworks <no-reply@example.com>",
        "MAIL_WEBHOOK_KEYS": "of the moment",
        "KAFKA_ADMIN_BROKERS": "kafka.example.com:9093",
        "KAFKA_ADMIN_PASSWORD": "of the moment",
    }
