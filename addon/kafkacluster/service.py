"""The KafkaCluster add-on behind the service contract."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse

from addon.kafkacluster import feed, plan_change, rights, tenants
from addon.kafkacluster.config import kafka_environment
from addon.kafkacluster.limits import Limits
from addon.kafkacluster.models import ConsumerGroup, Tenant, Topic
from addon.kafkacluster.placement import sync_settings_cluster
from addon.kafkacluster.rates import live_rate
from addon.kafkacluster.usage import check_fits
from provisioning.credentials import active_credential
from provisioning.limits import limits_of
from provisioning.models import Plan, Resource, new_public_id
from provisioning.services import (
    AddonService,
    GeneratedSecret,
    Meter,
    Page,
    Provisions,
    Step,
    UsageBatch,
)
from provisioning.steps import ISSUE_CREDENTIAL


class KafkaCluster(AddonService):
    """A tenant on a shared cluster, made after Heroku's request was answered."""

    slug = "kafkacluster"
    name = "KafkaCluster"
    config_prefix = "KAFKACLUSTER"
    config_var_names = (
        "KAFKACLUSTER_USERNAME",
        "KAFKACLUSTER_PASSWORD",
        "KAFKACLUSTER_SASL_METHOD",
        "KAFKACLUSTER_BROKERS",
    )
    secret_config_vars = ("KAFKACLUSTER_PASSWORD",)
    provisions = Provisions.AFTERWARDS
    provisioning_message = "Your Kafka tenant is being created and will be available shortly."
    provisioned_message = "Your Kafka tenant is ready."
    support_email = "hello@streamabyss.com"
    suspended_note = (
        "Your clients are refused until support ends the suspension. Nothing is lost: topics, messages, consumer "
        "groups and credentials stay as they are."
    )
    icon = "topology-star-3"
    pages = (
        Page("Overview", "home", "kafkacluster:overview"),
        Page("Getting started", "rocket", "kafkacluster:start"),
        Page("Topics", "stack-2", "kafkacluster:topics"),
        Page("Consumer groups", "users-group", "kafkacluster:groups"),
        Page("Messages", "messages", "kafkacluster:messages"),
        Page("Quotas", "gauge", "kafkacluster:quotas"),
        Page("Replication", "copy", "kafkacluster:replication"),
    )
    usage_units = feed.UNITS
    own_notices = frozenset({"stored_bytes"})

    def validate_limits(self, limits: Mapping[str, Any]) -> None:
        """The limits of `Limits`, each a whole number above zero and in Kafka's range."""
        Limits.read(limits)

    def sync_settings(self) -> None:
        """Make or refresh the cluster that the KAFKA_ settings name."""
        sync_settings_cluster(kafka_environment())

    def provision_steps(self) -> Sequence[Step]:
        """The row, then on the cluster quotas, rights and password in this order, then a login to prove it."""
        return (
            Step("create tenant", tenants.ensure_tenant),
            ISSUE_CREDENTIAL,
            Step("set quotas", tenants.set_quotas),
            Step("grant rights", tenants.grant_rights),
            Step("install password", tenants.install_password),
            Step("verify login", tenants.verify_login),
        )

    def config_vars(self, resource: Resource) -> dict[str, str]:
        """User, password, SASL mechanism and brokers."""
        tenant = Tenant.objects.select_related("cluster").get(resource=resource)
        credential = active_credential(resource)
        if credential is None:
            raise ValueError(f"resource {resource.uuid} has no password")
        return {
            "KAFKACLUSTER_USERNAME": tenant.username,
            "KAFKACLUSTER_PASSWORD": credential.get_sealed("secret") or "",
            "KAFKACLUSTER_SASL_METHOD": credential.kind,
            "KAFKACLUSTER_BROKERS": tenant.cluster.brokers,
        }

    def check_plan_change(self, resource: Resource, plan: Plan) -> None:
        """Refuse a plan that allows less than the tenant keeps, as counted last."""
        tenant = Tenant.objects.filter(resource=resource).first()
        if tenant is not None:
            check_fits(tenant, plan)

    def change_plan_steps(self) -> Sequence[Step]:
        """The new plan's quotas, its topics' settings and its room for data; user, password and data stay."""
        return (
            Step("set quotas", tenants.set_quotas),
            Step("fit topics", plan_change.fit_topics),
            Step("hold to storage", rights.fit_storage),
        )

    def generate_secret(self, resource: Resource) -> GeneratedSecret:
        """A password (URL-safe, so that it survives any config file) on the mechanism the active one is not on."""
        active = active_credential(resource)
        first, second = tenants.MECHANISMS
        mechanism = second if active and active.kind == first else first
        return GeneratedSecret(new_public_id(), secrets.token_urlsafe(32), kind=mechanism)

    def install_credential_steps(self) -> Sequence[Step]:
        """The new password, beside the former one."""
        return (
            Step("install password", tenants.install_password),
            Step("verify login", tenants.verify_login),
        )

    def remove_credential_steps(self) -> Sequence[Step]:
        """Nothing but the passwords that are still valid."""
        return (Step("remove passwords", tenants.keep_live_passwords),)

    def deprovision_steps(self) -> Sequence[Step]:
        """Rights and logins, groups and topics, quotas; then a look at whether anything is left."""
        return (
            Step("shut out", tenants.shut_out),
            Step("delete groups and topics", tenants.delete_data),
            Step("remove quotas", tenants.remove_quotas),
            Step("sweep", tenants.sweep),
            Step("end tenant", tenants.end_tenant),
        )

    def erase_data(self, resource: Resource) -> Mapping[str, int]:
        """The names of topics and consumer groups; nothing of them is on the cluster any more."""
        erased: Counter[str] = Counter()
        for model in (Topic, ConsumerGroup):
            erased.update(model.objects.filter(tenant__resource=resource).delete()[1])
        return erased

    def limits_changed(self, resource: Resource) -> None:
        """The rates stand on the cluster as quotas, and the room for data follows."""
        rights.follow(resource)

    def suspension_changed(self, resource: Resource) -> None:
        """The tenant's clients are refused, or let in."""
        rights.follow(resource)

    def dashboard_url(self, resource: Resource) -> str:
        """The overview."""
        return reverse("kafkacluster:overview", args=[resource.uuid])

    def usage_summary(self, resource: Resource) -> list[Meter]:
        """Rates of the last seconds where they are known, and resource quotas as counted within the last minute."""
        limits = limits_of(resource)
        tenant = Tenant.objects.select_related("cluster").filter(resource=resource).first()
        live = live_rate(tenant).rate if tenant else None
        tenant = tenant or Tenant(topics=0, partitions=0, stored_bytes=0)
        produce = None if live is None else round(live.produce)
        consume = None if live is None or live.consume is None else round(live.consume)
        return [
            Meter(label, limits.get(key), unit, used=used, key=key)
            for label, key, unit, used in (
                ("Produce", "produce_bytes_per_second", "bytes/s", produce),
                ("Consume", "consume_bytes_per_second", "bytes/s", consume),
                ("Topics", "topics", "topics", tenant.topics),
                ("Partitions", "partitions", "partitions", tenant.partitions),
                ("Stored data", "stored_bytes", "bytes", tenant.stored_bytes),
            )
        ]

    def limit_rows(self, plan: Plan) -> list[tuple[str, str]]:
        """The limits in words; kB are thousands of bytes."""
        limits = plan.limits
        return [
            ("Produce quota", f"{limits['produce_bytes_per_second'] // 1000} kB/s"),
            ("Consume quota", f"{limits['consume_bytes_per_second'] // 1000} kB/s"),
            ("Topics", str(limits["topics"])),
            ("Partitions", str(limits["partitions"])),
            ("Consumer groups", str(limits["consumer_groups"])),
            ("Longest retention", f"{limits['retention_hours']} h"),
            ("Stored data", f"{limits['stored_bytes'] / 1_000_000_000:g} GB"),
            ("Largest message", f"{limits['max_message_bytes'] // 1000} kB"),
        ]

    def read_usage(self, *, since: str, most: int) -> UsageBatch:
        """Bytes in and out of whole hours."""
        return feed.read_usage(since=since)

    def usage_peaks(self, resource: Resource, *, since: datetime) -> list[Meter]:
        """The highest produce and consume rates that were seen."""
        return feed.usage_peaks(resource, since=since)
