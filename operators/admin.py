"""Operators' accounts and what operators did, for the role Security."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse

from operators import accounts, ground_admin  # noqa: F401 - registers the ground floor
from operators.model_admin import AuditedAdmin, ReadOnlyAdmin
from operators.models import Event
from operators.roles import Role, roles_of


@admin.register(User)
class OperatorAdmin(AuditedAdmin):
    """Accounts: who has which role. Passwords are never typed here: they are made, and changed at the first sign-in."""

    list_display = ("username", "email", "held_roles", "is_active", "second_factor", "last_login")
    list_filter = ("groups", "is_active")
    search_fields = ("username", "email")
    fields = ("username", "email", "first_name", "last_name", "groups", "is_active")
    readonly_fields = ("last_login",)
    filter_horizontal = ()
    actions = ("reset_passwords", "reset_second_factors")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Operators only."""
        found = super().get_queryset(request).filter(is_staff=True)
        return found.select_related("operator").prefetch_related("groups")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """The four roles as boxes to tick."""
        from django.forms import CheckboxSelectMultiple

        field = super().formfield_for_manytomany(
            db_field, request, **{**options, "widget": CheckboxSelectMultiple}
        )
        if field is not None and db_field.name == "groups":
            field.label, field.required = "Roles", True
            field.queryset = Group.objects.filter(name__in=Role.values)
            field.help_text = ""
        return field

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes a superuser but a superuser."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: the audit names the account. Make it inactive instead."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A new account gets a temporary password, which is shown this once."""
        if not change:
            obj.is_staff = True
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if not change:
            password = accounts.reset_password(obj, by=request.user)  # type: ignore[arg-type]
            _show_password(self, request, obj, password)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Tell of a change of roles, which stands in a table of its own."""
        before = sorted(roles_of(User.objects.get(pk=form.instance.pk))) if change else []
        super().save_related(request, form, formsets, change)
        after = sorted(group.name for group in form.cleaned_data["groups"])
        if before != after:
            from operators import audit

            audit.record(
                "operator.roles_changed",
                operator=request.user,
                obj=form.instance,
                before={"roles": before},
                after={"roles": after},
                request=request,
            )

    @admin.display(description="roles")
    def held_roles(self, user: User) -> str:
        """Their names."""
        if user.is_superuser:
            return "Superuser"
        return ", ".join(Role(group.name).label for group in user.groups.all() if group.name in Role.values)

    @admin.display(description="second factor", boolean=True)
    def second_factor(self, user: User) -> bool:
        """Whether it is set up."""
        account = getattr(user, "operator", None)
        return bool(account and account.confirmed_at)

    @admin.action(description="Give a new temporary password", permissions=["change"])
    def reset_passwords(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """For each; their sessions end."""
        for user in self._changeable(request, queryset):
            _show_password(self, request, user, accounts.reset_password(user, by=request.user))  # type: ignore[arg-type]
        return None

    @admin.action(description="Take the second factor away (lost device)", permissions=["change"])
    def reset_second_factors(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """For each; a new one is set up at the next sign-in."""
        for user in self._changeable(request, queryset):
            accounts.reset_second_factor(user, by=request.user)  # type: ignore[arg-type]
            self.message_user(request, f"{user}: sets up a new second factor at the next sign-in.")
        return None

    def _changeable(self, request: HttpRequest, queryset: Any) -> list[User]:
        found = []
        for user in queryset:
            if self.has_change_permission(request, user):
                found.append(user)
            else:
                self.message_user(
                    request, f"{user} is a superuser: only a superuser may do that.", messages.ERROR
                )
        return found


def _show_password(model_admin: OperatorAdmin, request: HttpRequest, user: User, password: str) -> None:
    model_admin.message_user(
        request,
        f"{user} signs in with the password {password} and has to change it then. It is not shown again.",
        messages.WARNING,
    )


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Every operator's action. Append-only."""

    list_display = ("at", "name", "action", "object_type", "object_id", "resource", "reason")
    search_fields = ("name", "=object_id", "=correlation_id")
    list_select_related = ("resource",)
    date_hierarchy = None
