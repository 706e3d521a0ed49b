"""Prometheus metrics: counted where it happens, and read from Postgres when somebody looks."""

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from provisioning.models import Heartbeat, Operation, PlatformAccess, Resource
from provisioning.states import ACTIVE_OPERATION_STATES, LIVE_STATES


class DatabaseCollector(Collector):
    """Gauges whose truth is in Postgres, the same from every process."""

    def collect(self) -> Iterator[Metric]:
        """The gauges, from five grouped queries."""
        resources = GaugeMetricFamily(
            "addonworks_resources",
            "Resources by service, plan and state.",
            labels=["service", "plan", "state"],
        )
        for row in (
            Resource.objects.values_list("service", "plan__slug", "state").annotate(n=Count("pk")).order_by()
        ):
            resources.add_metric([row[0], row[1] or "", row[2]], row[3])
        yield resources
        active = GaugeMetricFamily(
            "addonworks_operations_active", "Operations not ended yet.", labels=["service", "kind", "state"]
        )
        oldest = GaugeMetricFamily(
            "addonworks_operation_oldest_seconds",
            "Age of the oldest active operation.",
            labels=["service", "kind"],
        )
        found = Operation.objects.filter(state__in=ACTIVE_OPERATION_STATES)
        for row in found.values_list("resource__service", "kind", "state").annotate(n=Count("pk")).order_by():
            active.add_metric(list(row[:3]), row[3])
        for service, kind, since in (
            found.values_list("resource__service", "kind").annotate(first=Min("created_at")).order_by()
        ):
            oldest.add_metric([service, kind], (timezone.now() - since).total_seconds())
        yield active
        yield oldest
        ended = GaugeMetricFamily(
            "addonworks_operations_ended",
            "Operations that ended, by how.",
            labels=["service", "kind", "state"],
        )
        rows = Operation.objects.exclude(state__in=ACTIVE_OPERATION_STATES)
        for row in rows.values_list("resource__service", "kind", "state").annotate(n=Count("pk")).order_by():
            ended.add_metric(list(row[:3]), row[3])
        yield ended
        access = GaugeMetricFamily(
            "addonworks_platform_access", "Live resources by state of our access to Heroku.", labels=["state"]
        )
        live = PlatformAccess.objects.filter(resource__state__in=LIVE_STATES)
        for state, number in live.values_list("state").annotate(n=Count("pk")).order_by():
            access.add_metric([state], number)
        yield access
        beats = GaugeMetricFamily(
            "addonworks_job_age_seconds", "Seconds since a recurring job last ran.", labels=["job"]
        )
        for beat in Heartbeat.objects.all():
            beats.add_metric([beat.name], (timezone.now() - beat.at).total_seconds())
        yield beats
