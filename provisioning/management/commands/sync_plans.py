"""`manage.py sync_plans`."""

from argparse import ArgumentParser
from json import dumps
from typing import Any

from django.core.management.base import BaseCommand

from provisioning.catalogue import sync_plans
from provisioning.services import all_services


class Command(BaseCommand):
    """Loads every service's plans.toml into Postgres."""

    help = "Bring the plans in Postgres in line with each service's plans.toml. Safe to repeat; run it at each release."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--dry-run", action="store_true", help="Only say what would change.")
        parser.add_argument("--json", action="store_true", help="Print what changed as JSON.")

    def handle(self, *args: Any, dry_run: bool, json: bool, **options: Any) -> None:
        """Synchronise and say what changed."""
        result = sync_plans(all_services().values(), dry_run=dry_run)
        if json:
            changes = {
                "created": [*result.created],
                "changed": [*result.changed],
                "withdrawn": [*result.withdrawn],
            }
            self.stdout.write(dumps({**changes, "dry_run": dry_run}))
            return
        for verb, names in (
            ("created", result.created),
            ("changed", result.changed),
            ("withdrawn", result.withdrawn),
        ):
            for name in names:
                self.stdout.write(f"{'would be ' if dry_run else ''}{verb}: {name}")
        if not (result.created or result.changed or result.withdrawn):
            self.stdout.write("plans are up to date")
