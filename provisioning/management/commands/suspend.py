"""`manage.py suspend UUID --reason …`."""

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
    """Keeps a customer out of one add-on."""

    help = (
        "Refuse the requests of a customer's add-on until `resume`: keys and clients are turned away within a second, "
        "nothing is deleted. Safe to repeat. Exit code 1 when there is no such resource, or it is not provisioned."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("uuid", type=uuid.UUID, help="Heroku's uuid of the add-on.")
        parser.add_argument("--reason", required=True, help="What the customer reads on the dashboard.")
        parser.add_argument("--dry-run", action="store_true", help="Only say whether it could be done.")
        parser.add_argument("--json", action="store_true", help="Print the outcome as JSON.")

    def handle(
        self, *args: Any, uuid: uuid.UUID, reason: str, dry_run: bool, json: bool, **options: Any
    ) -> None:
        """Suspend it, and say so."""
        resource = Resource.objects.filter(uuid=uuid).first()
        if resource is None:
            raise CommandError(f"there is no resource {uuid}")
        already = resource.suspended_at is not None
        try:
            with transaction.atomic():
                suspension.suspend(resource.pk, reason=reason, actor="operator (command)")
                if dry_run:
                    transaction.set_rollback(True)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        wakeups.flush()
        if json:
            self.stdout.write(dumps({"resource": str(uuid), "was_suspended": already, "dry_run": dry_run}))
        else:
            verb = "would be" if dry_run else "is"
            self.stdout.write(f"{resource} {verb} suspended{', as it was before' if already else ''}")
