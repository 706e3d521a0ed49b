"""Who may open an operator's page: the decorator of every view under `/admin/` that is not the admin site's own."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control

from operators.navigation import page_frame
from operators.roles import Role, roles_of
from operators.sessions import is_verified

if TYPE_CHECKING:
    from django.contrib.auth.models import User

View = Callable[..., HttpResponse]


class OperatorRequest(HttpRequest):
    """A request of a signed-in operator who has shown the second factor."""

    user: "User"
    roles: frozenset[Role]


def operator_page(*roles: Role, methods: tuple[str, ...] = ("GET",)) -> Callable[[View], View]:
    """Let a view answer only for operators with one of `roles` (none named: any role), as `request.roles`.

    Who has not signed in, or not shown the second factor, is led there and back; who lacks the role gets 403; other
    methods than `methods` (HEAD goes with GET) get 405. Answers are never cached.
    """
    allowed = frozenset(roles) or frozenset(Role)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = _answer(view, request, allowed, methods, *args, **kwargs)
            patch_cache_control(response, no_store=True, private=True)
            return response

        return guarded

    return decorate


def _answer(
    view: View,
    request: HttpRequest,
    allowed: frozenset[Role],
    methods: tuple[str, ...],
    *args: Any,
    **kwargs: Any,
) -> HttpResponse:
    if not is_verified(request):
        return refuse_without_session(request)
    held = roles_of(request.user)
    if not held & allowed:
        return forbid(request, needed=allowed)
    if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
        return refuse(
            request,
            status=405,
            code="method_not_allowed",
            title="Nothing to see here",
            text="This address belongs to a button.",
            headers={"Allow": ", ".join(methods)},
        )
    known: OperatorRequest = request  # type: ignore[assignment]
    known.roles = held
    return view(known, *args, **kwargs)


def refuse_without_session(request: HttpRequest) -> HttpResponse:
    """Lead to the sign-in and back; a script gets 401."""
    if _wants_json(request):
        return JsonResponse({"id": "session_needed", "message": "Sign in again."}, status=401)
    back = request.get_full_path() if request.method in ("GET", "HEAD") else reverse("admin:index")
    return HttpResponseRedirect(f"{reverse('admin:login')}?{urlencode({'next': back})}")


def forbid(request: HttpRequest, *, needed: frozenset[Role]) -> HttpResponse:
    """403 that names the roles."""
    names = " or ".join(role.label for role in Role if role in needed)
    return refuse(
        request,
        status=403,
        code="role_needed",
        title="Your role does not open this page",
        text=f"It is for the role {names}. Who has the role Security can give it to you.",
    )


def refuse(
    request: HttpRequest,
    *,
    status: int,
    code: str,
    title: str,
    text: str,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """A page inside the operators' frame, or JSON for a script, that says why not."""
    response: HttpResponse
    if _wants_json(request):
        response = JsonResponse({"id": code, "message": text}, status=status)
    else:
        response = render_operator_page(
            request, "operators/refused.html", {"title": title, "text": text}, status=status
        )
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def render_operator_page(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """Render a page that extends `operators/page.html`."""
    return render(request, template, {**page_frame(request), **(context or {})}, status=status)


def _wants_json(request: HttpRequest) -> bool:
    accept = request.headers.get("Accept", "")
    return "application/json" in accept and "text/html" not in accept
