"""Rows of the KafkaCluster service."""

from django.db import models
from django.db.models.functions import Now

from provisioning.models import Resource


class Tenant(models.Model):
    """A resource's share of a Kafka cluster: its principal, and the prefix of everything it owns there."""

    resource = models.OneToOneField(Resource, on_delete=models.PROTECT, related_name="kafka_tenant")
    username = models.CharField(max_length=40, unique=True)
    prefix = models.CharField(
        max_length=40, unique=True, help_text="Begins every topic and group; ends in a dot."
    )
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.username
