"""`manage.py doctor`."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operators.doctor import examine


class Command(BaseCommand):
    """Looks at every dependency and setting."""

    help = (
        "Check the database, Redis, queues, sweeper, operations, settings, catalogue, stored secrets, Heroku's "
        "addresses and operators' accounts, and say what to do. Changes nothing. Exit code 0 when all is "
        "well, 1 with warnings, 2 when something does not work."
    )
    # What is wrong with the settings is what this command is to tell.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--json", action="store_true", help="Print the findings as JSON.")
        parser.add_argument("--dry-run", action="store_true", help="As without it: it only looks.")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        """Look, tell, and exit by the worst that was found."""
        found = list(examine())
        if json:
            self.stdout.write(_as_json([asdict(each) for each in found]))
        else:
            for each in found:
                self.stdout.write(f"{each.state:<8} {each.check:<11} {each.text}")
                if each.advice and each.state != "ok":
                    self.stdout.write(f"{'':<20} → {each.advice}")
        bad = sum(each.state == "bad" for each in found)
        warnings = sum(each.state == "warning" for each in found)
        if bad or warnings:
            raise CommandError(f"{bad} bad, {warnings} warnings", returncode=2 if bad else 1)


def _as_json(found: list[dict[str, Any]]) -> str:
    return json.dumps(found, indent=1)
