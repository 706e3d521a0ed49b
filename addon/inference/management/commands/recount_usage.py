"""`manage.py recount_usage`: whether the totals of usage are what the rows of single requests amount to."""

from addon.inference.recount import Difference
from addon.inference.rollup import roll_up
from addon.inference.upkeep import check_totals
from provisioning.management.recount_command import RecountCommand


class Command(RecountCommand[Difference]):
    """Proves the totals of inference usage."""

    help = "Works the totals of inference usage out again from single requests, and tells what differs."

    def recount(self, *, days: int, fix: bool) -> list[Difference]:
        """The last so many whole days before today."""
        roll_up()
        return check_totals(days=days, fix=fix)

    def line(self, each: Difference) -> str:
        """Which total, and all four numbers."""
        return (
            f"{each.period} {each.start:%Y-%m-%d %H:%M} resource {each.resource_id} {each.model}: "
            f"{each.stored_requests} requests stored, {each.counted_requests} counted; "
            f"{each.stored_tokens} tokens stored, {each.counted_tokens} counted"
        )
