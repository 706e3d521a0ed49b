"""What every request passes: a correlation id for its log lines, and a content security policy for its page."""

import re
import secrets
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, clear_contextvars

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._:-]{8,80}$")
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)

_DEVICES = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"


class CorrelationMiddleware:
    """Takes Heroku's `X-Request-Id`, or makes one, and gives it to every log line, audit event and the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Django's way to hand over what comes next."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Bind the id for the length of the request."""
        given = request.headers.get("X-Request-Id", "")
        correlation_id = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
        clear_contextvars()
        bind_contextvars(correlation_id=correlation_id)
        request.correlation_id = correlation_id  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
        finally:
            clear_contextvars()
        response["X-Request-Id"] = correlation_id
        return response


class ContentSecurityPolicyMiddleware:
    """Allows a page its own scripts and styles, and those with the request's nonce; nothing else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Django's way to hand over what comes next."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the header, unless the view has set its own policy.

        A view whose page frames other sites sets `frame_sources` of its response: checked origins, and no more.
        """
        request.csp_nonce = secrets.token_urlsafe(16)  # type: ignore[attr-defined]
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            policy = _POLICY.format(nonce=request.csp_nonce)  # type: ignore[attr-defined]
            if sources := getattr(response, "frame_sources", ()):
                policy += f"; frame-src {' '.join(sources)}"
            response.setdefault("Content-Security-Policy", policy)
            response.setdefault("Permissions-Policy", _DEVICES)
        return response


def page_context(request: HttpRequest) -> dict[str, str]:
    """Template context: `csp_nonce` for `<script nonce>`, `request_id` for people who ask us what went wrong."""
    return {
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "request_id": getattr(request, "correlation_id", ""),
    }
