"""What is done every night: partitions, the recount, late corrections, what is too old."""

from billing import closing, partitions, recount

RECOUNTED_DAYS = 3


def keep_up() -> None:
    """Each part may run again at any time."""
    partitions.make_ahead()
    recount.check_totals(days=RECOUNTED_DAYS, fix=True)
    recount.purge_hours()
    closing.find_corrections()
    partitions.drop_expired(closed=closing.closed_months())
