"""What every page tells the browser, and where people tell us of a vulnerability."""

from django.test import Client


def test_a_page_uses_none_of_the_browser_s_devices(db: None) -> None:
    answer = Client().get("/admin/login/")
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert "unsafe" not in answer["Content-Security-Policy"]
