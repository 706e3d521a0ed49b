"""What was used: one row for each answer that was delivered."""

from django.db import models
from django.db.models import Q

from provisioning.models import Resource


class Outcome(models.TextChoices):
    """How an answer ended."""

    COMPLETE = "complete", "Complete"
    HUNG_UP = "hung_up", "The client hung up"
    FAILED = "failed", "The model failed after the answer had begun"


class UsageEvent(models.Model):
    """One answer's use. Append-only: totals are derived from these rows and can be derived again.

    The request's id is the key, so that a commit whose confirmation got lost can be tried again. No prompt and no
    answer is ever stored.
    """

    id = models.UUIDField(primary_key=True, editable=False, help_text="The request's id.")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(help_text="When the request was admitted.")
    model = models.SlugField(max_length=60, db_index=False)
    region = models.CharField(max_length=40)
    input_tokens = models.PositiveIntegerField(default=0, help_text="Cached ones included.")
    output_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    search_units = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=10, choices=Outcome)
    estimated = models.BooleanField(
        default=False, help_text="The upstream never told its count: an answer that was cut."
    )
    streamed = models.BooleanField(default=False)
    first_milliseconds = models.PositiveIntegerField(help_text="Until the first byte of the answer.")
    milliseconds = models.PositiveIntegerField(help_text="Until the answer was complete.")

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["resource", "at"], name="usage_by_resource")]
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="usage_outcome_known"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.id}"
