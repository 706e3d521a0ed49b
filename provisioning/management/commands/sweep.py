"""`manage.py sweep`."""

import json
from argparse import ArgumentParser
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from provisioning import wakeups
from provisioning.sweep import sweep


class Command(BaseCommand):
    """One pass of the sweeper, by hand."""

    help = (
        "Wake every operation and grant that nobody works on, as the schedule does, and print as JSON how many. "
        "Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be touched.")
        parser.add_argument("--json", action="store_true", help="As without it: the output is JSON.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        """Sweep once and say what was touched."""
        with transaction.atomic() if dry_run else nullcontext():
            found = sweep()
            if dry_run:
                transaction.set_rollback(True)
        self.stdout.write(json.dumps(asdict(found)))
        wakeups.flush()
