"""Rows and constraints: what must hold is held by the database."""

import secrets
import uuid

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from provisioning.sealing import SealedField, SealingModel
from provisioning.states import (
    ACTIVE_OPERATION_STATES,
    AccessState,
    CredentialState,
    OperationKind,
    OperationState,
    ResourceState,
)


class Plan(models.Model):
    """A plan of an add-on service, loaded from the service's `plans.toml`; never deleted, only withdrawn."""

    service = models.SlugField(max_length=60)
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    price_cents = models.PositiveIntegerField(help_text="Cents of a US dollar per month.")
    metered = models.JSONField(default=dict, help_text="Prices beside the monthly one, by unit, in cents.")
    limits = models.JSONField(default=dict, help_text="What the plan allows; the service knows the keys.")
    regions = models.JSONField(default=list, help_text="Heroku's region names the plan is offered in.")
    is_default = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["service", "position"]
        constraints = [
            models.UniqueConstraint(fields=["service", "slug"], name="plan_slug_once_per_service"),
            models.UniqueConstraint(
                fields=["service"], condition=Q(is_default=True), name="one_default_plan"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service}:{self.slug}"


class Resource(SealingModel):
    """One add-on of a customer's app. The row stays for ever: after deprovision it is the tombstone.

    A tombstone whose `plan` is empty belongs to a uuid that Heroku deleted before we had ever seen it.
    """

    uuid = models.UUIDField(unique=True, help_text="Heroku's identity of the add-on.")
    service = models.SlugField(max_length=60)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, related_name="resources")
    state = models.CharField(max_length=20, choices=ResourceState, default=ResourceState.PROVISIONING)
    name = models.CharField(
        max_length=200, blank=True, help_text="Heroku's name of the add-on; it may change."
    )
    region = models.CharField(max_length=40, blank=True, help_text="Heroku's region name, such as us or eu.")
    options = models.JSONField(default=dict, help_text="Options of addons:create that the service accepted.")
    request = models.JSONField(default=dict, help_text="Heroku's request, without secrets.")
    log_input_url = SealedField()
    app_id = models.CharField(max_length=60, blank=True)
    app_name = models.CharField(max_length=200, blank=True, help_text="As last read from Heroku.")
    suspended_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when an operator keeps the customer out."
    )
    suspension_reason = models.TextField(blank=True, db_default="", help_text="What the customer is told.")
    created_at = models.DateTimeField(db_default=Now())
    provisioned_at = models.DateTimeField(null=True, blank=True)
    deprovisioned_at = models.DateTimeField(null=True, blank=True)

    issued: "Credential | None" = None
    """The credential that is written together with this very row: to be shown in the answer, and not read again."""

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["service", "state"]),
            models.Index(fields=["app_name"]),
            # What operators look for: the beginning of a name, and all in one state, newest first.
            models.Index(fields=["app_name"], name="resource_app_prefix", opclasses=["varchar_pattern_ops"]),
            models.Index(fields=["name"], name="resource_name_prefix", opclasses=["varchar_pattern_ops"]),
            models.Index(fields=["state", "-id"], name="resource_newest_in_state"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=ResourceState.values), name="resource_state_known"),
            models.CheckConstraint(
                condition=Q(plan__isnull=False) | Q(state=ResourceState.DEPROVISIONED),
                name="resource_has_plan",
            ),
            models.CheckConstraint(
                condition=Q(log_input_url__isnull=True)
                | ~Q(state__in=[ResourceState.DEPROVISIONING, ResourceState.DEPROVISIONED]),
                name="gone_resource_keeps_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.uuid}"

    @property
    def sealing_id(self) -> str:
        """Heroku's uuid: known before the row is."""
        return str(self.uuid)


class Operation(models.Model):
    """One provision, plan change, deprovision, rotation … in progress: the truth and the queue."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="operations")
    kind = models.CharField(max_length=20, choices=OperationKind)
    state = models.CharField(max_length=20, choices=OperationState, default=OperationState.PENDING)
    target_plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    parameters = models.JSONField(default=dict, help_text="What this kind needs to know beside the plan.")
    step = models.CharField(
        max_length=60, blank=True, help_text="The step to run next; empty before the first."
    )
    attempt = models.PositiveIntegerField(default=0, help_text="Failed tries of the current step.")
    next_attempt_at = models.DateTimeField(db_default=Now())
    woken_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last sent a wake-up.")
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, help_text="For the operator.")
    message = models.TextField(blank=True, help_text="For the customer.")
    requested_by = models.CharField(max_length=200, blank=True)
    correlation_id = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    alarmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state__in=ACTIVE_OPERATION_STATES),
                name="operation_runnable",
            ),
            # What operators look at: all in one state, newest first, and what one request led to.
            models.Index(fields=["state", "-id"], name="operation_newest_in_state"),
            models.Index(fields=["correlation_id"], name="operation_by_correlation"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=OperationState.values), name="operation_state_known"
            ),
            models.CheckConstraint(condition=Q(kind__in=OperationKind.values), name="operation_kind_known"),
            models.UniqueConstraint(
                fields=["resource", "kind"],
                condition=Q(state__in=ACTIVE_OPERATION_STATES),
                name="one_active_operation_per_kind",
            ),
            models.CheckConstraint(
                condition=Q(state__in=ACTIVE_OPERATION_STATES, finished_at__isnull=True)
                | (~Q(state__in=ACTIVE_OPERATION_STATES) & Q(finished_at__isnull=False)),
                name="ended_operation_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class PlanPeriod(models.Model):
    """A resource was on a plan from `starts_at` (inclusive) until `ends_at` (exclusive, empty: until now).

    `voided_at` marks the period of a provision that never finished: it costs nothing.
    """

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="plan_periods")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    price_cents = models.PositiveIntegerField(help_text="The plan's monthly price when the period began.")
    metered = models.JSONField(
        default=dict, db_default={}, help_text="The plan's prices by unit when the period began."
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["resource_id", "starts_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource"], condition=Q(ends_at__isnull=True), name="one_open_plan_period"
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=F("starts_at")),
                name="plan_period_runs_forward",
            ),
            # GiST knows ranges without an extension, so the resource's number stands as a range of one.
            ExclusionConstraint(
                name="plan_periods_do_not_overlap",
                index_type="GIST",
                expressions=[
                    (
                        Func(F("resource_id"), F("resource_id"), models.Value("[]"), function="int8range"),
                        "&&",
                    ),
                    (Func(F("starts_at"), F("ends_at"), function="tstzrange"), "&&"),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} from {self.starts_at:%F %T}"


class PlatformAccess(SealingModel):
    """What we hold to call Heroku about one resource: first the grant's code, then the tokens."""

    resource = models.OneToOneField(Resource, on_delete=models.PROTECT, related_name="access")
    state = models.CharField(max_length=20, choices=AccessState, default=AccessState.WAITING)
    grant_code = SealedField()
    grant_expires_at = models.DateTimeField(null=True, blank=True)
    access_token = SealedField()
    refresh_token = SealedField()
    token_expires_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    woken_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "platform accesses"
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(state=AccessState.WAITING), name="grant_to_exchange"
            ),
            models.Index(fields=["id"], condition=Q(state=AccessState.LOST), name="platform_access_lost"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state=AccessState.ENDED)
                | Q(grant_code__isnull=True, access_token__isnull=True, refresh_token__isnull=True),
                name="ended_access_keeps_no_secret",
            ),
            models.CheckConstraint(
                condition=~Q(state=AccessState.GRANTED)
                | Q(access_token__isnull=False, refresh_token__isnull=False),
                name="granted_access_has_tokens",
            ),
        ]

    def __str__(self) -> str:
        return f"access {self.state}"

    @property
    def sealing_id(self) -> str:
        """The resource's number: one access for each resource."""
        return str(self.resource_id)


def new_public_id() -> str:
    """Twelve characters that name a credential in the open."""
    return secrets.token_hex(6)


class Credential(SealingModel):
    """A key or password issued to a customer: found by its public part, compared by digest, shown from the seal."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="credentials")
    operation = models.OneToOneField(
        Operation, on_delete=models.PROTECT, related_name="issued_credential", help_text="What issued it."
    )
    public_id = models.CharField(max_length=40, unique=True, default=new_public_id)
    kind = models.CharField(
        max_length=40, blank=True, help_text="What the service needs to tell its kinds apart."
    )
    secret = SealedField()
    digest = models.BinaryField(help_text="HMAC-SHA-256 of the secret under a pepper.")
    pepper_version = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=20, choices=CredentialState, default=CredentialState.ACTIVE)
    created_at = models.DateTimeField(db_default=Now())
    retires_at = models.DateTimeField(
        null=True, blank=True, help_text="When a retiring one is to be revoked."
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource"], condition=Q(state=CredentialState.ACTIVE), name="one_active_credential"
            ),
            models.CheckConstraint(
                condition=~Q(state=CredentialState.REVOKED)
                | Q(secret__isnull=True, revoked_at__isnull=False),
                name="revoked_credential_keeps_no_secret",
            ),
        ]
        indexes = [
            models.Index(
                fields=["retires_at"], condition=Q(state=CredentialState.RETIRING), name="credential_retiring"
            )
        ]

    def __str__(self) -> str:
        return f"{self.public_id} ({self.state})"


class LimitOverride(models.Model):
    """One limit of one resource, set by an operator in place of its plan's until `ends_at`, or `ended_at` before."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="limit_overrides")
    name = models.CharField(max_length=60, help_text="The limit's name in the plan's `limits`.")
    value = models.PositiveBigIntegerField()
    reason = models.TextField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it ended: by hand, by another one in its place, or at its time.",
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "name"],
                condition=Q(ended_at__isnull=True),
                name="one_standing_override_per_limit",
            )
        ]
        indexes = [
            models.Index(
                fields=["ends_at"], condition=Q(ended_at__isnull=True), name="override_standing_until"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


class AuditEvent(models.Model):
    """What happened, when and by whom. Written in the transaction it tells of; a trigger refuses changes."""

    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_events"
    )
    operation = models.ForeignKey(
        Operation, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_events"
    )
    event = models.CharField(max_length=60)
    actor = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)
    correlation_id = models.CharField(max_length=80, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["resource", "-id"])]

    def __str__(self) -> str:
        return self.event


class HerokuCall(models.Model):
    """One call of ours to Heroku's Platform API about a resource, for people who look into what happened.

    Holds no body, no header and no query: nothing secret. Kept for as long as `HEROKU_CALLS_KEPT` says.
    """

    resource = models.ForeignKey(
        Resource, on_delete=models.CASCADE, related_name="heroku_calls", db_constraint=False
    )
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=200)
    status = models.PositiveSmallIntegerField(help_text="Heroku's answer; 0 when there was none.")
    error = models.CharField(
        max_length=80, blank=True, help_text="Heroku's error id, or why nothing answered."
    )
    milliseconds = models.PositiveIntegerField()
    correlation_id = models.CharField(max_length=80, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["resource", "-id"], name="heroku_call_of_resource"),
            models.Index(fields=["at"], name="heroku_call_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status}"


class Heartbeat(models.Model):
    """When a recurring job last ran, so that its silence is seen."""

    name = models.CharField(primary_key=True, max_length=40)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
