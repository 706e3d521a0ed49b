"""`manage.py recount_usage`: whether the totals of usage are what the rows of single requests amount to."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from addon.inference.rollup import roll_up
from addon.inference.upkeep import check_totals


class Command(BaseCommand):
    """Recount; exit code 1 when something differs and was not put right."""

    help = "Works the totals of inference usage out again from single requests, and tells what differs."

    def add_arguments(self, parser: CommandParser) -> None:
        """How far back, and whether to mend."""
        parser.add_argument("--days", type=int, default=30, help="Whole days before today (30).")
        parser.add_argument(
            "--fix", action="store_true", help="Put the recount in the place of what differs."
        )

    def handle(self, *, days: int, fix: bool, **options: Any) -> None:
        """Recount, tell, and mend if asked."""
        if days < 1:
            raise CommandError("--days is 1 at least")
        roll_up()
        found = check_totals(days=days, fix=fix)
        for each in found:
            self.stdout.write(
                f"{each.period} {each.start:%Y-%m-%d %H:%M} resource {each.resource_id} {each.model}: "
                f"{each.stored_requests} requests stored, {each.counted_requests} counted; "
                f"{each.stored_tokens} tokens stored, {each.counted_tokens} counted"
            )
        if not found:
            self.stdout.write("Every total is what its requests amount to.")
        elif fix:
            self.stdout.write(f"{len(found)} totals put right.")
        else:
            raise CommandError(f"{len(found)} totals differ; --fix puts them right")
