"""Celery's door: each task calls one function."""

from celery import shared_task

from addon.kafkacluster import rates, reconcile, rights, topics, usage


@shared_task(name="kafkacluster.count_usage", time_limit=120, soft_time_limit=110)
def count_usage() -> None:
    """Count what the tenants keep on the clusters, and tell the clusters whose rights changed."""
    rights.apply_due_rights()
    usage.count_usage()


@shared_task(name="kafkacluster.apply_rights")
def apply_rights(tenant_id: int) -> None:
    """Tell the cluster what one tenant may do now."""
    rights.apply_rights(tenant_id)


@shared_task(name="kafkacluster.reconcile", time_limit=900, soft_time_limit=880)
def reconcile_clusters() -> None:
    """Compare the clusters with Postgres, mend what differs, and drop history that is old enough."""
    reconcile.reconcile_clusters(fix=True)
    rates.purge()


@shared_task(name="kafkacluster.settle_topics", time_limit=120, soft_time_limit=110)
def settle_topics() -> None:
    """Make, change and delete the topics that wait for their cluster."""
    topics.settle_topics()


@shared_task(name="kafkacluster.sample_rates", time_limit=60, soft_time_limit=55)
def sample_rates() -> None:
    """Look at the brokers, and at what every tenant does now."""
    rates.sample_rates()
