"""How quickly usage comes into the ledger and out of it: `python -m bench.billing 10000000` for so many records.

On a PostgreSQL of its own, with its durability on. The records are of 2,000 resources over the last year, most of them
of a few busy ones, and come in batches as the feeds bring them. What is asked then is what pages and statements ask.
"""

import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench.partner_api import percentile
from local.environment import new_secrets
from local.postgres import Postgres
from local.watcher import Watcher
from tests.support.folders import server_folder

if TYPE_CHECKING:
    from provisioning.models import Resource
    from provisioning.services import UsageReading

RESOURCES = 2_000
BATCH = 20_000
LOOKS = 60
INGEST_GOAL = 20_000
MONTH_GOAL_MILLISECONDS = 50.0
YEAR = 360 * 86_400
UNITS = ("input_tokens", "output_tokens")


@contextmanager
def database() -> Iterator[None]:
    """Django on a migrated PostgreSQL of its own, removed at the end."""
    with (
        server_folder() as folder,
        Watcher() as watcher,
        Postgres(folder / "postgres", watcher=watcher, say=lambda _: None) as postgres,
    ):
        os.environ.update(
            {**new_secrets(), "DATABASE_URL": postgres.url},
            DJANGO_SETTINGS_MODULE="addon.settings",
            ADDONWORKS_ENV="test",
            ADDONWORKS_ENV_FILE="",
            LOG_LEVEL="ERROR",
            REDIS_URL="redis://127.0.0.1:1/0",
            BASE_URL="http://testserver",
            HEROKU_API_URL="https://api.heroku.invalid",
            HEROKU_ID_URL="https://id.heroku.invalid",
            HEROKU_DASHBOARD_URL="https://dashboard.heroku.invalid",
        )
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        from provisioning.catalogue import sync_plans
        from provisioning.services import all_services

        call_command("migrate", verbosity=0)
        sync_plans(all_services().values())
        yield
        connection.close()


def make_resources() -> "list[Resource]":
    """Resources of inference with a plan period of two years."""
    from provisioning.models import Plan, PlanPeriod, Resource

    plan = Plan.objects.get(service="inference", slug="nova-lite")
    made = Resource.objects.bulk_create(
        Resource(uuid=uuid.uuid4(), service="inference", plan=plan, state="provisioned", region="us")
        for _ in range(RESOURCES)
    )
    PlanPeriod.objects.bulk_create(
        PlanPeriod(
            resource=each,
            plan=plan,
            price_cents=plan.price_cents,
            metered=plan.metered,
            starts_at=datetime.now(tz=UTC) - timedelta(days=730),
        )
        for each in made
    )
    return made


def batches(resources: "list[Resource]", records: int) -> "Iterator[list[UsageReading]]":
    """Readings in about the order of time, as a feed tells them: two units of each event."""
    from provisioning.services import UsageReading

    rng = random.Random(1)
    numbers = [each.pk for each in resources]
    start = datetime.now(tz=UTC) - timedelta(seconds=YEAR)
    for first in range(0, records, BATCH):
        size = min(BATCH, records - first)
        at = start + timedelta(seconds=first / records * (YEAR - 60))
        found = []
        for number in range(size // len(UNITS)):
            # A few resources have most of the use: the square of a random number prefers the first ones.
            resource = numbers[int(len(numbers) * rng.random() ** 3)]
            event = uuid.UUID(int=rng.getrandbits(128))
            moment = at + timedelta(milliseconds=number)
            found += [UsageReading(event, resource, moment, unit, 100 + number) for unit in UNITS]
        yield found


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1_000


def measure(records: int) -> bool:
    """Fill the ledger, ask it, and tell whether the goals hold."""
    from billing import recount
    from billing.charges import month_charges
    from billing.ledger import ingest, used_between
    from billing.models import UsageRecord
    from billing.months import Month
    from billing.pages import billing_context, month_use

    resources = make_resources()
    seconds, written, slowest, again = 0.0, 0, 0.0, 0.0
    for number, batch in enumerate(batches(resources, records)):
        took = timed(lambda batch=batch: ingest("inference", batch)) / 1_000  # type: ignore[misc]
        seconds, written = seconds + took, written + len(batch)
        slowest = max(slowest, took)
        if written % 1_000_000 == 0 and written < records:
            print(f"        {written:,} so far: {written / seconds:,.0f} a second", flush=True)
        if number == 0:
            again = timed(lambda batch=batch: ingest("inference", batch)) / 1_000  # type: ignore[misc]
    rate = written / seconds
    print(
        f"ingest: {written:,} records in {seconds:,.1f} s: {rate:,.0f} a second, slowest batch {slowest:.2f} s"
    )
    print(f"        a batch of {BATCH:,} told again: {again:.2f} s, nothing written")

    now = datetime.now(tz=UTC)
    month = Month.of(now).previous
    rng = random.Random(2)
    # The busiest resource, and others by chance.
    asked = [resources[0], *rng.choices(resources, k=LOOKS - 1)]
    numbers = [each.pk for each in resources]
    looks: dict[str, list[float]] = {
        "use by day": [timed(lambda r=each: month_use(r, month, now=now)) for each in asked],  # type: ignore[misc]
        "charge": [timed(lambda r=each: month_charges([r.pk], month=month, until=now)) for each in asked],  # type: ignore[misc]
        "sum from noon to noon": [
            timed(
                lambda r=each: used_between(  # type: ignore[misc]
                    [r.pk], begin=month.start + timedelta(hours=12), end=month.end - timedelta(hours=12)
                )
            )
            for each in asked
        ],
        "customer's page, without its frame": [
            timed(lambda r=each: billing_context(r, None))  # type: ignore[misc]
            for each in asked[:20]
        ],
    }
    raw = [
        timed(
            lambda r=each: list(  # type: ignore[misc]
                UsageRecord.objects.filter(resource=r, at__gte=month.start, at__lt=month.end)
                .order_by()
                .values_list("at", "unit", "quantity")
            )
        )
        for each in asked
    ]
    for name, times in looks.items():
        print(
            f"a resource's month, {name}: median {percentile(sorted(times), 0.5):.1f} ms, slowest {max(times):.1f} ms"
        )
    most = UsageRecord.objects.filter(resource=resources[0], at__gte=month.start, at__lt=month.end).count()
    print(
        f"a resource's month, every record: median {percentile(sorted(raw), 0.5):.1f} ms; "
        f"the busiest one's {most:,} records {raw[0]:.0f} ms"
    )
    took = timed(lambda: month_charges(numbers, month=month, until=now))
    print(f"every charge of a month, {RESOURCES:,} resources: {took:,.0f} ms")
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    differences: list[recount.Difference] = []
    took = timed(lambda: differences.extend(recount.differences(begin=begin, end=begin + timedelta(days=3))))
    print(f"recount of three days: {took:,.0f} ms, {len(differences)} differences")
    slow = max(max(looks["use by day"]), max(looks["charge"]), max(looks["sum from noon to noon"]))
    good = rate >= INGEST_GOAL and slow < MONTH_GOAL_MILLISECONDS and not differences
    print(
        f"goals: at least {INGEST_GOAL:,} records a second, a resource's month below {MONTH_GOAL_MILLISECONDS:.0f} ms: "
        f"{'reached' if good else 'NOT reached'}"
    )
    return good


def main() -> int:
    """Measure as many records as the command line says."""
    records = int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else 1_000_000
    with database():
        return 0 if measure(records) else 1


if __name__ == "__main__":
    sys.exit(main())
