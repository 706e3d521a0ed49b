"""`manage.py resume UUID`."""

import uuid
from argparse import ArgumentParser
from json import dumps
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from provisioning import suspension, wakeups
from provisioning.models import Resource
from provisioning.services import Refusal


class Command(BaseCommand):
    """Lets a customer in again."""

    help = (
        "End the suspension of a customer's add-on. No effect on one that is not suspended. Exit code 1 when there is "
        "no such resource, or it is not provisioned."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("uuid", type=uuid.UUID, help="Heroku's uuid of the add-on.")
        parser.add_argument("--dry-run", action="store_true", help="Only say whether it could be done.")
        parser.add_argument("--json", action="store_true", help="Print the outcome as JSON.")

    def handle(self, *args: Any, uuid: uuid.UUID, dry_run: bool, json: bool, **options: Any) -> None:
        """Resume it, and say so."""
        resource = Resource.objects.filter(uuid=uuid).first()
        if resource is None:
            raise CommandError(f"there is no resource {uuid}")
        was = resource.suspended_at is not None
        try:
            with transaction.atomic():
                suspension.resume(resource.pk, actor="operator (command)")
                if dry_run:
                    transaction.set_rollback(True)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        wakeups.flush()
        if json:
            self.stdout.write(dumps({"resource": str(uuid), "was_suspended": was, "dry_run": dry_run}))
        elif was:
            self.stdout.write(f"the suspension of {resource} {'would end' if dry_run else 'has ended'}")
        else:
            self.stdout.write(f"{resource} is not suspended")
