"""Prometheus metrics of the outbox, read from Postgres when somebody looks."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mail.models import OPEN_STATES, Mail

LATELY = timedelta(days=1)


class MailCollector(Collector):
    """How much waits and for how long, and what became of the mails of the last day."""

    def collect(self) -> Iterator[Metric]:
        """The gauges, from three queries that an index answers."""
        waiting = GaugeMetricFamily(
            "addonworks_mail_waiting", "Mails that have not been accepted yet.", labels=["state"]
        )
        still_open = Mail.objects.filter(state__in=OPEN_STATES)
        counted = dict(still_open.values_list("state").annotate(n=Count("pk")).order_by())
        for state in OPEN_STATES:
            waiting.add_metric([state], counted.get(state, 0))
        yield waiting
        oldest = GaugeMetricFamily(
            "addonworks_mail_oldest_waiting_seconds", "Age of the oldest mail that has not been accepted yet."
        )
        first = still_open.aggregate(first=Min("created_at"))["first"]
        oldest.add_metric([], (timezone.now() - first).total_seconds() if first else 0.0)
        yield oldest
        lately = GaugeMetricFamily(
            "addonworks_mails_of_the_last_day",
            "Mails posted within 24 hours by what has become of them.",
            labels=["kind", "state"],
        )
        rows = Mail.objects.filter(created_at__gte=timezone.now() - LATELY)
        for kind, state, number in rows.values_list("kind", "state").annotate(n=Count("pk")).order_by():
            lately.add_metric([kind, state], number)
        yield lately
