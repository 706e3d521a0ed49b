"""Rows of the KafkaCluster service."""

import os

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from addon.kafkacluster.cluster import Address
from provisioning.models import Resource
from provisioning.sealing import SealedField, SealingModel


class SharedCluster(SealingModel):
    """A Kafka cluster that tenants are placed on, and how we log in there.

    What it can sell is bounded by `capacity_…`; `addon.kafkacluster.placement` fills it up.
    """

    class State(models.TextChoices):
        """Whether new tenants come here. A full cluster is an open one without room: nobody sets that."""

        OPEN = "open", "Open"
        CLOSED = "closed", "Closed to new tenants"

    class Protocol(models.TextChoices):
        """How a listener is spoken to."""

        SASL_SSL = "SASL_SSL", "SASL over TLS"
        SASL_PLAINTEXT = "SASL_PLAINTEXT", "SASL without TLS (one machine only)"

    name = models.SlugField(max_length=60, unique=True, help_text="Never changes once tenants are here.")
    regions = models.JSONField(help_text='Heroku\'s region names whose tenants come here, such as ["us"].')
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    brokers = models.TextField(
        help_text="Brokers that tenants connect to, `host:port`, comma separated: a config var."
    )
    security_protocol = models.CharField(max_length=20, choices=Protocol, default=Protocol.SASL_SSL)
    admin_brokers = models.TextField(
        help_text="The listener for us, off the public network, whose logins are not SCRAM users."
    )
    admin_security_protocol = models.CharField(max_length=20, choices=Protocol, default=Protocol.SASL_SSL)
    admin_mechanism = models.CharField(
        max_length=20,
        default="PLAIN",
        choices=[(name, name) for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")],
    )
    admin_username = models.CharField(max_length=200, default="operator")
    admin_password = SealedField()
    admin_password_variable = models.CharField(
        max_length=100,
        blank=True,
        help_text="Environment variable that holds the password, in place of a stored one.",
    )
    ca_file = models.CharField(
        max_length=400, blank=True, help_text="PEM file of those who signed the brokers' certificates."
    )
    broker_count = models.PositiveSmallIntegerField(
        default=1, help_text="Brokers when all are up: a plan's rates are divided by it."
    )
    metrics_urls = models.TextField(
        blank=True, help_text="Addresses of every broker's Prometheus exporter, comma separated."
    )
    capacity_bytes_per_second = models.PositiveBigIntegerField(
        help_text="How much produce and consume rate together may be sold here."
    )
    capacity_stored_bytes = models.PositiveBigIntegerField(help_text="How much stored data may be sold here.")
    brokers_up = models.PositiveSmallIntegerField(null=True, editable=False)
    brokers_seen_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When the brokers that are up were counted; 0 when none answered.",
    )
    rates_at = models.DateTimeField(
        null=True, editable=False, help_text="When the tenants' rates were known last."
    )
    from_settings = models.BooleanField(
        default=False, editable=False, help_text="Kept in line with the KAFKA_ settings at each release."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["from_settings"], condition=Q(from_settings=True), name="one_cluster_of_the_settings"
            ),
            models.CheckConstraint(condition=Q(broker_count__gte=1), name="cluster_has_a_broker"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sealing_id(self) -> str:
        """The name: known before the row is."""
        return self.name

    @property
    def address(self) -> Address:
        """Where the cluster is and how we log in; the password is empty when its variable is not set."""
        stored = self.get_sealed("admin_password")
        return Address(
            name=self.name,
            brokers=self.brokers,
            security_protocol=self.security_protocol,
            admin_brokers=self.admin_brokers,
            admin_security_protocol=self.admin_security_protocol,
            admin_mechanism=self.admin_mechanism,
            admin_username=self.admin_username,
            admin_password=stored or os.environ.get(self.admin_password_variable, ""),
            ca_file=self.ca_file or None,
        )


class Tenant(models.Model):
    """A resource's share of a Kafka cluster: its principal, and the prefix of everything it owns there.

    What it uses is counted on the cluster now and then, so that questions about it need no cluster: see `usage_at`.
    """

    resource = models.OneToOneField(Resource, on_delete=models.PROTECT, related_name="kafka_tenant")
    cluster = models.ForeignKey(SharedCluster, on_delete=models.PROTECT, related_name="tenants")
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
    storage_warning = models.PositiveSmallIntegerField(
        db_default=0, help_text="The highest share of the stored data, in per cent, that was warned of."
    )
    writes_paused_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when nothing can be produced: the stored data is at its limit.",
    )
    rights_due = models.BooleanField(
        db_default=False, help_text="The cluster has still to be told what the tenant may do now."
    )
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.username


class Topic(models.Model):
    """A topic that a tenant has or is to have: the truth that its plan's limits are held against.

    The cluster is brought to it by `addon.kafkacluster.topics`.
    """

    class State(models.TextChoices):
        """Whether the cluster is as the row says."""

        CHANGING = "changing", "Being made or changed"
        LIVE = "live", "Live"
        DELETING = "deleting", "Being deleted"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="topic_rows")
    name = models.CharField(max_length=249, unique=True, help_text="Whole, with the tenant's prefix.")
    partitions = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.CHANGING)
    pending_settings = models.JSONField(
        default=dict,
        blank=True,
        help_text="What the cluster is to set, by Kafka's names; it keeps what it has.",
    )
    created_at = models.DateTimeField(db_default=Now())
    made_at = models.DateTimeField(null=True, blank=True, help_text="When it came to be on the cluster.")
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When the cluster was last as wanted.")

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["tenant", "name"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["changing", "live", "deleting"]), name="topic_state_known"
            ),
            models.CheckConstraint(condition=Q(partitions__gte=1), name="topic_has_a_partition"),
        ]

    def __str__(self) -> str:
        return self.name


class ConsumerGroup(models.Model):
    """A consumer group that was registered: Kafka forgets one without members after a week, this row does not."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="group_rows")
    name = models.CharField(max_length=249, unique=True, help_text="Whole, with the tenant's prefix.")
    registered_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["tenant", "name"])]

    def __str__(self) -> str:
        return self.name


class LiveRate(models.Model):
    """What a tenant does now: bytes per second, and how long its requests are held back, in milliseconds.

    A tenant without a row has no traffic, as long as its cluster's `rates_at` is fresh.
    """

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="live_rate")
    at = models.DateTimeField()
    produce = models.PositiveBigIntegerField()
    consume = models.PositiveBigIntegerField(null=True, help_text="Empty where it is not known.")
    produce_throttle_ms = models.PositiveIntegerField(default=0)
    consume_throttle_ms = models.PositiveIntegerField(default=0)
    estimated = models.BooleanField(default=False, help_text="From the growth of the logs, not from metrics.")


class LiveTopicRate(models.Model):
    """What goes through a topic now, in bytes per second over the last minute.

    A topic without a row has no traffic, as long as its cluster's `rates_at` is fresh.
    """

    topic = models.OneToOneField(Topic, on_delete=models.CASCADE, related_name="live_rate")
    at = models.DateTimeField()
    produce = models.PositiveBigIntegerField()
    consume = models.PositiveBigIntegerField()


class Throughput(models.Model):
    """A minute or an hour of a tenant's rates: sums over the looks that saw traffic, and the highest of them."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="throughput")
    seconds = models.PositiveIntegerField()
    starts_at = models.DateTimeField()
    samples = models.PositiveIntegerField()
    produce_sum = models.PositiveBigIntegerField()
    produce_max = models.PositiveBigIntegerField()
    consume_sum = models.PositiveBigIntegerField()
    consume_max = models.PositiveBigIntegerField()
    throttled = models.PositiveIntegerField(help_text="In how many of the looks clients were slowed.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "seconds", "starts_at"], name="throughput_once"),
        ]
        indexes = [models.Index(fields=["seconds", "starts_at"])]
