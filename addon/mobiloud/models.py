"""Rows of the MobiLoud service. What must hold is held by the database; revisions are guarded by a trigger."""

import secrets

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from addon.mobiloud.documents import Configuration, parse
from provisioning.models import Resource


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
