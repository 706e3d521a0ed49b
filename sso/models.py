"""Who has a dashboard open, and which logins were used up."""

from django.db import models
from django.db.models.functions import Now

from provisioning.models import Resource


class Role(models.TextChoices):
    """What a dashboard session may do."""

    MEMBER = "member", "Member"
    """Heroku vouches for who this is."""
    VIEWER = "viewer", "Viewer"
    """Heroku vouches for the resource only: whoever this is may look, but not reveal or change anything."""
    OPERATOR = "operator", "Operator"
    """One of us looks, with a reason that stands in the audit: nothing can be revealed, changed or even sent."""


class DashboardSession(models.Model):
    """One browser's access to one resource's dashboard. The token itself is in the browser's cookie only."""

    token_digest = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of the cookie's token, in hex."
    )
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="dashboard_sessions")
    role = models.CharField(max_length=10, choices=Role)
    user_id = models.TextField(
        blank=True, help_text="Heroku's id of the person; an operator's name; empty for a viewer."
    )
    email = models.TextField(blank=True, help_text="As Heroku gave it at this login; empty for a viewer.")
    app_hint = models.CharField(
        max_length=60,
        blank=True,
        help_text="The app the login named. Heroku's tokens do not cover it: display only.",
    )
    created_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="The absolute end; the idle one follows from last_seen_at.")

    class Meta:
        indexes = [models.Index(fields=["expires_at"]), models.Index(fields=["last_seen_at"])]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role=Role.VIEWER, user_id="", email="")
                | (models.Q(role=Role.OPERATOR, email="") & ~models.Q(user_id=""))
                | (models.Q(role=Role.MEMBER) & ~models.Q(user_id="") & ~models.Q(email="")),
                name="dashboard_member_has_identity",
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.resource_id}"

    @property
    def actor(self) -> str:
        """How the audit names this person."""
        return (self.user_id if self.role == Role.OPERATOR else self.email)[:200] or "viewer"


class UsedToken(models.Model):
    """A login token that was used: its row makes it work once. Purged when its window is over."""

    digest = models.CharField(primary_key=True, max_length=64, help_text="SHA-256 of the token, in hex.")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:12]
