"""What is answered where no view answers: JSON under the APIs, a page elsewhere."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from sso.doors import wants_json

_API_PATHS = ("/heroku/", "/v1/", "/dashboard/", "/healthz", "/readyz", "/metrics")


def _answer(request: HttpRequest, *, status: int, code: str, title: str, text: str) -> HttpResponse:
    if request.path.startswith(_API_PATHS) or wants_json(request):
        return JsonResponse({"id": code, "message": text}, status=status)
    return render(request, "error.html", {"title": title, "text": text, "status": status}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, or 413 for what is too large to be read at all."""
    if isinstance(exception, RequestDataTooBig):
        return _answer(
            request,
            status=413,
            code="too_large",
            title="That is too large",
            text="More was sent than can be taken at once. Nothing was changed.",
        )
    return _answer(
        request,
        status=400,
        code="bad_request",
        title="That did not work",
        text="The request could not be understood.",
    )


def forbidden(request: HttpRequest, exception: Exception | None = None, reason: str = "") -> HttpResponse:
    """403, also for a failed CSRF check."""
    return _answer(
        request,
        status=403,
        code="forbidden",
        title="Please open this page again",
        text="This page has expired or is not yours. Open the add-on again from your Heroku dashboard.",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _answer(
        request, status=404, code="not_found", title="Nothing here", text="There is no page at this address."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """500; never shows what went wrong."""
    return _answer(
        request,
        status=500,
        code="internal_error",
        title="Something went wrong on our side",
        text="Please try again in a minute. If it stays like this, tell us the request id below.",
    )
