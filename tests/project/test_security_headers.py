"""What every page tells the browser, and where people tell us of a vulnerability."""

from datetime import UTC, datetime

from django.test import Client
from pytest_django import Settings


def test_a_page_uses_none_of_the_browser_s_devices(db: None) -> None:
    answer = Client().get("/admin/login/")
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert "unsafe" not in answer["Content-Security-Policy"]


def test_security_txt_names_the_contact_and_is_valid_for_less_than_a_year(settings: Settings) -> None:
    assert Client().get("/.well-known/security.txt").status_code == 404
    settings.SECURITY_CONTACT = "security@example.com"
    answer = Client().get("/.well-known/security.txt")
    told = dict(line.split(": ", 1) for line in answer.content.decode().splitlines())
    assert told["Contact"] == "mailto:security@example.com"
    expires = datetime.strptime(told["Expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert 0 < (expires - datetime.now(UTC)).days < 366
