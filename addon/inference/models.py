"""What was used and refused: a row for each answer that was delivered, rows for those that failed, and their totals."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from provisioning.models import Resource


class Outcome(models.TextChoices):
    """How an answer ended."""

    COMPLETE = "complete", "Complete"
    HUNG_UP = "hung_up", "The client hung up"
    FAILED = "failed", "The model failed after the answer had begun"
    INTERRUPTED = "interrupted", "Our process ended after the answer had begun"


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
    outcome = models.CharField(max_length=12, choices=Outcome)
    estimated = models.BooleanField(
        default=False, help_text="The upstream never told its count: an answer that was cut."
    )
    streamed = models.BooleanField(default=False)
    first_milliseconds = models.PositiveIntegerField(help_text="Until the first byte of the answer.")
    milliseconds = models.PositiveIntegerField(help_text="Until the answer was complete.")
    recorded_at = models.DateTimeField(
        db_default=Now(),
        editable=False,
        help_text="When Postgres wrote or last changed the row, by its own clock: what the roll-up goes by.",
    )

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["resource", "at"], name="usage_by_resource"),
            models.Index(fields=["recorded_at"], name="usage_by_recording"),
            # Few rows among many: who looks for errors must not read through the answers between them.
            models.Index(
                fields=["resource", "at"], condition=~Q(outcome="complete"), name="usage_cut_by_resource"
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="usage_outcome_known"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.id}"


class OpenStream(models.Model):
    """A stream that has begun and not ended: what is known of it should its process die.

    Written before the stream's first byte and brought up to date while it lasts; with its last byte a `UsageEvent`
    takes its place. The table is unlogged, which makes it cheap: it is needed when a process dies, and lost only when
    Postgres itself crashes. For the same reason it has no foreign key.
    """

    id = models.UUIDField(primary_key=True, editable=False, help_text="The request's id.")
    resource = models.ForeignKey(
        Resource, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    at = models.DateTimeField(help_text="When the request was admitted.")
    model = models.SlugField(max_length=60, db_index=False)
    region = models.CharField(max_length=40)
    input_tokens = models.PositiveIntegerField(help_text="Estimated.")
    output_tokens = models.PositiveIntegerField(help_text="Produced so far, as far as can be counted.")
    first_milliseconds = models.PositiveIntegerField(help_text="Until the first byte of the answer.")
    seen_at = models.DateTimeField(
        db_default=Now(),
        editable=False,
        help_text="When its process last wrote this row, by Postgres's clock.",
    )

    def __str__(self) -> str:
        return f"{self.model} {self.id}"


class RequestFailure(models.Model):
    """Requests of a known caller that got an error and no answer. Nothing is charged for them.

    A row is one request, or several alike (`repeats`) of a caller that sends more than are worth a row each. Neither
    the prompt nor the error's text is stored: the text may quote the prompt.
    """

    id = models.UUIDField(
        primary_key=True, editable=False, help_text="The request's id; of several, the first's."
    )
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(help_text="When the error was sent.")
    model = models.SlugField(max_length=60, db_index=False, help_text="Of the caller's plan.")
    status = models.PositiveSmallIntegerField(help_text="HTTP status of the answer.")
    code = models.CharField(max_length=40, help_text="The error's `code`.")
    milliseconds = models.PositiveIntegerField(help_text="Until the error was sent.")
    repeats = models.PositiveIntegerField(default=1, help_text="How many requests the row stands for.")
    recorded_at = models.DateTimeField(
        db_default=Now(), editable=False, help_text="As `UsageEvent.recorded_at`."
    )

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["resource", "at"], name="failure_by_resource"),
            models.Index(fields=["recorded_at"], name="failure_by_recording"),
        ]
        constraints = [models.CheckConstraint(condition=Q(repeats__gte=1), name="failure_is_one_at_least")]

    def __str__(self) -> str:
        return f"{self.status} {self.id}"


class Period(models.TextChoices):
    """Lengths of time that use is totalled over; all of them begin at a whole one in UTC."""

    MINUTE = "minute", "Minute"
    HOUR = "hour", "Hour"
    DAY = "day", "Day"


class UsageTotal(models.Model):
    """What one resource used of one model in one period. Derived by the roll-up, and derivable again.

    `durations` and `first_bytes` count answers by the buckets of `addon.inference.latency`.
    """

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="+", db_index=False)
    period = models.CharField(max_length=6, choices=Period)
    start = models.DateTimeField(
        help_text="The first moment of the period; requests belong where they were admitted."
    )
    model = models.SlugField(max_length=60, db_index=False)
    requests = models.PositiveBigIntegerField(help_text="Answers delivered, also those that were cut.")
    hung_up = models.PositiveBigIntegerField(help_text="Of these, cut by the client.")
    broken = models.PositiveBigIntegerField(help_text="Of these, cut by the model.")
    refused = models.PositiveBigIntegerField(help_text="Errors 4xx but 429; no part of `requests`.")
    limited = models.PositiveBigIntegerField(help_text="Errors 429; no part of `requests`.")
    failed = models.PositiveBigIntegerField(help_text="Errors 5xx; no part of `requests`.")
    input_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    cached_tokens = models.PositiveBigIntegerField()
    search_units = models.PositiveBigIntegerField()
    peak_requests = models.PositiveBigIntegerField(help_text="`requests` of the busiest minute.")
    peak_tokens = models.PositiveBigIntegerField(help_text="Input and output tokens of the fullest minute.")
    durations = ArrayField(models.BigIntegerField(), help_text="Answers by their length in time.")
    first_bytes = ArrayField(models.BigIntegerField(), help_text="Streams by the time to their first byte.")

    class Meta:
        ordering = ["-start"]
        constraints = [
            models.UniqueConstraint(fields=["resource", "period", "start", "model"], name="usage_total_once"),
            models.CheckConstraint(condition=Q(period__in=Period.values), name="usage_period_known"),
        ]
        indexes = [models.Index(fields=["period", "start"], name="usage_total_by_age")]

    def __str__(self) -> str:
        return f"{self.model} {self.period} {self.start:%Y-%m-%d %H:%M}"


class RollUpMark(models.Model):
    """How far the roll-up is: every row recorded until `until` is in the totals. One row; its lock is the roll-up's."""

    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.until:%Y-%m-%d %H:%M:%S}"
