"""`manage.py rotate_credentials UUID`."""

from argparse import ArgumentParser
from typing import Any

from provisioning.management.resource_command import ACTOR, Outcome, ResourceCommand
from provisioning.models import Resource
from provisioning.rotation import rotate_credentials


class Command(ResourceCommand):
    """Starts the rotation of a resource's credentials."""

    help = "Issue new credentials for a resource and send them to the app; the former ones end after the overlap."
    dry_run_help = "Only say whether it could be started."
    json_help = "Print the operation as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--revoke-now", action="store_true", help="End the former credentials at once (a leak)."
        )

    def change(self, resource: Resource, *, dry_run: bool, **options: Any) -> Outcome:
        """Start it and name the operation."""
        operation = rotate_credentials(resource.pk, requested_by=ACTOR, revoke_now=options["revoke_now"])
        if dry_run:
            return Outcome("a rotation could be started", {"operation": None})
        return Outcome(f"operation {operation.pk} started", {"operation": operation.pk})
