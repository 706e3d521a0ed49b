"""`manage.py erase_data UUID`."""

import uuid
from argparse import ArgumentParser
from json import dumps
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from provisioning import customer_data
from provisioning.models import Resource
from provisioning.services import Refusal


class Command(BaseCommand):
    """Erases what is left of a removed add-on."""

    help = (
        "Delete now what we still hold of a removed add-on and would delete after its retention, and whatever names "
        "people. Bills, metering and the audit stay. Safe to repeat. Exit code 1 when there is no such resource, or it "
        "is not removed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("uuid", type=uuid.UUID, help="Heroku's uuid of the add-on.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be deleted.")
        parser.add_argument("--json", action="store_true", help="Print the numbers as JSON.")

    def handle(self, *args: Any, uuid: uuid.UUID, dry_run: bool, json: bool, **options: Any) -> None:
        """Erase, and say what."""
        resource = Resource.objects.filter(uuid=uuid).first()
        if resource is None:
            raise CommandError(f"there is no resource {uuid}")
        try:
            with transaction.atomic():
                erased = customer_data.erase(resource.pk, actor="operator (command)")
                if dry_run:
                    transaction.set_rollback(True)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        if json:
            self.stdout.write(dumps({"erased": erased, "dry_run": dry_run}))
            return
        for table, number in sorted(erased.items()):
            self.stdout.write(f"{number:>9,} {table}{' would be deleted' if dry_run else ' deleted'}")
        if not erased:
            self.stdout.write("nothing was left")
