"""`manage.py rotate_credentials UUID`."""

import uuid
from argparse import ArgumentParser
from json import dumps
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from provisioning import wakeups
from provisioning.models import Resource
from provisioning.rotation import rotate_credentials
from provisioning.services import Refusal


class Command(BaseCommand):
    """Starts the rotation of a resource's credentials."""

    help = "Issue new credentials for a resource and send them to the app; the former ones end after the overlap."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("uuid", type=uuid.UUID, help="Heroku's uuid of the add-on.")
        parser.add_argument(
            "--revoke-now", action="store_true", help="End the former credentials at once (a leak)."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say whether it could be started.")
        parser.add_argument("--json", action="store_true", help="Print the operation as JSON.")

    def handle(
        self, *args: Any, uuid: uuid.UUID, revoke_now: bool, dry_run: bool, json: bool, **options: Any
    ) -> None:
        """Start it and name the operation."""
        resource = Resource.objects.filter(uuid=uuid).first()
        if resource is None:
            raise CommandError(f"there is no resource {uuid}")
        try:
            with transaction.atomic():
                operation = rotate_credentials(
                    resource.pk, requested_by="operator (command)", revoke_now=revoke_now
                )
                if dry_run:
                    transaction.set_rollback(True)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        if json:
            self.stdout.write(dumps({"operation": None if dry_run else operation.pk, "dry_run": dry_run}))
        else:
            self.stdout.write(
                "a rotation could be started" if dry_run else f"operation {operation.pk} started"
            )
        wakeups.flush()
