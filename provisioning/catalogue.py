"""The plans for sale: from each service's `plans.toml` into Postgres, and finding the one that Heroku names."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils import timezone

from provisioning import rows
from provisioning.models import Plan, Resource
from provisioning.services import AddonService, Refusal

_SYNC_LOCK = 7_301_001
"""Advisory lock of `sync_plans`: two releases at the same time take turns."""


@dataclass(frozen=True)
class SyncResult:
    """Which plans (`service:slug`) a synchronisation touched."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    withdrawn: tuple[str, ...]


@transaction.atomic
def sync_plans(services: Iterable[AddonService], *, dry_run: bool = False) -> SyncResult:
    """Bring the plans in Postgres in line with `plans.toml`, and then what else of a service follows from the settings.

    Safe to repeat; a plan that is gone is withdrawn. Resources on a withdrawn plan keep it, and their plan periods
    keep the price they began with.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SYNC_LOCK])
    created, changed, withdrawn = [], [], []
    for service in services:
        existing = {plan.slug: plan for plan in Plan.objects.filter(service=service.slug)}
        # Only one default is allowed at any moment, so the former one gives way before the new one is written.
        defaults = {spec.slug for spec in service.plans if spec.default}
        for plan in existing.values():
            if plan.is_default and plan.slug not in defaults and not dry_run:
                Plan.objects.filter(pk=plan.pk).update(is_default=False)
        for position, spec in enumerate(service.plans):
            wanted = {
                "name": spec.name,
                "description": spec.description,
                "price_cents": spec.price_cents,
                "metered": dict(spec.metered),
                "limits": dict(spec.limits),
                "regions": list(spec.regions),
                "is_default": spec.default,
                "position": position,
                "withdrawn_at": None,
            }
            plan_found = existing.get(spec.slug)
            label = f"{service.slug}:{spec.slug}"
            if plan_found is None:
                created.append(label)
                if not dry_run:
                    Plan.objects.create(service=service.slug, slug=spec.slug, **wanted)
            elif any(getattr(plan_found, key) != value for key, value in wanted.items()):
                changed.append(label)
                if not dry_run:
                    Plan.objects.filter(pk=plan_found.pk).update(**wanted)
        for slug in existing.keys() - {spec.slug for spec in service.plans}:
            if existing[slug].withdrawn_at is None:
                withdrawn.append(f"{service.slug}:{slug}")
                if not dry_run:
                    Plan.objects.filter(pk=existing[slug].pk).update(
                        withdrawn_at=timezone.now(), is_default=False
                    )
        if not dry_run:
            service.sync_settings()
    return SyncResult(tuple(created), tuple(changed), tuple(withdrawn))


def find_plan(service: AddonService, slug: str) -> Plan:
    """The plan for sale that Heroku calls `slug`; Refusal with the plans there are when there is none."""
    plan = rows.fetch(Plan, "service = %s AND slug = %s", [service.slug, slug])
    if plan is None or plan.withdrawn_at:
        names = Plan.objects.filter(service=service.slug, withdrawn_at=None).values_list("slug", flat=True)
        shown = slug if len(slug) <= 60 else f"{slug[:60]}…"
        what = "is not offered any more" if plan else "is not a plan"
        raise Refusal(
            f"'{shown}' {what} of {service.name}. Choose one of: {', '.join(names)}.", code="plan_unknown"
        )
    return plan


def load_plan(resource: Resource) -> Plan | None:
    """The resource's plan, read anew and kept on it; None for the tombstone of a uuid that was never seen."""
    if resource.plan_id is not None:
        resource.plan = rows.fetch(Plan, "id = %s", [resource.plan_id])
    return resource.plan


# Heroku's region names by the provider region that a provision request carries. Virginia and Dublin are Private Space
# regions on the same provider regions as us and eu: the request cannot tell them apart.
REGIONS = {
    "us-east-1": "us",
    "eu-west-1": "eu",
    "us-west-2": "oregon",
    "eu-central-1": "frankfurt",
    "ap-northeast-1": "tokyo",
    "ap-southeast-1": "singapore",
    "ap-southeast-2": "sydney",
    "eu-west-2": "london",
    "ca-central-1": "montreal",
    "ap-south-1": "mumbai",
}
_SAME_PLACE = {"virginia": "us", "dublin": "eu"}


def find_region(plan: Plan, region: str | None) -> str:
    """Heroku's name of the region a request asks for (`amazon-web-services::us-east-1`, or `us`).

    A request without a region means the plan's first one. Refusal when the plan is not offered there.
    """
    if not region:
        return str(plan.regions[0])
    place = region.rpartition("::")[2]
    name = REGIONS.get(place, _SAME_PLACE.get(place, place))
    if name not in plan.regions:
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise Refusal(
            f"Plan '{plan.slug}' is not offered in region '{shown}'. It is available in: {', '.join(plan.regions)}.",
            code="region_unsupported",
        )
    return name
