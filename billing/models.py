"""Rows of the money floor. What is frozen or append-only is held so by triggers; see the migrations."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from provisioning.models import Plan, Resource


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


# --- statements ---------------------------------------------------------------------------------------------
class RevenueShare(models.Model):
    """What part of what customers pay comes to us, for a service, from a month on until the next such row."""

    service = models.SlugField(max_length=60)
    since = models.DateField(help_text="The first day of the first month it holds for.")
    percent = models.DecimalField(max_digits=5, decimal_places=2)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["service", "-since"]
        constraints = [
            models.UniqueConstraint(fields=["service", "since"], name="one_share_from_a_month_on"),
            models.CheckConstraint(condition=Q(percent__gte=0, percent__lte=100), name="share_is_a_part"),
            models.CheckConstraint(condition=Q(since__day=1), name="share_begins_with_a_month"),
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.percent} % from {self.since:%Y-%m}"


class MonthClose(models.Model):
    """The closing of a month: asked for, then done. From `closed_at` on the month's statements are frozen."""

    month = models.DateField(primary_key=True, help_text="The month's first day.")
    requested_at = models.DateTimeField(db_default=Now())
    requested_by = models.CharField(max_length=200)
    closed_at = models.DateTimeField(null=True)
    statements = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True, help_text="Why it is not closed yet, for the operator.")

    class Meta:
        ordering = ["-month"]
        constraints = [
            models.CheckConstraint(condition=Q(month__day=1), name="close_is_of_a_whole_month"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class Statement(models.Model):
    """What one resource brings in one closed month. Written when the month is closed, and never changed."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="statements")
    month = models.DateField(help_text="The month's first day.")
    service = models.SlugField(max_length=60)
    fee_cents = models.PositiveBigIntegerField(help_text="Plan fees, rounded once and capped.")
    fee_exact = models.CharField(max_length=100, help_text="As a fraction of a cent: 12345/67.")
    usage_cents = models.PositiveBigIntegerField(help_text="Metered use, rounded once.")
    usage_exact = models.CharField(max_length=100)
    share_percent = models.DecimalField(max_digits=5, decimal_places=2, help_text="Ours, at the time.")
    net_cents = models.PositiveBigIntegerField(help_text="Our share of both, rounded once.")

    class Meta:
        ordering = ["month", "resource_id"]
        constraints = [
            models.UniqueConstraint(fields=["resource", "month"], name="one_statement_for_a_month"),
        ]
        indexes = [models.Index(fields=["month", "service"])]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} of {self.resource_id}"

    @property
    def gross_cents(self) -> int:
        """What the customer pays."""
        return self.fee_cents + self.usage_cents


class StatementLine(models.Model):
    """One plan period's part of a statement, or the metered use of one unit in it (then `unit` is set)."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    plan = models.CharField(max_length=80, help_text="The plan's name then.")
    price_cents = models.PositiveBigIntegerField(help_text="Of a month, or of `per` units.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    unit = models.CharField(max_length=40, blank=True)
    quantity = models.BigIntegerField(default=0)
    per = models.PositiveBigIntegerField(default=1)
    exact = models.CharField(max_length=100)
    cents = models.BigIntegerField(help_text="What it adds to the rounded sum of the lines before it.")

    class Meta:
        ordering = ["statement_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["statement", "position"], name="statement_line_once"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} {self.starts_at:%Y-%m-%d}"


class Correction(models.Model):
    """What a closed month lacks or has too much, booked in a later month that was open. Never changed."""

    class Kind(models.TextChoices):
        """Who found it."""

        FOUND = "found", "Found by counting again"
        OPERATOR = "operator", "Booked by an operator"

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="billing_corrections")
    service = models.SlugField(max_length=60)
    month = models.DateField(help_text="The month it is booked in.")
    concerns = models.DateField(help_text="The closed month it corrects.")
    statement = models.ForeignKey(
        Statement,
        on_delete=models.PROTECT,
        null=True,
        related_name="corrections",
        help_text="That it corrects; empty where the resource had none in that month.",
    )
    kind = models.CharField(max_length=10, choices=Kind)
    fee_cents = models.BigIntegerField()
    usage_cents = models.BigIntegerField(default=0)
    net_cents = models.BigIntegerField()
    reason = models.TextField()
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["month", "service"]), models.Index(fields=["concerns", "resource"])]
        constraints = [
            models.CheckConstraint(condition=Q(month__gt=models.F("concerns")), name="correction_is_later"),
            models.CheckConstraint(condition=~Q(fee_cents=0, usage_cents=0), name="correction_is_something"),
            models.CheckConstraint(condition=Q(kind__in=["found", "operator"]), name="correction_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.concerns:%Y-%m} of {self.resource_id}"

    @property
    def gross_cents(self) -> int:
        """What the customer pays more, or less."""
        return self.fee_cents + self.usage_cents


# --- Heroku's payouts ---------------------------------------------------------------------------------------
class PayoutFormat(models.Model):
    """How a payout file is to be read: which column means what. Data, because Heroku may change its export."""

    name = models.CharField(max_length=80, unique=True)
    mapping = models.JSONField(help_text="See billing.payouts.Mapping.")
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class PayoutFile(models.Model):
    """A payout file that was imported, known by its content: it is imported once."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of its bytes, in hex.")
    name = models.CharField(max_length=200)
    format = models.ForeignKey(PayoutFormat, on_delete=models.PROTECT, related_name="+")
    rows = models.PositiveIntegerField(help_text="Rows in it.")
    new_rows = models.PositiveIntegerField(help_text="Of these, such that no earlier file had.")
    imported_by = models.CharField(max_length=200)
    imported_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name


class PayoutRow(models.Model):
    """One row of a payout file, read: what Heroku paid for a resource and a month. Never changed."""

    key = models.CharField(max_length=64, unique=True, help_text="What makes the same row of two files one.")
    file = models.ForeignKey(PayoutFile, on_delete=models.PROTECT, related_name="payouts")
    line = models.PositiveIntegerField(help_text="In the file, the first being 1.")
    month = models.DateField()
    reference = models.CharField(max_length=200, help_text="The resource as the file names it.")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, null=True, related_name="payouts")
    service = models.CharField(
        max_length=60, help_text="Of the resource, else as the file names it, or empty."
    )
    cents = models.BigIntegerField()
    raw = models.JSONField(help_text="The row as it was.")

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["month", "service"]), models.Index(fields=["resource", "month"])]

    def __str__(self) -> str:
        return f"{self.reference} {self.month:%Y-%m}"


class Resolution(models.Model):
    """An operator's word on a difference, for as long as both amounts stay what they were."""

    month = models.DateField()
    service = models.CharField(max_length=60)
    reference = models.CharField(max_length=200, help_text="The resource's uuid, or what the file called it.")
    expected_cents = models.BigIntegerField(null=True)
    paid_cents = models.BigIntegerField(null=True)
    note = models.TextField()
    resolved_by = models.CharField(max_length=200)
    resolved_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["month", "reference"])]

    def __str__(self) -> str:
        return f"{self.reference} {self.month:%Y-%m}"


# --- limits and budgets -------------------------------------------------------------------------------------
class Budget(models.Model):
    """What a customer means to spend on a resource in a month, at most. Nothing is cut off: people are told."""

    resource = models.OneToOneField(Resource, on_delete=models.PROTECT, related_name="billing_budget")
    cents = models.PositiveBigIntegerField()
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(cents__gt=0), name="budget_is_something")]

    def __str__(self) -> str:
        return f"{self.cents} cents a month"


class LimitNotice(models.Model):
    """A limit of which a share was used: told once for a month on a plan. One that a higher one outdid stays silent."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="limit_notices")
    month = models.DateField()
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    gauge = models.SlugField(max_length=60, db_index=False, help_text="The limit's name, or budget.")
    threshold = models.SlugField(
        max_length=10, db_index=False, help_text="50, 80, 95, 100 per cent, or pace."
    )
    label = models.CharField(max_length=80)
    unit = models.CharField(max_length=40)
    used = models.BigIntegerField()
    limit = models.BigIntegerField()
    advice = models.TextField(blank=True, help_text="What plan would fit, in words.")
    silent = models.BooleanField(default=False)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "month", "plan", "gauge", "threshold"], name="one_notice_for_a_threshold"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gauge} {self.threshold}"
