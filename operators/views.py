"""Signing in: name and password, then the second factor (set up at the first time), and an operator's own account."""

import math
from typing import Any
from urllib.parse import urlencode

import structlog
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from operators import audit
from operators import second_factor as factors
from operators.doors import OperatorRequest, operator_page, render_operator_page
from operators.forms import CodeForm, SignInForm
from operators.models import Account
from operators.roles import Role, roles_of
from operators.sessions import has_shown_factor, is_verified, mark_verified
from provisioning import attempts

log = structlog.get_logger(__name__)


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    fits = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if fits and wanted.startswith("/admin/") else reverse("admin:index")


def _lone(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    response = render(request, template, {"next": _next(request), **context}, status=status)
    patch_cache_control(response, no_store=True, private=True)
    return response


def _step(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse(name)}?{urlencode({'next': _next(request)})}")


@sensitive_post_parameters("password")
@csrf_protect
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Name and password. A session that has them goes on to the second factor."""
    if has_shown_factor(request):
        return _onward(request)
    tried = _sign_in_subjects(request)
    if request.method == "POST":
        wait = attempts.take(*tried)
        if wait:
            return _too_many(request, wait)
    form = SignInForm(request, data=request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        attempts.give_back(*tried)
        login(request, form.get_user())
        return _step(request, "admin:second-factor")
    if form.is_bound:
        log.warning("operators.sign_in_refused", name=str(request.POST.get("username", ""))[:150])
    return _lone(request, "operators/sign_in.html", {"form": form}, status=403 if form.is_bound else 200)


def _sign_in_subjects(request: HttpRequest) -> tuple[attempts.Subject, ...]:
    name, address = request.POST.get("username", "")[:150], request.META.get("REMOTE_ADDR", "")
    return (
        (attempts.SIGN_IN_PAIR, f"{name}\0{address}"),
        (attempts.SIGN_IN_ADDRESS, address),
        (attempts.SIGN_IN_NAME, name),
    )


def _too_many(request: HttpRequest, wait: float) -> HttpResponse:
    """429: nothing was compared, not even what would have been right."""
    log.warning("operators.attempts_limited")
    minutes = math.ceil(wait / 60)
    response = _lone(request, "operators/too_many.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(math.ceil(wait))
    return response


@require_POST
@csrf_protect
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    if request.user.is_authenticated:
        audit.record("session.ended", operator=request.user, request=request)
    logout(request)
    return _lone(request, "operators/signed_out.html", {})


def _onward(request: HttpRequest) -> HttpResponse:
    return (
        HttpResponseRedirect(_next(request)) if is_verified(request) else _step(request, "admin:new-password")
    )


def _half_signed_in(request: HttpRequest) -> User | None:
    user = request.user
    return user if isinstance(user, User) and user.is_active and user.is_staff else None


@sensitive_post_parameters("code")
@csrf_protect
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """The code; for an account that has none yet, its set-up."""
    user = _half_signed_in(request)
    if user is None:
        return _step(request, "admin:login")
    if has_shown_factor(request):
        return _onward(request)
    account = factors.account_of(user)
    if request.method == "POST":
        wait = attempts.take((attempts.CODES, str(user.pk)))
        if wait:
            return _too_many(request, wait)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if account.confirmed_at is None:
        return _set_up(request, user, account, form)
    if request.method == "POST" and form.is_valid():
        how = factors.verify(account, form.cleaned_data["code"])
        if how:
            return _signed_in(request, user, account, how=how)
        form.add_error(
            "code", "This code is not right, was used before, or is too old. Enter the one shown now."
        )
        audit.record("session.second_factor_refused", operator=user, request=request)
    return _lone(
        request, "operators/second_factor.html", {"form": form}, status=403 if form.is_bound else 200
    )


def _set_up(request: HttpRequest, user: User, account: Account, form: CodeForm) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        codes = factors.confirm(account, form.cleaned_data["code"])
        if codes is not None:
            account.refresh_from_db()
            audit.record("second_factor.set_up", operator=user, obj=user, request=request)
            answer = _signed_in(request, user, account, how="totp")
            # Shown by this answer and kept nowhere.
            return _lone(
                request,
                "operators/recovery_codes.html",
                {"codes": "\n".join(codes), "next": answer["Location"]},
            )
        form.add_error(
            "code", "This code is not right. Check the clock of your device, and enter the code shown now."
        )
    secret = factors.pending_secret(account)
    uri = factors.provisioning_uri(secret, username=user.get_username())
    shown = factors.readable_secret(secret)
    context = {"form": form, "secret": shown, "qr": mark_safe(factors.qr_code(uri)), "uri": uri}  # noqa: S308 - our own SVG
    return _lone(
        request, "operators/set_up_second_factor.html", context, status=403 if form.is_bound else 200
    )


def _signed_in(request: HttpRequest, user: User, account: Account, *, how: str) -> HttpResponse:
    attempts.give_back((attempts.CODES, str(user.pk)))
    mark_verified(request, account)
    audit.record("session.started", operator=user, request=request, after={"second_factor": how})
    if how == "recovery":
        left = account.recovery_codes.filter(used_at__isnull=True).count()
        messages.warning(
            request, f"A recovery code was used: {left} are left. Make new ones on your account's page."
        )
    if account.password_is_temporary:
        return _step(request, "admin:new-password")
    return HttpResponseRedirect(_next(request))


@sensitive_post_parameters()
@csrf_protect
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_password(request: HttpRequest) -> HttpResponse:
    """Replace a password that somebody else has set: until then nothing else opens."""
    user = _half_signed_in(request)
    if user is None or not has_shown_factor(request):
        return _step(request, "admin:login")
    form = SetPasswordForm(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            Account.objects.filter(user=user).update(password_is_temporary=False)
            audit.record("password.changed", operator=user, obj=user, request=request)
        update_session_auth_hash(request, user)
        return HttpResponseRedirect(_next(request))
    return _lone(request, "operators/new_password.html", {"form": form}, status=400 if form.is_bound else 200)


@csrf_protect
@operator_page(methods=("POST",))
def recovery_codes(request: OperatorRequest) -> HttpResponse:
    """Make new recovery codes, with a code of the device, and show them this once."""
    account = factors.account_of(request.user)
    wait = attempts.take((attempts.CODES, str(request.user.pk)))
    if wait:
        return _too_many(request, wait)
    if factors.verify(account, request.POST.get("code", "")) != "totp":
        messages.error(request, "That code was not right: the recovery codes are unchanged.")
        return HttpResponseRedirect(reverse("admin:account"))
    attempts.give_back((attempts.CODES, str(request.user.pk)))
    with transaction.atomic():
        codes = factors.new_recovery_codes(account)
        audit.record(
            "second_factor.recovery_codes_made", operator=request.user, obj=request.user, request=request
        )
    return _lone(request, "operators/recovery_codes.html", {"codes": "\n".join(codes)})


@operator_page()
def account(request: OperatorRequest) -> HttpResponse:
    """The operator's own account."""
    known = factors.account_of(request.user)
    return render_operator_page(
        request,
        "operators/account.html",
        {
            "account": known,
            "codes_left": known.recovery_codes.filter(used_at__isnull=True).count(),
            "roles": [role.label for role in Role if role in roles_of(request.user)],
        },
    )
