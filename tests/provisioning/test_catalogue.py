"""The plans for sale: from each service's file into Postgres, again and again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from provisioning.catalogue import SyncResult, find_plan, find_region, sync_plans
from provisioning.models import Plan
from provisioning.services import AddonService, PlanSpec, Refusal, all_services
from tests.support.partner import Partner


class Shop:
    """Stands in for a service: what `sync_plans` reads of one."""

    slug = "shop"
    name = "Shop"

    def __init__(self, *plans: PlanSpec) -> None:
        self.plans = plans
        self.synchronised = 0

    def sync_settings(self) -> None:
        self.synchronised += 1


A = PlanSpec("a", "A", 0, {"n": 1}, regions=("us",), default=True)
B = PlanSpec("b", "B", 500, {"n": 2}, regions=("us", "eu"), metered={"thing": 3}, description="More")


def sync(*plans: PlanSpec, **options: Any) -> SyncResult:
    """Synchronise the shop."""
    return sync_plans([Shop(*plans)], **options)  # type: ignore[list-item]


@pytest.fixture(autouse=True)
def database(plans: None) -> None:
    """Every test here writes."""


def test_new_plans_are_created_with_everything_their_file_says() -> None:
    assert sync(A, B) == SyncResult(("shop:a", "shop:b"), (), ())
    plan = Plan.objects.get(service="shop", slug="b")
    assert (plan.name, plan.description, plan.price_cents) == ("B", "More", 500)
    assert (plan.limits, plan.metered, plan.regions) == ({"n": 2}, {"thing": 3}, ["us", "eu"])
    assert (plan.is_default, plan.position, plan.withdrawn_at) == (False, 1, None)


def test_a_repeat_changes_nothing() -> None:
    sync(A, B)
    before = list(Plan.objects.values())
    assert sync(A, B) == SyncResult((), (), ())
    assert list(Plan.objects.values()) == before


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Bee"},
        {"description": "Less"},
        {"price_cents": 700},
        {"limits": {"n": 3}},
        {"metered": {}},
        {"regions": ("us",)},
    ],
)
def test_a_changed_plan_is_changed_in_place(change: Mapping[str, Any]) -> None:
    sync(A, B)
    plan = Plan.objects.get(service="shop", slug="b")
    assert sync(A, replace(B, **change)) == SyncResult((), ("shop:b",), ())
    changed = Plan.objects.get(service="shop", slug="b")
    assert changed.pk == plan.pk
    [(name, value)] = change.items()
    assert getattr(changed, name) == (list(value) if isinstance(value, tuple) else value)


def test_a_plan_that_is_gone_is_withdrawn_and_one_that_returns_is_sold_again() -> None:
    sync(A, B)
    assert sync(A) == SyncResult((), (), ("shop:b",))
    assert Plan.objects.get(service="shop", slug="b").withdrawn_at is not None
    assert sync(A) == SyncResult((), (), ())
    assert sync(A, B) == SyncResult((), ("shop:b",), ())
    assert Plan.objects.get(service="shop", slug="b").withdrawn_at is None


def test_the_default_may_move_to_an_existing_or_a_new_plan_or_leave_with_its_plan() -> None:
    sync(A, B)
    for plans in (
        (replace(A, default=False), replace(B, default=True)),
        (replace(A, default=True), B),
        (replace(A, default=False), B, replace(B, slug="c", default=True)),
        (replace(B, default=True),),
        (A, B),
    ):
        sync(*plans)
        expected = next(plan.slug for plan in plans if plan.default)
        assert Plan.objects.get(service="shop", is_default=True).slug == expected


def test_a_dry_run_says_what_would_change_and_changes_nothing() -> None:
    sync(A, B)
    before = list(Plan.objects.values())
    found = sync(replace(A, default=False), replace(B, slug="c", default=True), dry_run=True)
    assert found == SyncResult(("shop:c",), ("shop:a",), ("shop:b",))
    assert list(Plan.objects.values()) == before


def test_a_service_brings_its_own_rows_in_line_at_each_release_and_never_in_a_dry_run() -> None:
    shop = Shop(A)
    for expected, dry_run in ((0, True), (1, False), (2, False)):
        sync_plans([shop], dry_run=dry_run)  # type: ignore[list-item]
        assert shop.synchronised == expected


def test_other_services_plans_are_left_alone() -> None:
    before = list(Plan.objects.exclude(service="shop").values())
    sync(A, B)
    sync(A)
    assert list(Plan.objects.exclude(service="shop").values()) == before


def test_a_resource_keeps_the_price_its_period_began_with(kafka: Partner) -> None:
    resource = kafka.provisioned(plan="basic-0")
    service = all_services()["kafkacluster"]
    dearer = [replace(spec, price_cents=spec.price_cents * 2) for spec in service.plans]

    class Dearer(Shop):
        slug = "kafkacluster"

    sync_plans([Dearer(*dearer)])  # type: ignore[list-item]
    assert Plan.objects.get(service="kafkacluster", slug="basic-0").price_cents == 4_000
    assert resource.plan_periods.get().price_cents == 2_000


@pytest.mark.parametrize("service", all_services().values(), ids=lambda service: service.slug)
def test_every_plan_of_a_file_is_for_sale(service: AddonService) -> None:
    for spec in service.plans:
        plan = find_plan(service, spec.slug)
        assert (plan.price_cents, plan.limits) == (spec.price_cents, dict(spec.limits))
        for region in spec.regions:
            assert find_region(plan, region) == region


def test_the_published_plans_and_prices_are_those_of_the_documents() -> None:
    prices = {
        slug: {plan.slug: plan.price_cents for plan in service.plans}
        for slug, service in all_services().items()
    }
    assert set(prices["inference"]) == {
        "nova-lite",
        "nova-pro",
        "nova-2-lite",
        "qwen3-235b",
        "qwen3-coder-480b",
        "minimax-m2",
        "kimi-k2-thinking",
        "cohere-rerank-3-5",
        "amazon-rerank-1-0",
    }
    assert set(prices["kafkacluster"]) == {"free", "starter", "basic-0", "basic-1"}
    assert prices["kafkacluster"]["free"] == 0
    assert prices["mobiloud"]["test"] == 0
    paid = [cents for slug, cents in prices["mobiloud"].items() if slug != "test"]
    assert paid == [n * 100_000 - 100 for n in range(1, 11)]


def test_finding_a_plan_is_exact() -> None:
    service = all_services()["mobiloud"]
    Plan.objects.filter(service="mobiloud", slug="elite").update(withdrawn_at=timezone.now())
    for slug in ("", "TEST", "test ", "mobiloud:test", "elite", "free"):
        with pytest.raises(Refusal) as caught:
            find_plan(service, slug)
        assert "elite" not in caught.value.message.partition("Choose one of")[2]
