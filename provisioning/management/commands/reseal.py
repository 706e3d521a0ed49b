"""`manage.py reseal`."""

from argparse import ArgumentParser
from json import dumps
from typing import Any

from django.core.management.base import BaseCommand

from provisioning.sealing import reseal_all


class Command(BaseCommand):
    """Moves every sealed value to the current key."""

    help = (
        "Seal every stored secret anew under the first key of SEALING_KEYS. Afterwards the former keys can be dropped. "
        "Safe to repeat, and to run while the service does."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--dry-run", action="store_true", help="Only say how many values would move.")
        parser.add_argument("--json", action="store_true", help="Print the number as JSON.")

    def handle(self, *args: Any, dry_run: bool, json: bool, **options: Any) -> None:
        """Reseal and say how many values moved."""
        moved = reseal_all(dry_run=dry_run)
        if json:
            self.stdout.write(dumps({"moved": moved, "dry_run": dry_run}))
        else:
            self.stdout.write(f"{moved} values {'would move' if dry_run else 'moved'} to the current key")
