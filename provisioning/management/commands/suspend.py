"""`manage.py suspend UUID --reason …`."""

from argparse import ArgumentParser
from typing import Any

from provisioning import suspension
from provisioning.management.resource_command import ACTOR, Outcome, ResourceCommand
from provisioning.models import Resource


class Command(ResourceCommand):
    """Keeps a customer out of one add-on."""

    help = (
        "Refuse the requests of a customer's add-on until `resume`: keys and clients are turned away within a second, "
        "nothing is deleted. Safe to repeat. Exit code 1 when there is no such resource, or it is not provisioned."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        super().add_arguments(parser)
        parser.add_argument("--reason", required=True, help="What the customer reads on the dashboard.")

    def change(self, resource: Resource, *, dry_run: bool, **options: Any) -> Outcome:
        """Suspend it."""
        already = resource.suspended_at is not None
        suspension.suspend(resource.pk, reason=options["reason"], actor=ACTOR)
        return Outcome(
            f"{resource} {'would be' if dry_run else 'is'} suspended{', as it was before' if already else ''}",
            {"resource": str(resource.uuid), "was_suspended": already},
        )
