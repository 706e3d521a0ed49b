"""What a customer stores."""

from django.db import models

from provisioning.models import Resource


class Entry(models.Model):
    """One value under one key of a resource's namespace."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=200)
    value = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["resource", "key"], name="keyvalue_one_entry_per_key")]
