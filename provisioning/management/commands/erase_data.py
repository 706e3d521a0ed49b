"""`manage.py erase_data UUID`."""

from typing import Any

from provisioning import customer_data
from provisioning.management.resource_command import ACTOR, Outcome, ResourceCommand
from provisioning.models import Resource


class Command(ResourceCommand):
    """Erases what is left of a removed add-on."""

    help = (
        "Delete now what we still hold of a removed add-on and would delete after its retention, and whatever names "
        "people. Bills, metering and the audit stay. Safe to repeat. Exit code 1 when there is no such resource, or it "
        "is not removed."
    )
    dry_run_help = "Only say what would be deleted."
    json_help = "Print the numbers as JSON."

    def change(self, resource: Resource, *, dry_run: bool, **options: Any) -> Outcome:
        """Erase, and say what."""
        erased = customer_data.erase(resource.pk, actor=ACTOR)
        verb = "would be deleted" if dry_run else "deleted"
        lines = [f"{number:>9,} {table} {verb}" for table, number in sorted(erased.items())]
        return Outcome("\n".join(lines) or "nothing was left", {"erased": erased})
