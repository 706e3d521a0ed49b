"""Correlation ids, the content security policy, error answers, and log lines."""

import io
import json
import logging
import re
import subprocess
import sys
from typing import Any

import pytest
import structlog
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from structlog.contextvars import bind_contextvars, get_contextvars

from addon.middleware import ContentSecurityPolicyMiddleware, CorrelationMiddleware
from tests.support.partner import loaded_handler


def get(path: str, **headers: str) -> Any:
    """One request."""
    client = Client(raise_request_exception=False)
    client.handler = loaded_handler()
    return client.get(path, headers=headers)


@pytest.mark.parametrize("given", ["0a1b2c3d-4e5f", "x" * 80, "a.b:c_d-e1"])
def test_an_id_from_outside_is_kept(given: str) -> None:
    assert get("/healthz", **{"X-Request-Id": given})["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "short", "x" * 81, "with space in it", "<script>alert", "nö-nö-nö-nö"])
def test_an_id_that_does_not_fit_is_replaced(given: str) -> None:
    answer = get("/healthz", **{"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer["X-Request-Id"])


def test_each_request_has_an_id_of_its_own_which_is_gone_afterwards() -> None:
    assert get("/healthz")["X-Request-Id"] != get("/healthz")["X-Request-Id"]
    assert "correlation_id" not in get_contextvars()


def test_nothing_of_a_former_request_is_in_the_next_one_s_log_lines() -> None:
    seen: list[dict[str, Any]] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(dict(get_contextvars()))
        return HttpResponse()

    bind_contextvars(left="over")
    CorrelationMiddleware(view)(RequestFactory().get("/"))
    assert list(seen[0]) == ["correlation_id"]


def test_a_page_may_run_its_own_scripts_only() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.csp_nonce)  # type: ignore[attr-defined]

    middleware = ContentSecurityPolicyMiddleware(view)
    first, second = middleware(RequestFactory().get("/")), middleware(RequestFactory().get("/"))
    policy = dict(part.strip().split(" ", 1) for part in first["Content-Security-Policy"].split(";"))
    nonce = f"'nonce-{first.content.decode()}'"
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'self' {nonce}"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in first["Content-Security-Policy"]
    assert first.content != second.content


def test_an_answer_for_machines_has_no_page_policy() -> None:
    assert "Content-Security-Policy" not in get("/healthz")


@pytest.mark.parametrize("path", ["/heroku/nothing", "/v1/nothing"])
def test_an_unknown_address_under_the_apis_is_answered_in_json(path: str) -> None:
    answer = get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"id", "message"}


def test_an_unknown_address_elsewhere_is_a_page() -> None:
    answer = get("/nothing-here")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
    assert "Nothing here" in answer.content.decode()
    assert answer["Content-Security-Policy"]


def test_no_answer_is_framed_or_sniffed() -> None:
    answer = get("/nothing-here")
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    """The log lines as objects."""
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_log_line_is_json_with_a_static_event_and_the_bound_ids(written: io.StringIO) -> None:
    bind_contextvars(correlation_id="abc")
    structlog.get_logger("some.module").info("thing.happened", resource="r-1", number=3)
    structlog.contextvars.clear_contextvars()
    [line] = lines(written)
    assert line["timestamp"].endswith("Z")
    assert {
        name: line[name] for name in ("event", "resource", "number", "correlation_id", "level", "logger")
    } == {
        "event": "thing.happened",
        "resource": "r-1",
        "number": 3,
        "correlation_id": "abc",
        "level": "info",
        "logger": "some.module",
    }


def test_lines_of_libraries_pass_the_same_mask(written: io.StringIO) -> None:
    logging.getLogger("library").warning("calling with Bearer %s", "abcdefgh12345678")
    logging.getLogger("library").warning("extra", extra={"password": "planted-1"})
    structlog.get_logger("ours").info("x", access_token="planted-2", nested={"client_secret": "planted-3"})
    try:
        raise ValueError("redis://:planted-4@host/0")
    except ValueError:
        logging.getLogger("library").exception("failed")
    text = written.getvalue()
    assert len(lines(written)) == 4
    assert "abcdefgh12345678" not in text
    assert "planted" not in text
    assert "ValueError" in text


ENVIRONMENT = "import addon.settings as s; print(s.BASE_URL)"


def start(**changes: str | None) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of its own, with a changed environment."""
    import os

    environment = {**os.environ, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", ENVIRONMENT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "SEALING_KEYS", "PEPPERS", "DATABASE_URL", "INFERENCE_PASSWORDS"]
)
def test_a_missing_secret_stops_the_start_and_is_named(name: str) -> None:
    ended = start(**{name: None})
    assert ended.returncode != 0
    assert (
        name.lower() in ended.stderr.lower()
        or name.lower().removeprefix("inference_") in ended.stderr.lower()
    )


def test_an_unfit_value_stops_the_start_without_showing_values() -> None:
    ended = start(OPERATION_LEASE_SECONDS="planted-value")
    assert ended.returncode != 0
    assert "operation_lease_seconds" in ended.stderr
    assert "planted-value" not in ended.stderr


def test_the_settings_are_read() -> None:
    ended = start(BASE_URL="https://addons.example.org/")
    assert (ended.returncode, ended.stdout.strip()) == (0, "https://addons.example.org")
