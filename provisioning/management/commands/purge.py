"""`manage.py purge`."""

from argparse import ArgumentParser
from json import dumps
from typing import Any

from django.core.management.base import BaseCommand

from provisioning.retention import purge_all


class Command(BaseCommand):
    """Deletes what is kept for a time only and is older than that."""

    help = (
        "Delete everything that is older than its retention, as the schedule does day by day: calls to Heroku, "
        "sessions, used login tokens, usage rows, entered data of removed add-ons. Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--dry-run", action="store_true", help="Only say how many rows would be deleted.")
        parser.add_argument("--json", action="store_true", help="Print the numbers as JSON.")

    def handle(self, *args: Any, dry_run: bool, json: bool, **options: Any) -> None:
        """Purge, and say how much."""
        found = purge_all(dry_run=dry_run)
        if json:
            self.stdout.write(dumps({"deleted": found, "dry_run": dry_run}))
            return
        for name, number in found.items():
            self.stdout.write(f"{number:>9,} {name}{' would be deleted' if dry_run else ' deleted'}")
