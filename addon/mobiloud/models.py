"""Rows of the MobiLoud service. What must hold is held by the database; revisions are guarded by a trigger."""

import secrets

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from addon.mobiloud.documents import Configuration, parse
from provisioning.models import Resource
from provisioning.sealing import SealedField, SealingModel


def new_token() -> str:
    """An unguessable part of an address: 192 bits."""
    return secrets.token_urlsafe(24)


class Site(models.Model):
    """The website of one resource, and where its app's configuration stands."""

    resource = models.OneToOneField(Resource, on_delete=models.PROTECT, related_name="mobiloud_site")
    website = models.TextField(help_text="As the customer gave it.")
    found = models.JSONField(default=dict, help_text="What the website told of itself: name, icon, colors.")
    icon = models.BinaryField(null=True, help_text="The website's icon as a PNG made by us.")
    read_at = models.DateTimeField(
        null=True, help_text="When the website was last read; empty: it never answered."
    )
    framings = models.JSONField(
        default=dict, help_text="By address of the app: whether it may be framed, and when asked."
    )
    app_token = models.CharField(
        max_length=40, unique=True, default=new_token, help_text="Of the app's address."
    )
    preview_token = models.CharField(
        max_length=40, unique=True, default=new_token, help_text="Of the preview's address: what is saved."
    )
    revision = models.PositiveIntegerField(default=0, help_text="Number of the newest revision.")
    published = models.ForeignKey(
        "Revision", on_delete=models.PROTECT, null=True, related_name="+", help_text="What the apps load."
    )
    published_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, help_text="When the resource was removed.")
    purged_at = models.DateTimeField(null=True, help_text="When what was left of the customer's was deleted.")

    def __str__(self) -> str:
        return self.website


class Origin(models.TextChoices):
    """How a revision came about."""

    WEBSITE = "website", "Website"
    MENU = "menu", "Menu"
    COLORS = "colors", "Colors"
    NOTIFICATIONS = "notifications", "Notifications"
    SETTINGS = "settings", "Settings"
    ADVANCED = "advanced", "Advanced"
    ROLLBACK = "rollback", "Rolled back"


class Revision(models.Model):
    """One saved state of a site's configuration. Never changes; deleted only when the site is purged."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    base = models.PositiveIntegerField(help_text="The revision that the author had before them.")
    content = models.TextField(help_text="The configuration as JSON text, keys in the customer's order.")
    changes = models.JSONField(help_text="What differs from the revision before: path, was, now.")
    origin = models.CharField(max_length=20, choices=Origin)
    author = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["site", "number"], name="mobiloud_revision_number_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="mobiloud_revisions_count_from_one"),
            models.CheckConstraint(condition=Q(origin__in=Origin.values), name="mobiloud_origin_known"),
        ]

    def __str__(self) -> str:
        return f"revision {self.number}"

    @property
    def configuration(self) -> Configuration:
        """The configuration, a fresh copy for each caller."""
        return parse(self.content)


class SubmissionState(models.TextChoices):
    """Where a submission stands; `review.MOVES` says which way it goes."""

    DRAFT = "draft", "Draft"
    SUBMITTED = "submitted", "Submitted"
    IN_REVIEW = "in_review", "In review"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"
    BUILDING = "building", "Building"
    IN_STORE_REVIEW = "in_store_review", "In store review"
    LIVE = "live", "Live"


EDITABLE = (SubmissionState.DRAFT, SubmissionState.CHANGES_REQUESTED)


class Submission(models.Model):
    """What a customer asks us to build: a form, and from its submission on the revision and plan it was made with."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="submissions")
    state = models.CharField(max_length=20, choices=SubmissionState, default=SubmissionState.DRAFT)
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, null=True, related_name="+")
    plan = models.CharField(max_length=60, blank=True, help_text="The plan's slug when it was submitted.")
    submitted_by = models.CharField(max_length=200, blank=True)
    submitted_at = models.DateTimeField(null=True)
    call_at = models.DateTimeField(null=True, help_text="When the customer wants to be called.")
    call_note = models.CharField(max_length=300, blank=True)
    assignee = models.CharField(max_length=150, blank=True, help_text="The operator who works on it.")
    created_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["site"], name="mobiloud_one_submission_per_site"),
            models.CheckConstraint(
                condition=Q(state__in=SubmissionState.values), name="mobiloud_submission_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=SubmissionState.DRAFT) | (Q(submitted_at__isnull=False) & ~Q(plan="")),
                name="mobiloud_submitted_with_its_plan",
            ),
        ]

    def __str__(self) -> str:
        return f"submission {self.pk} ({self.state})"

    @property
    def is_editable(self) -> bool:
        """Whether the customer may change it."""
        return self.state in EDITABLE

    @property
    def resource(self) -> Resource:
        """Whose it is."""
        return self.site.resource


class Answer(SealingModel):
    """One field of a submission. A secret stands sealed in `secret` and its `value` is empty."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="answers")
    name = models.CharField(max_length=40)
    value = models.TextField(blank=True)
    secret = SealedField()
    version = models.PositiveIntegerField(default=1, help_text="Counts the saves of this field.")
    saved_by = models.CharField(max_length=200)
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["submission", "name"], name="mobiloud_answer_once"),
            models.CheckConstraint(
                condition=Q(secret__isnull=True) | Q(value=""), name="mobiloud_secret_only_sealed"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sealing_id(self) -> str:
        """The submission and the field."""
        return f"{self.submission_id}:{self.name}"


class Upload(models.Model):
    """A graphic of a submission: an image made by us from the pixels that were sent.

    Its bytes stand in Postgres, with the row: web and workers share no disk, and a refusal or crash leaves no orphan.
    """

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=120, help_text="The file's name as it was sent; for display only.")
    format = models.CharField(max_length=10)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the content, in hex.")
    content = models.BinaryField()
    size = models.PositiveIntegerField(help_text="Bytes.")
    uploaded_by = models.CharField(max_length=200)
    uploaded_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["submission", "kind", "digest"], name="mobiloud_upload_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Signature(models.Model):
    """Who signed which text, when and from where. A new signature replaces it until the form is submitted."""

    submission = models.OneToOneField(Submission, on_delete=models.CASCADE, related_name="signature")
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=200)
    drawing = models.BinaryField(null=True, help_text="A PNG made by us; empty: the name was typed.")
    text = models.TextField(help_text="The exact text that was signed.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the text, in hex.")
    address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=300, blank=True)
    email = models.CharField(max_length=200, help_text="As Heroku vouched for.")
    signed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class SubmissionNote(models.Model):
    """What happened to a submission, or what an operator noted. Only what `told` marks is the customer's to read."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="notes")
    state = models.CharField(
        max_length=20, choices=SubmissionState, blank=True, help_text="The state it went to."
    )
    text = models.TextField(blank=True)
    told = models.BooleanField(default=False, help_text="Whether the customer reads it.")
    author = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.text[:60]
