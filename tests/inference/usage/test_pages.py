"""The dashboard's pages of usage and requests: their figures, their limits, and whose they are."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as project
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from addon.inference import window
from addon.inference.models import Outcome, Period, UsageTotal
from addon.inference.recent import PAGE_SIZE, recent_requests
from addon.inference.reports import RANGES, usage_report
from addon.inference.rollup import roll_up
from addon.inference.service import Inference
from local.ports import free_port
from provisioning.models import Resource
from sso.models import DashboardSession
from tests.inference.usage.conftest import counted, event, failure, some_rows
from tests.sso.conftest import moments, opened, viewer_form

__all__ = ["moments", "opened", "viewer_form"]
Record = Callable[..., None]
Opened = Callable[..., Client]


def page(browser: Client, resource: Resource, path: str) -> str:
    """A page of the resource's dashboard, as text."""
    answer = browser.get(f"/inference/{resource.uuid}/{path}")
    assert answer.status_code == 200, answer.content
    text: str = answer.content.decode()
    return text


def words(html: str) -> str:
    """What a person reads of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("chosen", RANGES.values(), ids=RANGES)
def test_a_report_adds_up_to_the_rows_of_its_range_and_to_no_other_resource_s(
    resource: Resource, other: Resource, record: Record, chosen: Any
) -> None:
    now = timezone.now()
    record(
        *some_rows(
            [resource, other], number=500, since=now - chosen.length * 1.2, length=chosen.length * 1.2, seed=1
        )
    )
    roll_up()
    report = usage_report(resource, chosen)
    first, last = report.points[0].start, report.points[-1].start
    assert last <= timezone.now() < last + chosen.step
    assert len(report.points) == chosen.length / chosen.step
    mine = [
        row
        for (pk, period, at, _), row in counted().items()
        if pk == resource.pk and period == "minute" and at >= first
    ]
    assert len(mine) > 20
    for name in ("requests", "broken", "limited", "failed", "refused", "input_tokens", "search_units"):
        expected = sum(row[name] for row in mine)
        assert getattr(report.total, name) == expected
        assert sum(getattr(point.use, name) for point in report.points) == expected
    assert report.total.durations == [
        sum(column) for column in zip(*(row["durations"] for row in mine), strict=True)
    ]
    assert report.total.errors == sum(
        row["broken"] + row["limited"] + row["failed"] + row["refused"] for row in mine
    )
    json.dumps(report.as_json())


def test_a_point_holds_what_began_in_it(resource: Resource, record: Record) -> None:
    at = timezone.now() - timedelta(hours=2)
    record(*(event(resource, at, milliseconds=200) for _ in range(3)))
    roll_up()
    busy = usage_report(resource, RANGES["24h"]).busy_points
    assert [
        (point.use.requests, point.start <= at < point.start + timedelta(minutes=15)) for point in busy
    ] == [(3, True)]
    assert busy[0].use.p50 == pytest.approx(200, rel=0.2)


def test_the_busiest_minute_of_thirty_days_is_known_from_hours(resource: Resource, record: Record) -> None:
    at = (timezone.now() - timedelta(days=20)).replace(second=0, microsecond=0)
    record(
        *(event(resource, at + timedelta(minutes=m)) for m, n in ((0, 4), (1, 9), (2, 2)) for _ in range(n))
    )
    roll_up()
    total = usage_report(resource, RANGES["30d"]).total
    assert (total.requests, total.peak_requests, total.peak_tokens) == (15, 9, 9 * 15)


def test_the_usage_page_shows_the_figures_and_a_table_of_them(
    resource: Resource, record: Record, opened: Opened
) -> None:
    now = timezone.now()
    record(
        *(
            event(resource, now - timedelta(minutes=5), milliseconds=1000, input_tokens=1500)
            for _ in range(8)
        ),
        failure(resource, now - timedelta(minutes=5), repeats=2),
    )
    roll_up()
    text = words(page(opened(resource), resource, "usage?range=1h"))
    assert "Requests 10 8 answered" in text
    assert "Errors 20.0 % 2 in all, 2 rate limited" in text
    assert "12k in, 40 out" in text
    assert "Busiest minute of the 1 hour 8 requests, 12,040 tokens" in text
    assert "8 0 2 0 0 12,000 40" in text


def test_without_requests_it_says_so_and_leads_to_the_first_one(resource: Resource, opened: Opened) -> None:
    html = page(opened(resource), resource, "usage?range=nonsense")
    assert "No requests in the last 24 hours" in html
    assert f"/inference/{resource.uuid}/quickstart" in html
    assert "data-chart" not in html


def test_an_open_page_asks_without_keeping_the_session_alive(resource: Resource, opened: Opened) -> None:
    browser = opened(resource)
    long_ago = timezone.now() - timedelta(minutes=20)
    DashboardSession.objects.update(last_seen_at=long_ago)
    page(browser, resource, "usage/now")
    assert DashboardSession.objects.get().last_seen_at == long_ago
    page(browser, resource, "usage")
    assert DashboardSession.objects.get().last_seen_at > long_ago


@pytest.mark.parametrize("path", ["usage", "usage/now", "requests", "quickstart", "playground"])
def test_nobody_sees_another_add_on_s_pages(
    resource: Resource, other: Resource, opened: Opened, path: str
) -> None:
    answer = opened(resource).get(f"/inference/{other.uuid}/{path}")
    assert answer.status_code == 401


def test_requests_of_both_kinds_stand_in_one_list_the_newest_first(
    resource: Resource, other: Resource, record: Record, opened: Opened
) -> None:
    now = timezone.now()
    record(
        event(
            resource, now - timedelta(seconds=3), streamed=True, first_milliseconds=250, milliseconds=61_000
        ),
        failure(resource, now - timedelta(seconds=2), repeats=40),
        event(
            resource, now - timedelta(seconds=1), outcome=Outcome.HUNG_UP, estimated=True, output_tokens=1234
        ),
        failure(resource, now, status=500, code="upstream_error"),
        event(other, now),
    )
    rows = recent_requests(resource, errors_only=False).rows
    assert [row.words for row in rows] == ["Model failed", "Client left", "Rate limited", "Complete"]
    text = words(page(opened(resource), resource, "requests"))
    assert "500 Model failed" in text
    assert "≈ 1,234" in text
    assert re.search(r"429 Rate limited \W 40 ", text)
    assert "61 s first byte 250 ms" in text
    assert str(rows[0].id) in text


def test_only_what_went_wrong_is_shown_on_request(resource: Resource, record: Record) -> None:
    now = timezone.now()
    record(
        *(event(resource, now - timedelta(seconds=n)) for n in range(5)),
        event(resource, now, outcome=Outcome.FAILED),
        event(resource, now, outcome=Outcome.HUNG_UP),
        failure(resource, now),
    )
    rows = recent_requests(resource, errors_only=True).rows
    assert sorted(row.words for row in rows) == ["Client left", "Cut short", "Rate limited"]


def test_older_ones_follow_without_a_gap_and_none_twice(
    resource: Resource, record: Record, opened: Opened
) -> None:
    now = timezone.now()
    record(
        *some_rows(
            [resource],
            number=PAGE_SIZE * 2 + 20,
            since=now - timedelta(hours=1),
            length=timedelta(hours=1),
            seed=3,
        )
    )
    seen: list[Any] = []
    before = None
    while True:
        found = recent_requests(resource, errors_only=False, before=before)
        seen += [row.id for row in found.rows]
        before = found.older
        if before is None:
            break
    assert len(seen) == len(set(seen)) == PAGE_SIZE * 2 + 20
    browser = opened(resource)
    assert "Show older" in page(browser, resource, "requests")
    for nonsense in ("before=1", "before=99999999999999999999", "before=x", "show=what"):
        page(browser, resource, f"requests?{nonsense}")


def test_the_quick_start_has_the_add_on_s_values_but_the_key(resource: Resource, opened: Opened) -> None:
    browser = opened(resource)
    key = Inference().config_vars(resource)["INFERENCE_KEY"]
    for language in ("curl", "python", "javascript", "ruby", "nonsense"):
        html = page(browser, resource, f"quickstart?language={language}")
        assert "export INFERENCE_MODEL_ID=nova-lite" in html
        assert key not in html


def test_a_viewer_gets_neither_a_key_to_reveal_nor_a_playground(
    resource: Resource, opened: Opened, viewer_form: dict[str, None]
) -> None:
    browser = opened(resource, **viewer_form)
    assert "data-reveal" not in page(browser, resource, "quickstart")
    assert "data-chat" not in page(browser, resource, "playground")


@pytest.fixture
def limiter(resource: Resource) -> Iterator[Callable[[str, float, int], None]]:
    """Put a request into the limiter's window: id, seconds ago, tokens."""
    client = redis.Redis.from_url(project.REDIS_URL)
    key = f"inference:{{{resource.pk}:nova-lite}}"

    def put(name: str, age: float, tokens: int) -> None:
        client.zadd(f"{key}:requests", {name: (time.time() - age) * 1_000_000})
        client.hset(f"{key}:tokens", name, str(tokens))

    yield put
    client.delete(f"{key}:requests", f"{key}:tokens")
    client.close()


def test_the_limits_show_what_the_limiter_holds_of_the_last_minute(
    resource: Resource, opened: Opened, limiter: Callable[[str, float, int], None]
) -> None:
    for name, age, tokens in (("a", 5, 1000), ("b", 59, 250), ("c", 61, 9999)):
        limiter(name, age, tokens)
    browser = opened(resource)
    for path in ("usage", ""):
        text = words(page(browser, resource, path))
        assert "2 of 150 requests/min" in text
        assert "1,250 of 800,000 tokens/min" in text


def test_without_redis_the_finished_answers_have_to_do(
    resource: Resource, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = redis.Redis(port=free_port(), socket_connect_timeout=0.3)
    monkeypatch.setattr(window, "_redis", away)
    record(event(resource, timezone.now()), event(resource, timezone.now() - timedelta(seconds=90)))
    assert window.window_use(resource) == window.WindowUse(1, 15)


def test_the_number_of_queries_does_not_grow_with_use(
    resource: Resource, record: Record, opened: Opened, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    record(
        *some_rows(
            [resource], number=300, since=timezone.now() - timedelta(days=1), length=timedelta(days=1), seed=5
        )
    )
    roll_up()
    assert UsageTotal.objects.filter(period=Period.MINUTE).count() > 100
    browser = opened(resource)
    with django_assert_max_num_queries(8):
        page(browser, resource, "usage")
    with django_assert_max_num_queries(8):
        page(browser, resource, "requests")
