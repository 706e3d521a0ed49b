"""What is kept for a time only: each floor registers the job that deletes it, which the schedule and a command run."""

from collections.abc import Callable

from django.db import transaction

Purge = Callable[[], int]
"""Deletes what is older than what is kept; returns how many rows. Safe to repeat and to run at any time."""
_purges: dict[str, Purge] = {}


def register(name: str, purge: Purge) -> None:
    """Add a job under a plain name, such as `calls to Heroku`; call it in `AppConfig.ready`."""
    _purges[name] = purge


def purge_all(*, dry_run: bool = False) -> dict[str, int]:
    """Run every job, each by itself; how many rows each deleted, or with `dry_run` would."""
    found = {}
    for name, purge in _purges.items():
        if not dry_run:
            found[name] = purge()
            continue
        with transaction.atomic():
            found[name] = purge()
            transaction.set_rollback(True)
    return found
