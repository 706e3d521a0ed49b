"""Wrong secrets are limited for every process together, and the right one of a machine is always let in."""

import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from pytest_django import Settings

from provisioning import attempts
from provisioning.attempts import Limit
from tests.support.partner import Partner, basic

SOME = Limit("test", 7, 60)


def test_of_many_at_one_instant_exactly_as_many_as_allowed_get_through() -> None:
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.append(attempts.take((SOME, "somebody")))) for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wait == 0 for wait in found) == 7
    assert all(0 < wait <= 60 for wait in found if wait)
    assert attempts.take((SOME, "somebody else")) == 0


def test_the_count_is_shared_across_processes(redis_url: str) -> None:
    for _ in range(5):
        attempts.take((SOME, "shared"))
    code = (
        "import json, django; django.setup()\n"
        "from provisioning import attempts\n"
        f"attempts._NAMESPACE = {attempts._NAMESPACE!r}\n"
        "some = attempts.Limit('test', 7, 60)\n"
        "print(json.dumps([attempts.take((some, 'shared')) for _ in range(4)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [wait == 0 for wait in json.loads(done.stdout.splitlines()[-1])] == [True, True, False, False]


def test_one_subject_beyond_its_limit_leaves_the_others_uncounted() -> None:
    narrow = Limit("narrow", 1, 60)
    assert attempts.take((narrow, "a"), (SOME, "b")) == 0
    for _ in range(20):
        assert attempts.take((narrow, "a"), (SOME, "b")) > 0
    assert [attempts.take((SOME, "b")) == 0 for _ in range(7)] == [True] * 6 + [False]


def test_a_right_attempt_is_given_back() -> None:
    for _ in range(20):
        assert attempts.take((SOME, "right")) == 0
        attempts.give_back((SOME, "right"))


def test_without_redis_each_process_counts_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_away_until", 0.0)
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    assert [attempts.take((SOME, "alone")) == 0 for _ in range(9)] == [True] * 7 + [False] * 2


def test_heroku_is_let_in_however_often_somebody_was_wrong_from_its_address(
    inference: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PARTNER_API", Limit("partner_api", 3, 60))
    wrong = basic("inference", "guessed")
    found = [inference.call("DELETE", "/heroku/resources/x", authorization=wrong) for _ in range(5)]
    assert [answer.status_code for answer in found] == [401, 401, 401, 429, 429]
    assert int(found[-1]["Retry-After"]) >= 1
    assert inference.provisioned().state == "provisioned"


def test_a_right_call_of_heroku_asks_redis_nothing(
    inference: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> float:
        raise AssertionError("asked")

    monkeypatch.setattr(attempts, "take", refuse)
    assert inference.provisioned().state == "provisioned"


def test_wrong_logins_are_limited(inference: Partner, monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    monkeypatch.setattr(attempts, "SSO", Limit("sso", 2, 60))
    found = [
        client.post("/sso/login", {"resource_id": "x", "resource_token": "y", "timestamp": "1"})
        for _ in range(4)
    ]
    assert [answer.status_code for answer in found] == [403, 403, 429, 429]
