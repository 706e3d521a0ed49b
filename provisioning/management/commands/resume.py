"""`manage.py resume UUID`."""

from typing import Any

from provisioning import suspension
from provisioning.management.resource_command import ACTOR, Outcome, ResourceCommand
from provisioning.models import Resource


class Command(ResourceCommand):
    """Lets a customer in again."""

    help = (
        "End the suspension of a customer's add-on. No effect on one that is not suspended. Exit code 1 when there is "
        "no such resource, or it is not provisioned."
    )

    def change(self, resource: Resource, *, dry_run: bool, **options: Any) -> Outcome:
        """Resume it."""
        was = resource.suspended_at is not None
        suspension.resume(resource.pk, actor=ACTOR)
        text = f"the suspension of {resource} {'would end' if dry_run else 'has ended'}"
        return Outcome(
            text if was else f"{resource} is not suspended",
            {"resource": str(resource.uuid), "was_suspended": was},
        )
