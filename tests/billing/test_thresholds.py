"""Limits and budgets: a threshold is told once for a month and plan, to those who care, with a plan that fits."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from addon.inference.models import UsageTotal
from addon.kafkacluster.models import SharedCluster, Tenant
from billing import thresholds
from billing.ledger import ingest
from billing.models import LimitNotice
from billing.months import Month
from billing.notices import notices
from billing.thresholds import Gauge, check_all, check_resource, recommendation, set_budget
from mail.contacts import add_security_contact
from mail.models import Mail
from provisioning.catalogue import sync_plans
from provisioning.models import Plan, PlanPeriod, Resource
from provisioning.services import UsageReading, all_services, service_of
from sso.doors import Dashboard
from sso.events import is_logged, words_of
from sso.models import DashboardSession
from tests.support.partner import Partner, at_once

pytestmark = pytest.mark.django_db
APRIL = Month(2026, 4)
Clock = Callable[[datetime], None]


@pytest.fixture(autouse=True)
def mid_april(clock: Clock) -> None:
    clock(datetime(2026, 4, 15, tzinfo=UTC))


@pytest.fixture
def caller(plans: None) -> Resource:
    """An inference resource with somebody to write to."""
    return with_people("inference", "nova-pro")


@pytest.fixture
def tenant(plans: None) -> Tenant:
    """A Kafka tenant on Free: 5 topics, 10 partitions."""
    resource = with_people("kafkacluster", "free")
    cluster = SharedCluster.objects.create(
        name=f"limits-{uuid.uuid4().hex[:6]}",
        regions=["us"],
        brokers="b:1",
        admin_brokers="b:2",
        capacity_bytes_per_second=1,
        capacity_stored_bytes=1,
    )
    return Tenant.objects.create(resource=resource, cluster=cluster, username="t", prefix="t.")


def with_people(service: str, plan: str) -> Resource:
    made = Partner(service).provisioned()
    made.plan_periods.all().delete()
    found = Plan.objects.get(service=service, slug=plan)
    Resource.objects.filter(pk=made.pk).update(plan=found, state="provisioned")
    PlanPeriod.objects.create(
        resource=made,
        plan=found,
        price_cents=found.price_cents,
        metered=found.metered,
        starts_at=APRIL.previous.start,
    )
    add_security_contact(made, email="ada@example.com", actor="test")
    Mail.objects.all().delete()
    return Resource.objects.select_related("plan").get(pk=made.pk)


def topics(tenant: Tenant, number: int) -> list[str]:
    Tenant.objects.filter(pk=tenant.pk).update(topics=number)
    return [f"{row.gauge} {row.threshold}" for row in check_resource(tenant.resource)]


def log_lines(resource: Resource) -> list[str]:
    """What the app's own log tells of limits, oldest first."""
    rows = [
        row
        for row in resource.audit_events.order_by("pk")
        if row.event == "limit.neared" and is_logged(row.event)
    ]
    return words_of(rows, resource)


def spend(resource: Resource, cents: int) -> None:
    """Use output tokens of Nova Pro, 320 cents a million, for so much."""
    reading = UsageReading(uuid.uuid4(), resource.pk, APRIL.start, "output_tokens", cents * 1_000_000 // 320)
    ingest("inference", [reading])


def test_each_threshold_is_told_once(tenant: Tenant) -> None:
    assert topics(tenant, 2) == []
    assert topics(tenant, 3) == ["topics 50"]
    assert topics(tenant, 3) == []
    assert topics(tenant, 4) == ["topics 80"]
    assert topics(tenant, 1) == []
    assert topics(tenant, 4) == []
    assert topics(tenant, 5) == ["topics 100"]
    assert [mail.to for mail in Mail.objects.all()] == ["ada@example.com"] * 3
    assert log_lines(tenant.resource) == [
        f"Topics: {percent} % of the limit is used" for percent in (50, 80, 100)
    ]


def test_of_several_at_once_only_the_highest_is_told_and_the_others_never(tenant: Tenant) -> None:
    assert topics(tenant, 5) == ["topics 100"]
    assert LimitNotice.objects.filter(silent=True).count() == 3
    topics(tenant, 1)
    assert topics(tenant, 4) == []
    assert Mail.objects.count() == 1


def test_a_new_month_and_a_new_plan_begin_anew(tenant: Tenant, clock: Clock) -> None:
    assert topics(tenant, 3) == ["topics 50"]
    clock(APRIL.end + timedelta(hours=1))
    assert topics(tenant, 3) == ["topics 50"]
    resource = tenant.resource
    resource.plan = Plan.objects.get(service="kafkacluster", slug="starter")
    resource.save()
    assert topics(tenant, 6) == ["topics 50"]


def test_the_mail_says_what_happened_and_which_plan_fits(tenant: Tenant) -> None:
    topics(tenant, 4)
    mail = Mail.objects.get()
    assert "Topics: 80 % of the limit used" in mail.subject
    assert "4 topics of 5 topics" in mail.text
    assert "Plan Starter has room for it, for $5.00 a month." in mail.text
    assert "Plan Starter" in mail.html


def test_the_dashboard_tells_it_for_a_week_but_not_what_the_service_tells_itself(
    tenant: Tenant, clock: Clock
) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(stored_bytes=99_000_000)
    topics(tenant, 4)
    gauges = {row.gauge for row in LimitNotice.objects.all()}
    assert gauges == {"topics", "stored_bytes"}
    dashboard = Dashboard(tenant.resource, service_of(tenant.resource), DashboardSession())
    LimitNotice.objects.update(made_at=datetime(2026, 4, 15, tzinfo=UTC))
    [told] = list(notices(dashboard))
    assert (told.level, told.title) == ("warning", "Topics: 80 % of the limit used")
    clock(datetime(2026, 4, 23, tzinfo=UTC))
    assert list(notices(dashboard)) == []


def test_a_budget_is_told_as_it_is_used_up(caller: Resource) -> None:
    set_budget(caller, cents=1_000, actor="ada")
    for cents, told in ((499, []), (10, ["50"]), (300, ["80"]), (200, ["100"]), (500, [])):
        spend(caller, cents)
        assert [row.threshold for row in check_resource(caller)] == told
    # On Nova Lite the same output would have cost 24 of 320.
    assert "on plan Amazon Nova Lite" in LimitNotice.objects.filter(threshold="50", silent=False).get().advice


def test_half_of_a_budget_in_the_first_week_is_told_as_such(caller: Resource, clock: Clock) -> None:
    set_budget(caller, cents=1_000, actor="ada")
    clock(APRIL.start + timedelta(days=6, hours=23))
    spend(caller, 500)
    [told] = check_resource(caller)
    assert (told.threshold, told.silent) == ("pace", False)
    assert "in its first week" in Mail.objects.get().subject
    assert log_lines(caller) == ["Budget: half of the month's limit is used in its first week"]
    clock(APRIL.start + timedelta(days=8))
    assert check_resource(caller) == []
    spend(caller, 300)
    assert [row.threshold for row in check_resource(caller)] == ["80"]


def test_half_of_it_after_the_first_week_is_the_ordinary_notice(caller: Resource, clock: Clock) -> None:
    set_budget(caller, cents=1_000, actor="ada")
    clock(APRIL.start + thresholds.FIRST_WEEK)
    spend(caller, 500)
    assert [row.threshold for row in check_resource(caller)] == ["50"]


def test_the_busiest_minute_of_the_month_counts_against_a_rate(caller: Resource) -> None:
    def busiest(start: datetime, requests: int) -> None:
        zeros = {
            field.name: 0
            for field in UsageTotal._meta.concrete_fields
            if field.name not in ("id", "resource", "period", "start", "model", "durations", "first_bytes")
        }
        UsageTotal.objects.create(
            resource=caller,
            period="hour",
            start=start,
            model="nova-pro",
            durations=[],
            first_bytes=[],
            **{**zeros, "peak_requests": requests},
        )

    busiest(APRIL.previous.start, 150)
    assert check_resource(caller) == []
    busiest(APRIL.start + timedelta(days=2), 143)
    [told] = check_resource(caller)
    assert (told.gauge, told.threshold, told.used) == ("requests_per_minute", "95", 143)


def test_where_no_plan_has_room_it_says_so(tenant: Tenant) -> None:
    largest = Plan.objects.get(service="kafkacluster", slug="basic-1")
    tenant.resource.plan = largest
    gauge = Gauge("topics", "Topics", "topics", 80, 80)
    assert recommendation(tenant.resource, gauge).startswith("This is the largest plan")


def test_one_resource_that_fails_keeps_no_other_in_the_dark(
    tenant: Tenant, caller: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(topics=5)

    def broken(self: object, resource: Resource, *, since: datetime) -> list[object]:
        raise ValueError("planted")

    monkeypatch.setattr(type(service_of(caller)), "usage_peaks", broken)
    assert check_all() == 1


@pytest.mark.django_db(transaction=True)
def test_two_checks_at_once_tell_once() -> None:
    sync_plans(all_services().values())
    caller = with_people("inference", "nova-pro")
    set_budget(caller, cents=1_000, actor="ada")
    spend(caller, 850)
    at_once([lambda: check_resource(caller)] * 6)
    assert Mail.objects.count() == 1
    assert LimitNotice.objects.filter(silent=False).count() == 1
