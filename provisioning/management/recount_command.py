"""What the commands have in common that prove totals by their rows."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Difference = TypeVar("Difference", bound="DataclassInstance")


class RecountCommand(BaseCommand, Generic[Difference]):
    """Recounts totals; exit code 1 when one differs and was not put right."""

    days = 30

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How far back, and whether to mend."""
        parser.add_argument(
            "--days", type=int, default=self.days, help=f"Days to recount ({self.days} unless told)."
        )
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--fix", action="store_true", help="Put the recount in the place of what differs.")
        mode.add_argument("--dry-run", action="store_true", help="As without --fix: only tell what differs.")
        parser.add_argument("--json", action="store_true", help="Print what differs as JSON.")

    def handle(self, *args: Any, days: int, fix: bool, json: bool, **options: Any) -> None:
        """Recount, tell, and mend if asked."""
        if days < 1:
            raise CommandError("--days is 1 at least")
        found = self.recount(days=days, fix=fix)
        if json:
            told = {"differences": [asdict(each) for each in found], "fixed": fix and bool(found)}
            self.stdout.write(dumps(told, cls=DjangoJSONEncoder))
        else:
            for each in found:
                self.stdout.write(self.line(each))
            if not found:
                self.stdout.write("Every total is what its rows amount to.")
            elif fix:
                self.stdout.write(f"{len(found)} totals put right.")
        if found and not fix:
            raise CommandError(f"{len(found)} totals differ; --fix puts them right")

    def recount(self, *, days: int, fix: bool) -> Sequence[Difference]:
        """What differs, put right with `fix`."""
        raise NotImplementedError

    def line(self, each: Difference) -> str:
        """A difference for people."""
        raise NotImplementedError
