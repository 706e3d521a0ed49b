"""Rows of the KafkaCluster service."""

from django.db import models
from django.db.models.functions import Now

from provisioning.models import Resource


class Tenant(models.Model):
    """A resource's share of a Kafka cluster: its principal, and the prefix of everything it owns there.

    What it uses is counted on the cluster now and then, so that questions about it need no cluster: see `usage_at`.
    """

    resource = models.OneToOneField(Resource, on_delete=models.PROTECT, related_name="kafka_tenant")
    username = models.CharField(max_length=40, unique=True)
    prefix = models.CharField(
        max_length=40, unique=True, help_text="Begins every topic and group; ends in a dot."
    )
    topics = models.PositiveIntegerField(db_default=0)
    partitions = models.PositiveIntegerField(db_default=0)
    stored_bytes = models.PositiveBigIntegerField(db_default=0, help_text="Of one replica of each partition.")
    usage_at = models.DateTimeField(
        db_default=Now(), help_text="When topics, partitions and bytes were counted; a new tenant has none."
    )
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.username
