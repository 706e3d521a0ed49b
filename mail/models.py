"""Rows of the outbox, of what the provider tells about them, and of people to write to."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from provisioning.models import Resource


class MailState(models.TextChoices):
    """queued → sending → sent → delivered | bounced; failed when it never left."""

    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    """Handed to the SMTP server, whose answer we do not have (yet)."""
    SENT = "sent", "Sent"
    """The SMTP server, or the provider's feed, says that it was accepted."""
    DELIVERED = "delivered", "Delivered"
    BOUNCED = "bounced", "Bounced"
    """The recipient's address was refused for good."""
    FAILED = "failed", "Failed"
    """Refused for another reason than the address, or not accepted in time."""


OPEN_STATES = (MailState.QUEUED, MailState.SENDING)
REACHED_STATES = (MailState.SENT, MailState.DELIVERED)


class Mail(models.Model):
    """One mail to one person. The row is the job; `key` makes asking for it twice harmless."""

    key = models.CharField(
        max_length=200, unique=True, help_text="What it is about, in the words of who posted it."
    )
    kind = models.SlugField(max_length=40, help_text="What kind of mail, for counting.")
    to = models.CharField(max_length=320)
    subject = models.CharField(max_length=300)
    text = models.TextField()
    html = models.TextField(blank=True)
    reply_to = models.CharField(max_length=320, blank=True)
    headers = models.JSONField(default=dict)
    urgent = models.BooleanField(default=False, help_text="Goes before all that is not.")
    state = models.CharField(max_length=10, choices=MailState, default=MailState.QUEUED)
    message_id = models.CharField(
        max_length=200, unique=True, help_text="Made of the key, the same at every try."
    )
    attempt = models.PositiveIntegerField(default=0, help_text="Tries that the server refused for now.")
    doubts = models.PositiveIntegerField(
        default=0, help_text="Tries whose end nobody saw: a killed worker, a broken connection."
    )
    next_attempt_at = models.DateTimeField(db_default=Now())
    give_up_at = models.DateTimeField()
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    sending_since = models.DateTimeField(null=True, blank=True, help_text="When it was last handed over.")
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was delivered, bounced or failed."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["-urgent", "next_attempt_at", "id"], condition=Q(state="queued"), name="mail_due"
            ),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="mail_in_doubt"),
            models.Index(
                fields=["created_at"], condition=Q(state__in=["queued", "sending"]), name="mail_waiting"
            ),
            models.Index(fields=["created_at"], name="mail_by_age"),
            models.Index(Lower("to"), F("created_at").desc(), name="mail_by_address"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=MailState.values), name="mail_state_known"),
            models.CheckConstraint(
                condition=~Q(state__in=["delivered", "bounced", "failed"]) | Q(settled_at__isnull=False),
                name="settled_mail_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"


class MailEventKind(models.TextChoices):
    """What the provider can tell of a mail."""

    ACCEPTED = "accepted", "Accepted"
    DELIVERED = "delivered", "Delivered"
    DEFERRED = "deferred", "Deferred"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Complained"


class MailEvent(models.Model):
    """One event of the provider's feed, kept as evidence."""

    event_id = models.CharField(max_length=120, unique=True, help_text="The provider's own id of it.")
    mail = models.ForeignKey(Mail, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=MailEventKind)
    at = models.DateTimeField()
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%F %T}"


class Pace(models.Model):
    """One row: when the next mail may leave, and until when the server is left alone."""

    next_slot_at = models.DateTimeField(db_default=Now())
    paused_until = models.DateTimeField(db_default=Now())
    failures = models.PositiveIntegerField(
        default=0, help_text="Connections that failed one after the other."
    )
    last_error = models.TextField(blank=True)
    feed_read_until = models.DateTimeField(
        db_default=Now(), help_text="How far the provider's feed was read."
    )

    def __str__(self) -> str:
        return f"next at {self.next_slot_at:%F %T}"


class ContactSource(models.TextChoices):
    """Why somebody is written to about a resource."""

    SECURITY = "security", "Security contact"
    OWNER = "owner", "App owner"
    COLLABORATOR = "collaborator", "App collaborator"


class Contact(models.Model):
    """Somebody to write to about a resource: read from Heroku, or named by the customer as security contact."""

    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="contacts")
    email = models.CharField(max_length=320)
    source = models.CharField(max_length=12, choices=ContactSource)
    added_by = models.CharField(max_length=200, blank=True, help_text="Who named a security contact.")
    added_at = models.DateTimeField(db_default=Now())
    left_at = models.DateTimeField(
        null=True, blank=True, help_text="When Heroku, or the customer, no longer named them."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint("resource", "source", Lower("email"), name="contact_once_per_source"),
        ]

    def __str__(self) -> str:
        return f"{self.source} of {self.resource_id}"


class ContactReading(models.Model):
    """When Heroku was last asked for the people of a resource's app, and when it is to be asked again."""

    resource = models.OneToOneField(Resource, on_delete=models.CASCADE, related_name="contact_reading")
    read_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(db_default=Now())
    attempt = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["next_attempt_at"])]

    def __str__(self) -> str:
        return f"contacts of {self.resource_id}"
