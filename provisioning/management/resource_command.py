"""What the commands about one resource have in common."""

import json as encoder
import uuid
from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from provisioning import wakeups
from provisioning.models import Resource
from provisioning.services import Refusal

ACTOR = "operator (command)"
"""Who the audit says it was."""


@dataclass(frozen=True)
class Outcome:
    """What a command did: for people, and the same as JSON values."""

    text: str
    values: dict[str, Any]


class ResourceCommand(BaseCommand):
    """Changes one resource, or with `--dry-run` only tells what it would do."""

    dry_run_help = "Only say whether it could be done."
    json_help = "Print the outcome as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options that every such command has."""
        parser.add_argument("uuid", type=uuid.UUID, help="Heroku's uuid of the add-on.")
        parser.add_argument("--dry-run", action="store_true", help=self.dry_run_help)
        parser.add_argument("--json", action="store_true", help=self.json_help)

    def handle(self, *args: Any, uuid: uuid.UUID, dry_run: bool, json: bool, **options: Any) -> None:
        """Change the resource in one transaction, which a dry run takes back, and say so.

        Raises CommandError when there is no such resource, and with its message for a Refusal.
        """
        resource = self.resource(uuid)
        try:
            with transaction.atomic():
                outcome = self.change(resource, dry_run=dry_run, **options)
                if dry_run:
                    transaction.set_rollback(True)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        wakeups.flush()
        self.stdout.write(
            encoder.dumps({**outcome.values, "dry_run": dry_run}) if json else outcome.text.rstrip("\n")
        )

    def resource(self, uuid: uuid.UUID) -> Resource:
        """The resource; raises CommandError when there is none."""
        resource = Resource.objects.filter(uuid=uuid).first()
        if resource is None:
            raise CommandError(f"there is no resource {uuid}")
        return resource

    def change(self, resource: Resource, *, dry_run: bool, **options: Any) -> Outcome:
        """Do it, in the caller's transaction; `dry_run` matters for the words only. Raises Refusal."""
        raise NotImplementedError
