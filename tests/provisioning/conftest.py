"""What the tests of the ground floor share."""

import io
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import structlog
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django import Settings

from provisioning import access, heroku_http, wakeups
from provisioning.models import Resource
from provisioning.services import all_services
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, run_operations


@pytest.fixture
def plans(db: None) -> None:
    """The catalogue in Postgres, where it is from the beginning."""


@pytest.fixture
def inference(plans: None) -> Partner:
    """Heroku calling about the service that provisions in the request."""
    return Partner("inference")


@pytest.fixture
def kafka(plans: None) -> Partner:
    """Heroku calling about the service that provisions afterwards."""
    return Partner("kafkacluster")


@pytest.fixture
def mobiloud(plans: None) -> Partner:
    """Heroku calling about the service that issues no credentials."""
    return Partner("mobiloud")


@pytest.fixture(params=["inference", "kafkacluster", "mobiloud"])
def partner(request: pytest.FixtureRequest, plans: None) -> Partner:
    """Each service in turn."""
    return Partner(request.param)


class RecordedWakeups:
    """Stands in for the sender of wake-ups: keeps what would have been sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, str, float | None]] = []

    def send(self, task: str, row: int, queue_name: str, countdown: float | None) -> None:
        """Keep it."""
        self.sent.append((task, row, queue_name, countdown))

    def flush(self, *, seconds: float) -> None:
        """Nothing is on its way."""

    def rows(self, task: str) -> list[int]:
        """The rows that this task was sent for, in order."""
        return [row for name, row, _, _ in self.sent if name == task]


@pytest.fixture(autouse=True)
def woken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RecordedWakeups:
    """Every wake-up of the test. No worker runs here; with `real_wakeups` they are sent for real."""
    recorded = RecordedWakeups()
    if "real_wakeups" not in request.fixturenames:
        monkeypatch.setattr(wakeups, "_sender", recorded)
    return recorded


@pytest.fixture
def real_wakeups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send wake-ups to the broker, from a thread that only this test uses."""
    monkeypatch.setattr(wakeups, "_sender", wakeups._Sender())


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the process writes as its log, in the form it writes it, from DEBUG on."""
    root = logging.getLogger()
    formatter = next(
        handler.formatter
        for handler in root.handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    )
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    former = root.level
    root.addHandler(handler)
    root.setLevel("DEBUG")
    yield stream
    root.setLevel(former)
    root.removeHandler(handler)


@pytest.fixture(scope="session")
def heroku_server() -> Iterator[FakeHeroku]:
    """One scripted Heroku for the worker."""
    server = FakeHeroku()
    yield server
    heroku_http.session.close()
    server.stop()


@pytest.fixture
def heroku(heroku_server: FakeHeroku, settings: Settings) -> FakeHeroku:
    """The scripted Heroku, empty, and our settings pointing at it."""
    heroku_server.reset()
    settings.HEROKU_API_URL = settings.HEROKU_ID_URL = heroku_server.url
    return heroku_server


@pytest.fixture
def ready(heroku: FakeHeroku, plans: None) -> Callable[..., Resource]:
    """Make a resource of a service that is provisioned on both sides, with tokens."""

    def make(slug: str, **fields: Any) -> Resource:
        resource = Partner(slug).provisioned(**fields)
        state = "provisioned" if resource.state == "provisioned" else "provisioning"
        assert resource.plan
        heroku.know(resource.uuid, plan=f"{slug}:{resource.plan.slug}", state=state)
        access.exchange_grant(resource.access.pk)
        run_operations(resource)
        resource = Resource.objects.get(pk=resource.pk)
        assert resource.state == "provisioned"
        service = all_services()[slug]
        heroku.config[str(resource.uuid)] = service.config_vars(resource)
        return resource

    return make


@pytest.fixture
def hanging_server() -> Iterator[int]:
    """The port of a server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Set the time that our own code reads; the database keeps its own."""

    def set_to(moment: Any) -> None:
        monkeypatch.setattr(timezone, "now", lambda: moment)

    return set_to


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt to reach something else than Postgres from this thread on."""
    reached: list[object] = []
    postgres = int(str(django_settings.DATABASES["default"]["PORT"]))
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if not (isinstance(address, tuple) and address[1] == postgres):
            reached.append(address)
        original(self, address)

    def send(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        reached.append(request.url)
        raise requests.ConnectionError("planted")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(requests.Session, "send", send)
    return reached
