"""Rows of the money floor. What is frozen or append-only is held so by triggers; see the migrations."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from provisioning.models import Resource


# --- the usage ledger ---------------------------------------------------------------------------------------
class UsageRecord(models.Model):
    """One quantity of one event: append-only, one partition for each month of `at`.

    An event's id and its time come from the service and stay together for ever: a repeat is no second record. When a
    service corrects an event, the difference is appended as its next revision, so that the sum is what is true now.
    There is no foreign key: the rows come from tables that have one, and resources are never deleted.
    """

    pk = models.CompositePrimaryKey("event_id", "unit", "revision", "at")
    event_id = models.UUIDField(
        help_text="The service's id of the event; the same whenever it is told again."
    )
    unit = models.SlugField(max_length=40, db_index=False, help_text="Such as input_tokens or bytes_in.")
    revision = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField(help_text="When it was used.")
    resource = models.ForeignKey(
        Resource, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    source = models.SlugField(max_length=60, db_index=False, help_text="The service that told it.")
    quantity = models.BigIntegerField(help_text="Above zero, but for revisions: these are differences.")
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["at"]
        indexes = [
            models.Index(
                fields=["resource", "at"], include=["unit", "quantity"], name="usage_record_by_resource"
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(revision=0, quantity__gt=0) | Q(revision__gt=0), name="usage_record_is_something"
            )
        ]

    def __str__(self) -> str:
        return f"{self.unit} {self.event_id}"


class TotalPeriod(models.TextChoices):
    """Lengths of time that the ledger is totalled over; they begin at a whole one in UTC."""

    HOUR = "hour", "Hour"
    DAY = "day", "Day"


class UsageTotal(models.Model):
    """What a resource used of one unit in an hour or a day: written with the records, and derivable from them again."""

    resource = models.ForeignKey(
        Resource, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    period = models.CharField(max_length=4, choices=TotalPeriod)
    start = models.DateTimeField()
    unit = models.SlugField(max_length=40, db_index=False)
    quantity = models.BigIntegerField()
    records = models.PositiveBigIntegerField(help_text="How many records it is the sum of.")

    class Meta:
        ordering = ["start"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "period", "start", "unit"], name="usage_ledger_total_once"
            ),
            models.CheckConstraint(
                condition=Q(period__in=TotalPeriod.values), name="usage_ledger_period_known"
            ),
        ]
        indexes = [models.Index(fields=["period", "start"], name="usage_ledger_total_by_age")]

    def __str__(self) -> str:
        return f"{self.unit} {self.period} {self.start:%Y-%m-%d %H:%M}"


class UsageFeed(models.Model):
    """How far the ledger has read what a service tells. The row's lock is the reader's."""

    source = models.SlugField(primary_key=True, max_length=60)
    mark = models.CharField(
        max_length=200, blank=True, help_text="The service's own; empty at the beginning."
    )
    read_at = models.DateTimeField(null=True)
    records = models.PositiveBigIntegerField(default=0, help_text="Records written so far.")

    def __str__(self) -> str:
        return self.source
