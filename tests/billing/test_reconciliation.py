"""Heroku's payouts beside our statements: read once, matched by resource and month, resolved with a note."""

import csv
import io
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing import reconciliation, shares
from billing.closing import close_month, request_close
from billing.models import PayoutFile, PayoutFormat, PayoutRow, Resolution
from billing.months import Month
from billing.payouts import Import, import_payouts, read_amount, save_format
from billing.reconciliation import Item, Kind, explain, items, report, resolve
from provisioning.catalogue import sync_plans
from provisioning.models import AuditEvent, Plan, PlanPeriod, Resource
from provisioning.services import Refusal, all_services
from tests.support.partner import Partner, at_once

pytestmark = pytest.mark.django_db
MARCH = Month(2026, 3)


@pytest.fixture(autouse=True)
def after_march(clock: Callable[[datetime], None]) -> None:
    clock(datetime(2026, 4, 5, tzinfo=UTC))


@pytest.fixture
def heroku_format(plans: None) -> PayoutFormat:
    return save_format(
        name="Heroku", mapping={"resource": "Add-on", "month": "Month", "amount": "Payout"}, actor="finance"
    )


def kafka(*plans: tuple[str, float], until: float | None = None) -> Resource:
    """A resource on plans from days of March on, until a day."""
    made = Partner("kafkacluster").provisioned(name=f"kafka-{uuid.uuid4().hex[:8]}")
    made.plan_periods.all().delete()
    ends = [day for _, day in plans[1:]] + [until]
    for (slug, day), end in zip(plans, ends, strict=True):
        plan = Plan.objects.get(service="kafkacluster", slug=slug)
        PlanPeriod.objects.create(
            resource=made,
            plan=plan,
            price_cents=plan.price_cents,
            starts_at=MARCH.start + timedelta(days=day),
            ends_at=None if end is None else MARCH.start + timedelta(days=end),
        )
    return made


def close_march() -> None:
    for slug in all_services():
        shares.set_share(service=slug, since=MARCH, percent=Decimal(70), actor="finance")
    request_close(MARCH, actor="finance")
    close_month(MARCH)


def payout(*rows: tuple[object, str, str], header: str = "Add-on,Month,Payout") -> bytes:
    out = io.StringIO()
    out.write(f"{header}\n")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def read(content: bytes, heroku_format: PayoutFormat) -> Import:
    return import_payouts(content, name="march.csv", payout_format=heroku_format, actor="finance")


def one(kind: Kind) -> Item:
    [found] = items(MARCH, service="kafkacluster", kind=kind)
    return found


def test_each_resource_falls_into_the_class_it_belongs_to(heroku_format: PayoutFormat) -> None:
    same, other, unpaid, free = (*(kafka((plan, 0)) for plan in ("basic-0", "basic-1", "starter", "free")),)
    close_march()
    read(
        payout(
            (same.uuid, "2026-03", "$14.00"),
            (other.name, "2026-03", "69.99"),
            ("never-heard-of", "2026-03", "1.00"),
            (same.uuid, "2026-02", "99"),
        ),
        heroku_format,
    )
    # The unknown resource has no service here: this file names none.
    found = report(MARCH, service="kafkacluster")
    assert {each.kind: (each.items, each.expected, each.paid) for each in found.sums} == {
        Kind.MATCHED: (1, 1_400, 1_400),
        Kind.DIFFERS: (1, 7_000, 6_999),
        Kind.MISSING_HERE: (0, 0, 0),
        Kind.MISSING_THERE: (1, 350, 0),
    }
    assert (found.expected, found.paid, found.difference, found.open) == (8_750, 8_399, -351, 2)
    assert one(Kind.MISSING_THERE).resource == unpaid
    assert str(free.uuid) not in {each.reference for each in items(MARCH, service="kafkacluster")}
    unknown = report(MARCH, service="")
    assert [(each.kind, each.items) for each in unknown.sums if each.items] == [(Kind.MISSING_HERE, 1)]


def test_the_same_file_again_is_not_imported_again_nor_the_rows_of_an_overlapping_one(
    heroku_format: PayoutFormat,
) -> None:
    content = payout(("a", "2026-03", "1"), ("a", "2026-03", "1"), ("b", "2026-03", "2"))
    assert not read(content, heroku_format).repeated
    assert read(content, heroku_format).repeated
    # The later export holds March's rows again, and April's.
    later = payout(("b", "2026-03", "2"), ("a", "2026-03", "1"), ("a", "2026-03", "1"), ("a", "2026-04", "7"))
    assert read(later, heroku_format).file.new_rows == 1
    assert sum(PayoutRow.objects.values_list("cents", flat=True)) == 1_100
    assert AuditEvent.objects.filter(event="billing.payouts_imported").count() == 2


def test_a_row_id_makes_rows_one_and_may_not_change_its_amount(plans: None) -> None:
    with_id = save_format(
        name="with id",
        mapping={"resource": "r", "month": "m", "amount": "a", "row_id": "i", "amount_in": "cents"},
        actor="finance",
    )
    read(b"r,m,a,i\nx,2026-03,5,1\n", with_id)
    assert read(b"r,m,a,i\nx,2026-03,5,1\nx,2026-03,5,2\n", with_id).file.new_rows == 1
    with pytest.raises(Refusal, match="another amount"):
        read(b"r,m,a,i\nx,2026-03,6,1\n", with_id)
    with pytest.raises(Refusal, match="stands twice"):
        read(b"r,m,a,i\nx,2026-03,6,9\nx,2026-03,6,9\n", with_id)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no column"),
        (b"Add-on,Month\nx,2026-03\n", "no column Payout"),
        (b"Add-on,Month,Payout\n", "no rows"),
        (b"Add-on,Month,Payout\nx,2026-03,1\ny,March,1\nz,2026-03,ten\n", "line 3: 'March'.*line 4: 'ten'"),
        (b"Add-on,Month,Payout\nx,2026-03,1.234\n", "not whole cents"),
        (b"Add-on,Month,Payout\nx,2026-03\n", "more or fewer fields"),
        (b"Add-on,Month,Payout\nx,2026-03,1,2\n", "more or fewer fields"),
        (b'Add-on,Month,Payout\n"x,2026-03,1\n', "not CSV"),
        (b"Add-on,Month,Payout\n\xff,2026-03,1\n", "not UTF-8"),
        (b"Add-on,Month,Payout\nx,2026-03,nan\n", "not an amount"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole_and_says_where(
    heroku_format: PayoutFormat, content: bytes, says: str
) -> None:
    with pytest.raises(Refusal, match=says):
        read(content, heroku_format)
    assert not PayoutFile.objects.exists()


@pytest.mark.parametrize(
    ("text", "cents"),
    [("$1,234.50", 123_450), ("-12.5", -1_250), ("(12.50)", -1_250), ("USD 3", 300), ("0", 0), (".05", 5)],
)
def test_amounts_are_read_as_people_export_them(text: str, cents: int) -> None:
    assert read_amount(text, amount_in="dollars") == cents


def test_a_note_resolves_a_difference_until_an_amount_changes(heroku_format: PayoutFormat) -> None:
    other = kafka(("basic-1", 0))
    close_march()
    read(payout((other.uuid, "2026-03", "60")), heroku_format)

    def say(note: str = "Heroku's credit", expected: int = 7_000, paid: int = 6_000) -> Resolution:
        return resolve(
            MARCH,
            service="kafkacluster",
            reference=str(other.uuid),
            expected=expected,
            paid=paid,
            note=note,
            actor="finance",
        )

    with pytest.raises(Refusal, match="Say what explains"):
        say(note=" ")
    with pytest.raises(Refusal, match="amounts have changed"):
        say(paid=5_000)
    say()
    assert report(MARCH, service="kafkacluster").open == 0
    assert one(Kind.DIFFERS).resolution is not None
    # More money came: the note was about another difference.
    read(payout((other.uuid, "2026-03", "5")), heroku_format)
    assert report(MARCH, service="kafkacluster").open == 1
    assert one(Kind.DIFFERS).resolution is None
    read(payout((other.uuid, "2026-03", "5.00")), heroku_format)
    assert report(MARCH, service="kafkacluster").open == 0


@pytest.mark.parametrize(
    ("paid", "says"),
    [
        ("70.00", "counted plan Basic-1 for the whole month"),
        ("74.19", "without keeping its part"),
        ("51.92", "rounded at another point"),
        ("33.33", "No single cause"),
    ],
)
def test_a_difference_comes_with_what_would_explain_it(
    heroku_format: PayoutFormat, paid: str, says: str
) -> None:
    moved = kafka(("basic-0", 0), ("basic-1", 10))
    close_march()
    read(payout((moved.uuid, "2026-03", paid)), heroku_format)
    assert says in " ".join(explain(one(Kind.DIFFERS), MARCH))


def test_another_length_of_time_is_recognised(heroku_format: PayoutFormat) -> None:
    left = kafka(("basic-1", 0), until=15.5)
    close_march()
    read(payout((left.uuid, "2026-03", "70")), heroku_format)
    assert explain(one(Kind.DIFFERS), MARCH) == [
        "The amount is that of 31.0 days on Basic-1; our statement counts 15.5 days."
    ]


@pytest.mark.django_db(transaction=True)
def test_a_double_import_at_one_instant_imports_once() -> None:
    sync_plans(all_services().values())
    known = save_format(
        name="Heroku", mapping={"resource": "Add-on", "month": "Month", "amount": "Payout"}, actor="finance"
    )
    content = payout(*((f"r{number}", "2026-03", "2") for number in range(50)))
    longer = content + b"r99,2026-03,2\n"
    results = at_once([lambda: read(content, known), lambda: read(longer, known)] * 3)
    assert sorted(each.repeated for each in results) == [False, False, True, True, True, True]
    assert PayoutRow.objects.count() == 51
    assert reconciliation.report(MARCH, service="").paid == 51 * 200
