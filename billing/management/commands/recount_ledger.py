"""`manage.py recount_ledger`: whether the ledger's totals are the sums of its records."""

from billing.recount import Difference, check_totals
from provisioning.management.recount_command import RecountCommand


class Command(RecountCommand[Difference]):
    """Proves the ledger's totals."""

    help = "Recount the usage ledger's totals from its records; exit code 1 when one differs and is not put right."
    days = 3

    def recount(self, *, days: int, fix: bool) -> list[Difference]:
        """The last so many days, today among them."""
        return check_totals(days=days, fix=fix)

    def line(self, each: Difference) -> str:
        """Which total, and both numbers."""
        return (
            f"{each.period} {each.start:%Y-%m-%d %H:%M} resource {each.resource_id} {each.unit}: "
            f"{each.stored} stored, {each.counted} counted"
        )
