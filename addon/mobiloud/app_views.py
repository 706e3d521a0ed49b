"""The addresses that apps load their configuration from; no session, no cookie."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from addon.mobiloud.app_config import (
    FRESH_SECONDS,
    AppAnswer,
    admitted,
    preview_configuration,
    published_configuration,
)
from addon.mobiloud.client_address import client_address


@csrf_exempt
def app_config(request: HttpRequest, token: str) -> HttpResponse:
    """What the published app is told."""
    return _answer(request, token, published_configuration, caching=f"public, max-age={FRESH_SECONDS}")


@csrf_exempt
def preview_config(request: HttpRequest, token: str) -> HttpResponse:
    """What a preview of the app is told: what was saved last."""
    return _answer(request, token, preview_configuration, caching="private, no-cache")


def _answer(
    request: HttpRequest, token: str, find: Callable[[str], AppAnswer], *, caching: str
) -> HttpResponse:
    if request.method not in ("GET", "HEAD"):
        return _headers(
            JsonResponse(_error("method_not_allowed", "Only GET is answered here."), status=405), Allow="GET"
        )
    if wait := admitted(token, client_address(request)):
        busy = _error("too_many_requests", f"Too many requests. Try again in {wait} seconds.")
        return _headers(
            JsonResponse(busy, status=429), **{"Retry-After": str(wait), "Cache-Control": "no-store"}
        )
    found = find(token)
    if found.etag and found.etag in request.headers.get("If-None-Match", "").replace("W/", ""):
        answer = HttpResponse(status=304)
    else:
        answer = JsonResponse(found.body, status=found.status)
    if found.etag:
        return _headers(answer, ETag=found.etag, **{"Cache-Control": caching})
    # What an app shows instead of the site ends as soon as its reason does.
    return _headers(answer, **{"Cache-Control": "no-store"})


def _error(code: str, message: str) -> dict[str, object]:
    return {"active": False, "error": {"id": code, "title": "Not now", "message": message}}


def _headers(answer: HttpResponse, **values: str) -> HttpResponse:
    # A shell's web view asks from an origin of its own; there is nothing here that a cookie would open.
    for name, value in {
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
        **values,
    }.items():
        answer[name] = value
    return answer
