"""Errors reach Sentry when it is set, and no secret does."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import settings as django_settings

PROGRAM = """
import django, structlog
django.setup()
from django.test import Client
from django.urls import path
from addon import urls

def broken(request):
    token = "very-secret-local"
    raise ValueError("Bearer HRKU-0123456789abcdef was refused")

urls.urlpatterns.append(path("broken", broken))
structlog.get_logger("provisioning").error("operation.failed", access_token="HRKU-0123456789abcdef")
client = Client(raise_request_exception=False)
answer = client.post("/broken", {"password": "very-secret-body"}, headers={"authorization": "Bearer very-secret-head"})
assert answer.status_code == 500
"""


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes envelopes as Sentry does, its DSN, and the events it got."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            raw = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
            # An envelope: a line of JSON about it, then for each item a line about the item and the item's line.
            lines = raw.split(b"\n")
            for head, body in zip(lines[1::2], lines[2::2], strict=False):
                if json.loads(head)["type"] == "event":
                    events.append(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://public@127.0.0.1:{server.server_port}/7", events
    server.shutdown()
    server.server_close()
    thread.join()


def test_errors_are_reported_without_secrets(sentry: tuple[str, list[dict[str, Any]]]) -> None:
    dsn, events = sentry
    subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, "SENTRY_DSN": dsn, "HEROKU_SLUG_COMMIT": "0123abc"},
        check=True,
        timeout=300,
    )
    text = json.dumps(events)
    [raised] = [event for event in events if "exception" in event]
    assert raised["exception"]["values"][-1]["type"] == "ValueError"
    assert (raised["environment"], raised["release"]) == ("test", "0123abc")
    assert raised["transaction"] == "/broken"
    assert "operation.failed" in text
    assert "was refused" in text
    for secret in ("HRKU-0123456789abcdef", "very-secret"):
        assert secret not in text
