"""`manage.py reconcile_kafka`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from addon.kafkacluster.reconcile import reconcile_clusters


class Command(BaseCommand):
    """Compares every tenant with its Kafka cluster."""

    help = (
        "Compare users, rights, quotas and what removed tenants left on the Kafka clusters with the database. "
        "Exit code 1 when something differs that was not mended, or a cluster could not be asked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--fix", action="store_true", help="Mend what is safe to mend.")
        group.add_argument("--dry-run", action="store_true", help="As without --fix: only compare.")
        parser.add_argument("--json", action="store_true", help="Print the report as JSON.")

    def handle(self, *args: Any, fix: bool, json: bool, **options: Any) -> None:
        """Compare, mend if asked, report."""
        report = reconcile_clusters(fix=fix)
        if json:
            self.stdout.write(report.as_json())
        else:
            for found in report.differences:
                mended = " (mended)" if found.fixed else ""
                self.stdout.write(f"{found.user}: {found.what}: {found.detail}{mended}")
            self.stdout.write(f"{report.checked} compared, {len(report.differences)} differences")
        if report.unreachable:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in report.unreachable.items())
            raise CommandError(f"not compared: {reasons}", returncode=1)
        left = [found for found in report.differences if not found.fixed]
        if left:
            raise CommandError(f"{len(left)} differences left", returncode=1)
