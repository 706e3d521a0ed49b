"""Celery's door: each task calls one function."""

from celery import shared_task

from advisories import delivery, following, rotation


@shared_task(name="advisories.carry_on", time_limit=300, soft_time_limit=280)
def carry_on(advisory_id: int) -> None:
    """Take one advisory's sending on."""
    delivery.carry_on(advisory_id)


@shared_task(name="advisories.rotate", time_limit=300, soft_time_limit=280)
def rotate(advisory_id: int) -> None:
    """Start rotations that an operator forced."""
    while rotation.carry_out(advisory_id):
        pass


@shared_task(name="advisories.follow", time_limit=300, soft_time_limit=280)
def follow() -> None:
    """Latecomers, mails that came back, reminders, and what a killed worker left."""
    rotation.carry_out_all()
    following.follow_all()
