"""The one admin site: every app registers there, behind password and second factor, in the product's own look."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path

from operators.navigation import page_frame
from operators.roles import roles_of
from operators.sessions import is_verified


class OperatorsSite(AdminSite):
    """Django's admin, for operators who have shown their second factor in this session."""

    site_header = site_title = "Addonworks operators"
    index_title = "Overview"
    index_template = "operators/overview.html"
    enable_nav_sidebar = False
    site_url = None

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """As Django's; accounts are ours alone (`operators.admin`), groups are the fixed roles."""
        models = model_or_iterable if isinstance(model_or_iterable, list | tuple) else [model_or_iterable]
        ours = [
            model
            for model in models
            if model is not Group and not (model is User and admin_class.__module__ != "operators.admin")
        ]
        if ours:
            super().register(ours, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this is an operator with a role, whose second factor this session has seen."""
        return is_verified(request) and bool(roles_of(request.user))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Django's values, and those of our frame."""
        return {**super().each_context(request), **page_frame(request)}

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Django's addresses behind ours: what comes before and beside signing in."""
        from operators import views

        return [
            path("second-factor/", views.second_factor, name="second-factor"),
            path("new-password/", views.new_password, name="new-password"),
            path("account/", views.account, name="account"),
            path("account/recovery-codes/", views.recovery_codes, name="recovery-codes"),
            *super().get_urls(),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Name and password; the second factor follows on a page of its own."""
        from operators import views

        return views.sign_in(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """End the session, and tell."""
        from operators import views

        return views.sign_out(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The overview: what needs a person now."""
        from operators import overview

        return super().index(request, {**overview.context(request), **(extra_context or {})})
