"""Where to tell us about a vulnerability (RFC 9116)."""

from datetime import timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

GOOD_FOR = timedelta(days=90)


def security_txt(request: HttpRequest) -> HttpResponse:
    """`/.well-known/security.txt`, valid for three months from now; 404 while `SECURITY_CONTACT` is not set."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    contact = settings.SECURITY_CONTACT
    address = f"mailto:{contact}" if "@" in contact and ":" not in contact else contact
    lines = (
        f"Contact: {address}",
        f"Expires: {timezone.now() + GOOD_FOR:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {settings.BASE_URL}/.well-known/security.txt",
    )
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
