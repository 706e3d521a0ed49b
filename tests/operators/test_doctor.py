"""The doctor finds what is wrong and says what to do."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from operators.models import Account
from operators.roles import Role
from provisioning.models import Heartbeat, Operation, Plan
from tests.support.heroku import FakeHeroku
from tests.support.operators import make_operator
from tests.support.partner import Partner


def examined() -> tuple[dict[str, str], int]:
    """The worst state of each check, and the exit code."""
    out, code = io.StringIO(), 0
    try:
        call_command("doctor", "--json", stdout=out)
    except CommandError as error:
        code = error.returncode
    order = ("ok", "warning", "bad")
    states: dict[str, str] = {}
    for each in json.loads(out.getvalue()):
        states[each["check"]] = max(states.get(each["check"], "ok"), each["state"], key=order.index)
        assert each["state"] == "ok" or each["advice"] or each["check"] == "settings", each
    return states, code


@pytest.fixture
def well(plans: None, heroku: FakeHeroku) -> None:
    """A provider of which everything works."""
    Heartbeat.objects.create(name="sweep", at=timezone.now())
    make_operator(Role.OPERATOR)


def test_a_healthy_provider_is_told_to_be_so(well: None) -> None:
    states, _ = examined()
    # The tests' own settings are not fit for production, and the doctor says so.
    assert {name: state for name, state in states.items() if name != "settings"} == dict.fromkeys(
        (
            "database",
            "migrations",
            "redis",
            "sweeper",
            "operations",
            "catalogue",
            "sealing",
            "heroku",
            "operators",
        ),
        "ok",
    )


def test_each_thing_that_is_wrong_is_found(well: None, settings: Settings) -> None:
    Partner("kafkacluster").provisioned()
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=16))
    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=5))
    Plan.objects.filter(service="inference", slug="nova-lite").update(withdrawn_at=timezone.now())
    Account.objects.update(totp_secret=b"\x01" + bytes(40))
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    settings.HEROKU_API_URL = "http://127.0.0.1:9"
    states, code = examined()
    for name, state in {
        "operations": "warning",
        "sweeper": "bad",
        "catalogue": "bad",
        "sealing": "bad",
        "redis": "bad",
        "heroku": "bad",
    }.items():
        assert states[name] == state, name
    assert code == 2


def test_a_check_that_breaks_is_told_and_the_others_go_on(
    well: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from operators import doctor

    def broken() -> Any:
        raise RuntimeError("planted")

    monkeypatch.setitem(doctor._checks, "heroku", broken)
    states, _ = examined()
    assert states["heroku"] == "bad"
    assert states["operators"] == "ok"
