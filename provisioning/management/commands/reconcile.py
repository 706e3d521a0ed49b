"""`manage.py reconcile`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from provisioning import wakeups
from provisioning.reconcile import reconcile_all
from provisioning.services import all_services


class Command(BaseCommand):
    """Compares every live resource with Heroku."""

    help = (
        "Compare every live resource with Heroku: existence, state, plan, config var names and value digests. "
        "Exit code 1 when something differs that was not mended, or could not be compared."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--fix", action="store_true", help="Mend what is safe to mend.")
        group.add_argument("--dry-run", action="store_true", help="As without --fix: only compare.")
        parser.add_argument(
            "--service", choices=sorted(all_services()), help="Only this service's resources."
        )
        parser.add_argument("--json", action="store_true", help="Print the report as JSON.")

    def handle(self, *args: Any, fix: bool, service: str | None, json: bool, **options: Any) -> None:
        """Compare, mend if asked, report."""
        report = reconcile_all(fix=fix, service=service)
        wakeups.flush()
        if json:
            self.stdout.write(report.as_json())
        else:
            for found in report.differences:
                self.stdout.write(
                    f"{found.service} {found.resource}: {found.what}: ours {found.ours}, Heroku's {found.herokus}"
                    f"{' (mended)' if found.fixed else ''}{f' ({found.note})' if found.note else ''}"
                )
            for line in report.unreachable:
                self.stdout.write(f"not compared: {line}")
            self.stdout.write(f"{report.checked} compared, {len(report.differences)} differences")
        open_ones = [found for found in report.differences if not found.fixed]
        if open_ones or report.unreachable:
            raise CommandError(
                f"{len(open_ones)} differences left, {len(report.unreachable)} not compared", returncode=1
            )
