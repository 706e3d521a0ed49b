"""manage.py recount_ledger"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.recount import check_totals


class Command(BaseCommand):
    """Prove that the ledger's totals are the sums of its records."""

    help = "Recount the usage ledger's totals from its records; exit code 1 when one differs and is not put right."

    def add_arguments(self, parser: CommandParser) -> None:
        """How far back, and whether to mend."""
        parser.add_argument("--days", type=int, default=3, help="Days to recount, today among them.")
        parser.add_argument("--fix", action="store_true", help="Put what differs right.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Recount, and say what differs."""
        if options["days"] < 1:
            raise CommandError("--days is 1 at least")
        found = check_totals(days=options["days"], fix=options["fix"])
        for each in found:
            self.stdout.write(
                f"{each.period} {each.start:%Y-%m-%d %H:%M} resource {each.resource_id} {each.unit}: "
                f"{each.stored} stored, {each.counted} counted"
            )
        if not found:
            self.stdout.write("Every total is the sum of its records.")
        elif not options["fix"]:
            raise CommandError(f"{len(found)} totals differ; --fix puts them right.")
