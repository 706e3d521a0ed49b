"""The app's own log: what customers read of an add-on in `heroku logs`."""

import base64
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from provisioning import audit
from provisioning.models import Heartbeat, Resource
from sandbox.identity import read_frames
from sso import app_logs
from sso.tasks import write_app_logs
from tests.support.heroku import Call, FakeHeroku

TOKEN = "t.9f0e6a1c-0000-4000-8000-1234567890ab"


@pytest.fixture
def resource(ready: Callable[..., Resource], heroku: FakeHeroku) -> Resource:
    """A resource whose add-on Heroku knows, looked at just now."""
    found = ready("inference")
    heroku.know(found.uuid, plan="inference:nova-lite")
    look_back(seconds=60)
    return found


def look_back(*, seconds: float) -> None:
    """As if the last look was so long ago."""
    Heartbeat.objects.update_or_create(
        name=app_logs.HEARTBEAT, defaults={"at": timezone.now() - timedelta(seconds=seconds)}
    )


def record(name: str, resource: Resource, *, seconds_ago: float = 10, **detail: Any) -> int:
    """An event of some time ago."""
    event = audit.event(name, resource=resource, **detail)
    event.at = timezone.now() - timedelta(seconds=seconds_ago)
    event.save()
    return event.pk


def attached(heroku: FakeHeroku, resource: Resource, *urls: str | None) -> None:
    """Let Heroku name these log inputs, once."""
    answer = [{"name": f"INFERENCE_{number}", "log_input_url": url} for number, url in enumerate(urls)]
    heroku.answer_next("GET", f"/addons/{resource.uuid}/addon-attachments", 200, answer)


def log_input(heroku: FakeHeroku, path: str = "/logs") -> str:
    return heroku.url.replace("http://", f"http://token:{TOKEN}@") + path


def frames_of(call: Call) -> list[str]:
    return read_frames(call.body)


def test_what_changes_how_an_app_is_served_stands_in_its_log(resource: Resource, heroku: FakeHeroku) -> None:
    first = record("plan_change.accepted", resource, former="nova-lite", plan="nova-pro")
    second = record("resource.suspended", resource, reason="Unusual\ntraffic.")
    record("config_vars.revealed", resource, names=["INFERENCE_KEY"])  # the dashboard's only
    record("no.words", resource)
    assert app_logs.claim() == {resource.pk: [second, first]}

    attached(heroku, resource, log_input(heroku), None, log_input(heroku, "/other"))
    heroku.answer_next("POST", "/logs", 204)
    heroku.answer_next("POST", "/other", 204)
    assert app_logs.write(resource.pk, [second, first]) == 2
    [call], [other] = heroku.seen("POST", "/logs"), heroku.seen("POST", "/other")
    assert call.body == other.body
    assert call.headers["Content-Type"] == "application/logplex-1"
    assert call.headers["Logplex-Msg-Count"] == "2"
    assert call.headers["Authorization"] == f"Basic {base64.b64encode(f'token:{TOKEN}'.encode()).decode()}"
    changed, suspended = frames_of(call)
    assert re.fullmatch(
        rf"<190>1 \d{{4}}-\d\d-\d\dT[\d:.]+\+00:00 {resource.name} {TOKEN} inference - - "
        r"Plan changed from Amazon Nova Lite to Amazon Nova Pro",
        changed,
    )
    assert suspended.endswith(" - - Suspended: Unusual traffic.")


def test_each_event_is_told_once_when_its_transaction_is_over_and_not_after_long(resource: Resource) -> None:
    record("rotation.succeeded", resource, seconds_ago=61)
    told = record("rotation.succeeded", resource, seconds_ago=20)
    record("rotation.succeeded", resource, seconds_ago=-3600)  # younger than what is looked at
    assert app_logs.claim() == {resource.pk: [told]}
    assert app_logs.claim() == {}
    old = record("rotation.failed", resource, seconds_ago=660)
    look_back(seconds=3600)
    assert old not in app_logs.claim()[resource.pk]


@pytest.mark.parametrize("status", [400, 401, 403, 503])
def test_a_log_that_refuses_holds_up_no_other(resource: Resource, heroku: FakeHeroku, status: int) -> None:
    event = record("rotation.succeeded", resource)
    attached(
        heroku,
        resource,
        log_input(heroku, "/away"),
        "http://no-password.example/logs",
        "ftp://token:t.1@127.0.0.1/logs",
        "http://token:t.1@127.0.0.1:1/logs",
        "http://[",
        log_input(heroku),
    )
    heroku.answer_next("POST", "/away", status)
    heroku.answer_next("POST", "/logs", 204)
    assert app_logs.write(resource.pk, [event]) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(404, {}), (503, {}), (200, {"id": "x"}), (200, [1]), (200, None)]
)
def test_a_heroku_that_does_not_name_the_logs_is_no_error(
    resource: Resource, heroku: FakeHeroku, status: int, body: Any
) -> None:
    event = record("rotation.succeeded", resource)
    heroku.answer_next("GET", f"/addons/{resource.uuid}/addon-attachments", status, body)
    assert app_logs.write(resource.pk, [event]) == 0


def test_a_secret_goes_over_https_only_where_heroku_does(settings: Any) -> None:
    settings.HEROKU_API_URL = "https://api.heroku.com"
    with pytest.raises(ValueError, match="none"):
        app_logs.log_input(f"http://token:{TOKEN}@1.us.logplex.io/logs")
    place = app_logs.log_input(f"https://token:{TOKEN}@1.us.logplex.io/logs")
    assert (place.url, place.user, place.token) == ("https://1.us.logplex.io/logs", "token", TOKEN)
    assert TOKEN not in repr(place)


def test_a_long_line_stays_one_message(resource: Resource) -> None:
    raw = app_logs.frame("ä" * 50_000, at=timezone.now(), token=TOKEN, resource=resource)
    [message] = read_frames(raw)
    assert len(raw) < 10_000
    assert message.endswith("ä")


@pytest.mark.django_db(transaction=True)
def test_of_many_that_look_at_once_one_tells(resource: Resource) -> None:
    event = record("rotation.succeeded", resource)

    def look() -> dict[int, list[int]]:
        try:
            return app_logs.claim()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: look(), range(6)))
    assert [each for each in found if each] == [{resource.pk: [event]}]


def test_each_app_s_lines_are_a_task_of_their_own(
    resource: Resource, heroku: FakeHeroku, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(
        "sso.tasks.write_app_log.apply_async", lambda args, **options: sent.append((args, options))
    )
    event = record("rotation.succeeded", resource)
    write_app_logs()
    assert sent == [((resource.pk, [event]), {"queue": "notices", "expires": 300, "retry": False})]
