"""Operators' accounts beyond Django's own row, and the audit of what they do."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from provisioning.models import Resource
from provisioning.sealing import SealedField, SealingModel


class Account(SealingModel):
    """What we hold about an operator beside name and password: the second factor."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="operator")
    totp_secret = SealedField()
    confirmed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the second factor was set up; empty until the first right code.",
    )
    last_step = models.BigIntegerField(
        default=0, help_text="The latest time step whose code was used: no code works twice."
    )
    password_is_temporary = models.BooleanField(
        default=False, help_text="Set by somebody else: it must be changed at the next sign-in."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=True) | Q(totp_secret__isnull=False),
                name="confirmed_second_factor_has_a_secret",
            )
        ]

    def __str__(self) -> str:
        return f"account of {self.user_id}"

    @property
    def sealing_id(self) -> str:
        """The user's number: one account for each."""
        return str(self.user_id)


class RecoveryCode(models.Model):
    """Stands in for the second factor once, when the device is lost."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64, help_text="HMAC-SHA-256 under a pepper, in hex.")
    pepper_version = models.PositiveSmallIntegerField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "digest"], name="recovery_code_once_per_account")
        ]

    def __str__(self) -> str:
        return "used" if self.used_at else "unused"


class Event(models.Model):
    """One thing an operator did, and why. Append-only: triggers refuse UPDATE, DELETE and TRUNCATE."""

    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=150, help_text="The operator's user name at that time.")
    action = models.CharField(max_length=80, help_text="A static dotted name.")
    object_type = models.CharField(max_length=80, blank=True, help_text="The kind of thing it was done to.")
    object_id = models.CharField(max_length=200, blank=True)
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    correlation_id = models.CharField(max_length=80, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name = "operator's action"
        indexes = [
            models.Index(fields=["resource", "-id"], name="operator_event_of_resource"),
            models.Index(fields=["operator", "-id"], name="operator_event_of_operator"),
            models.Index(fields=["action", "-id"], name="operator_event_by_action"),
            models.Index(fields=["object_type", "object_id", "-id"], name="operator_event_of_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.name}"
