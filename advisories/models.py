"""Rows of advisories, of whom they affect, of what was sent to whom, and of customers' reports."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from mail.models import Mail
from provisioning.models import Operation, Resource


class AdvisoryState(models.TextChoices):
    """draft → reviewed → sending → published → updated → resolved | withdrawn."""

    DRAFT = "draft", "Draft"
    REVIEWED = "reviewed", "Reviewed"
    SENDING = "sending", "Sending"
    PUBLISHED = "published", "Published"
    UPDATED = "updated", "Updated"
    RESOLVED = "resolved", "Resolved"
    WITHDRAWN = "withdrawn", "Withdrawn"


LIVE_ADVISORY_STATES = (AdvisoryState.SENDING, AdvisoryState.PUBLISHED, AdvisoryState.UPDATED)
TOLD_STATES = (*LIVE_ADVISORY_STATES, AdvisoryState.RESOLVED, AdvisoryState.WITHDRAWN)


class Kind(models.TextChoices):
    """What happened."""

    VULNERABILITY = "vulnerability", "Vulnerability in our service"
    DEPENDENCY = "dependency", "Vulnerability in software we use"
    EXPOSURE = "exposure", "Exposed data or credentials"
    INCIDENT = "incident", "Security incident"


class Severity(models.TextChoices):
    """CVSS's qualitative ratings."""

    NONE = "none", "None"
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    CRITICAL = "critical", "Critical"


class Advisory(models.Model):
    """One matter. What is said about it stands in its versions."""

    number = models.CharField(max_length=20, unique=True, help_text="Our own series: ADW-2026-0001.")
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.VULNERABILITY)
    state = models.CharField(max_length=10, choices=AdvisoryState, default=AdvisoryState.DRAFT)
    cves = models.JSONField(default=list, help_text="CVE ids of the same matter.")
    scope = models.JSONField(
        default=dict, help_text="The saved query of who is affected; see advisories.scope."
    )
    remedy_is_rotation = models.BooleanField(
        default=False, help_text="Whether rotating credentials is the remedy."
    )
    is_public = models.BooleanField(default=False, help_text="Cleared to be listed for everybody.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When it was resolved or withdrawn.")
    scope_checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "advisories"
        constraints = [
            models.CheckConstraint(condition=Q(state__in=AdvisoryState.values), name="advisory_state_known"),
        ]

    def __str__(self) -> str:
        return self.number


class VersionState(models.TextChoices):
    """draft → submitted → approved → sending → published."""

    DRAFT = "draft", "Draft"
    SUBMITTED = "submitted", "Waits for review"
    APPROVED = "approved", "Approved"
    SENDING = "sending", "Sending"
    PUBLISHED = "published", "Published"


class Purpose(models.TextChoices):
    """What a version is for, and what the advisory becomes with it."""

    NOTICE = "notice", "First notice"
    UPDATE = "update", "Update"
    ALL_CLEAR = "all_clear", "All-clear"
    WITHDRAWAL = "withdrawal", "Withdrawal"


class Version(models.Model):
    """What is said about the matter, at one time. Nothing of it changes once it was approved."""

    advisory = models.ForeignKey(Advisory, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    purpose = models.CharField(max_length=10, choices=Purpose, default=Purpose.NOTICE)
    state = models.CharField(max_length=10, choices=VersionState, default=VersionState.DRAFT)
    title = models.CharField(max_length=200)
    summary = models.TextField()
    cvss_vector = models.CharField(max_length=300, blank=True)
    cvss_score = models.DecimalField(max_digits=3, decimal_places=1, null=True, blank=True)
    severity = models.CharField(max_length=10, choices=Severity, default=Severity.NONE)
    timeline = models.JSONField(default=list, help_text="What happened when: [{at, text}].")
    how_to_check = models.TextField(blank=True, help_text="How to check whether you are affected.")
    steps = models.JSONField(default=list, help_text="What to do now, in order: [{text, command, deadline}].")
    what_we_did = models.TextField(blank=True)
    contact = models.CharField(max_length=320)
    change_note = models.TextField(blank=True, help_text="What is new against the version before.")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    submitted_at = models.DateTimeField(null=True, blank=True)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    review_note = models.TextField(blank=True)
    sent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    sent_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["advisory", "number"], name="advisory_version_once"),
            models.UniqueConstraint(
                fields=["advisory"],
                condition=~Q(state="published"),
                name="one_unpublished_version",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "sending", "published"])
                | (Q(reviewer__isnull=False) & ~Q(reviewer=F("author"))),
                name="second_operator_approved_version",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class Affected(models.Model):
    """A resource in the advisory's scope: frozen at the sending, or found later and marked so."""

    advisory = models.ForeignKey(Advisory, on_delete=models.CASCADE, related_name="affected")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="advisories")
    added_at = models.DateTimeField(db_default=Now())
    is_late = models.BooleanField(default=False, help_text="Came into scope after the first sending.")
    people_read_at = models.DateTimeField(
        null=True, blank=True, help_text="When its people became recipients."
    )
    told_at = models.DateTimeField(
        null=True, blank=True, help_text="When the first mail about it was posted."
    )
    reminded = models.PositiveSmallIntegerField(default=0, help_text="How many reminders have fallen due.")
    is_unreached = models.BooleanField(
        default=False, help_text="Every mail came back and nobody is left to write to."
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    mitigated_at = models.DateTimeField(null=True, blank=True)
    mitigated_by = models.CharField(max_length=200, blank=True)
    rotation_wanted_at = models.DateTimeField(
        null=True, blank=True, help_text="When an operator forced a rotation."
    )
    rotation = models.ForeignKey(
        Operation, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    rotation_problem = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "affected resources"
        constraints = [
            models.UniqueConstraint(fields=["advisory", "resource"], name="affected_once"),
        ]
        indexes = [
            models.Index(
                fields=["advisory"], condition=Q(people_read_at=None), name="affected_without_people"
            ),
            models.Index(
                fields=["advisory", "told_at"], condition=Q(acknowledged_at=None), name="affected_silent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} in {self.advisory_id}"


class Recipient(models.Model):
    """A person who is written to about an advisory: one mail, however many resources."""

    advisory = models.ForeignKey(Advisory, on_delete=models.CASCADE, related_name="recipients")
    address = models.CharField(max_length=320, help_text="In lower case: what tells people apart.")
    email = models.CharField(max_length=320)
    has_news = models.BooleanField(
        default=True, help_text="Whether something is to be written that was not yet."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["advisory", "address"], name="recipient_once"),
        ]
        indexes = [models.Index(fields=["advisory"], condition=Q(has_news=True), name="recipient_with_news")]

    def __str__(self) -> str:
        return f"recipient {self.pk}"


class Concern(models.Model):
    """That a recipient is written to about a resource, why, and which version told of it."""

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="concerns")
    affected = models.ForeignKey(Affected, on_delete=models.CASCADE, related_name="concerns")
    reason = models.CharField(max_length=60)
    told = models.PositiveIntegerField(default=0, help_text="The newest version that was written about it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["recipient", "affected"], name="concern_once"),
        ]

    def __str__(self) -> str:
        return self.reason


class Delivery(models.Model):
    """One mail to one recipient about one version; its state is the mail's."""

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="deliveries")
    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="deliveries")
    occasion = models.CharField(max_length=40, help_text="notice, late-…, reminder-…")
    mail = models.OneToOneField(Mail, on_delete=models.PROTECT, related_name="delivery")
    followed_up = models.BooleanField(default=False, help_text="Its coming back has been dealt with.")

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["recipient", "version", "occasion"], name="delivery_once"),
        ]

    def __str__(self) -> str:
        return f"{self.occasion} of {self.recipient_id}"


class ReportState(models.TextChoices):
    """Where the triage of a report is."""

    NEW = "new", "New"
    TRIAGED = "triaged", "Under investigation"
    CONFIRMED = "confirmed", "Confirmed"
    NOT_AFFECTED = "not_affected", "Not affected"
    CLOSED = "closed", "Closed"


class Report(models.Model):
    """A customer's question or report about a possible vulnerability."""

    number = models.CharField(max_length=20, unique=True, help_text="Our own series: VR-2026-0001.")
    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, null=True, blank=True, related_name="vulnerability_reports"
    )
    reporter = models.CharField(max_length=320)
    subject = models.CharField(max_length=200)
    state = models.CharField(max_length=14, choices=ReportState, default=ReportState.NEW)
    severity = models.CharField(max_length=10, choices=Severity, blank=True)
    advisory = models.ForeignKey(
        Advisory, on_delete=models.SET_NULL, null=True, blank=True, related_name="reports"
    )
    received_at = models.DateTimeField(db_default=Now())
    answer_due_at = models.DateTimeField(help_text="When the first answer is promised.")
    triage_due_at = models.DateTimeField(help_text="When the triage is promised.")
    answered_at = models.DateTimeField(null=True, blank=True)
    triaged_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.number


class ReportMessage(models.Model):
    """What was said about a report, by the customer or by us; internal notes are for operators alone."""

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="messages")
    author = models.CharField(max_length=320)
    from_us = models.BooleanField()
    is_internal = models.BooleanField(default=False)
    text = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.author} {self.at:%F %T}"
