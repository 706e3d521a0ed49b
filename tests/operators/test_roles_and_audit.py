"""What a role opens, what the navigation shows, and that nothing an operator does goes untold or can be untold."""

import io
import json
from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from operators import audit, navigation
from operators.doors import OperatorRequest, operator_page
from operators.model_admin import AuditedAdmin
from operators.models import Event
from operators.roles import Role, roles_of
from tests.support.operators import make_operator

SignedIn = Callable[..., Client]


def test_every_admin_class_tells_what_it_changes() -> None:
    untold = [
        model.__name__ for model, known in admin.site._registry.items() if not isinstance(known, AuditedAdmin)
    ]
    assert untold == []


def test_the_roles_are_groups(db: None) -> None:
    assert set(Group.objects.values_list("name", flat=True)) >= set(Role.values)


def test_accounts_and_the_audit_are_for_security(signed_in: SignedIn) -> None:
    security = signed_in(Role.SECURITY, username="sam")
    others = signed_in(Role.SUPPORT, Role.OPERATOR, Role.FINANCE)
    for page in ("/admin/auth/user/", "/admin/operators/event/"):
        assert security.get(page).status_code == 200, page
        assert others.get(page).status_code == 403, page
    assert "Operators&#x27; actions" not in others.get("/admin/").content.decode()


def test_an_account_without_a_role_opens_nothing(signed_in: SignedIn) -> None:
    client = signed_in()
    assert client.get("/admin/provisioning/resource/").status_code == 302


def _guarded(*roles: Role) -> Callable[..., HttpResponse]:
    @operator_page(*roles, methods=("POST",))
    def view(request: OperatorRequest) -> HttpResponse:
        return HttpResponse(",".join(sorted(request.roles)))

    return view


def _request(client: Client, user: User, method: str = "post") -> HttpRequest:
    request: HttpRequest = getattr(RequestFactory(), method)("/admin/something/")
    request.session = client.session
    request.user = user
    return request


def test_the_guard_lets_in_who_has_one_of_the_roles(db: None) -> None:
    from tests.support.operators import sign_in

    user = make_operator(Role.FINANCE, Role.SUPPORT)
    client = sign_in(user)
    assert _guarded(Role.FINANCE, Role.SECURITY)(_request(client, user)).content == b"finance,support"
    assert _guarded()(_request(client, user)).status_code == 200
    refused = _guarded(Role.SECURITY)(_request(client, user))
    assert refused.status_code == 403
    assert "the role Security" in refused.content.decode()
    wrong = _guarded(Role.FINANCE)(_request(client, user, "get"))
    assert (wrong.status_code, wrong["Allow"]) == (405, "POST")
    assert "no-store" in _guarded()(_request(client, user))["Cache-Control"]
    assert _guarded(Role.FINANCE)(_request(Client(), user)).status_code == 302


def test_an_app_adds_its_page_to_the_navigation(signed_in: SignedIn) -> None:
    navigation.register(
        "Money", "Revenue test", icon="receipt", url_name="admin:account", roles=(Role.FINANCE,)
    )
    try:
        assert "Revenue test" in signed_in(Role.FINANCE).get("/admin/").content.decode()
        assert "Revenue test" not in signed_in(Role.SUPPORT, username="sue").get("/admin/").content.decode()
    finally:
        navigation._items.pop("admin:account")


def test_the_audit_can_only_grow(db: None) -> None:
    audit.record("test.done", operator="test", reason="because")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for statement in (
        "UPDATE operators_event SET reason = 'other'",
        "DELETE FROM operators_event",
        "TRUNCATE operators_event",
        "TRUNCATE provisioning_auditevent",
    ):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert Event.objects.get(action="test.done").reason == "because"


def test_the_audit_keeps_no_secret(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    told = audit.record(
        "test.done",
        operator=user,
        obj=user,
        reason="they sent Bearer abcdefgh12345678",
        after={"password": "hunter2 hunter2", "note": "postgres://u:p4ssw0rd@db/x"},
    )
    text = json.dumps([told.reason, told.after])
    assert "hunter2" not in text
    assert "abcdefgh12345678" not in text
    assert "p4ssw0rd" not in text


def test_security_makes_an_account_with_a_role(signed_in: SignedIn) -> None:
    client = signed_in(Role.SECURITY, username="sam")
    group = Group.objects.get(name="finance")
    answer = client.post(
        "/admin/auth/user/add/",
        {"username": "fay", "email": "fay@example.com", "groups": [group.pk], "is_active": "on"},
        follow=True,
    )
    assert "signs in with the password" in answer.content.decode()
    made = User.objects.get(username="fay")
    assert made.is_staff
    assert roles_of(made) == {Role.FINANCE}
    told = Event.objects.get(action="operator.roles_changed")
    assert (told.name, told.after) == ("sam", {"roles": ["finance"]})
    assert told.object_id == str(made.pk)


def test_a_change_of_an_account_is_told_with_what_changed(signed_in: SignedIn) -> None:
    client = signed_in(Role.SECURITY, username="sam")
    user = make_operator(Role.SUPPORT)
    client.post(
        f"/admin/auth/user/{user.pk}/change/",
        {
            "username": "olga",
            "email": "new@example.com",
            "groups": [Group.objects.get(name="support").pk],
            "is_active": "on",
        },
    )
    told = Event.objects.get(action="user.changed")
    assert told.before == {"email": "olga@example.com"}
    assert told.after == {"email": "new@example.com"}


def test_only_a_superuser_changes_a_superuser(signed_in: SignedIn) -> None:
    root = make_operator(username="root", superuser=True)
    client = signed_in(Role.SECURITY, username="sam")
    former = root.password
    client.post(
        f"/admin/auth/user/{root.pk}/change/",
        {"username": "root", "email": "", "groups": [], "is_active": "on"},
    )
    client.post("/admin/auth/user/", {"action": "reset_passwords", "_selected_action": [root.pk]})
    root.refresh_from_db()
    assert root.password == former
    assert root.email == "root@example.com"
    assert not Event.objects.filter(action="operator.password_reset").exists()


def test_security_cannot_make_a_superuser(signed_in: SignedIn) -> None:
    client = signed_in(Role.SECURITY, username="sam")
    group = Group.objects.get(name="support")
    client.post(
        "/admin/auth/user/add/",
        {
            "username": "eve",
            "email": "e@example.com",
            "groups": [group.pk],
            "is_active": "on",
            "is_superuser": "on",
            "user_permissions": ["1"],
            "password": "x",
        },
    )
    assert not User.objects.get(username="eve").is_superuser


def test_the_first_operator_is_made_by_a_command(db: None) -> None:
    out = io.StringIO()
    call_command("create_operator", "first", "--dry-run", "--json", stdout=out)
    assert json.loads(out.getvalue())["dry_run"] is True
    assert not User.objects.filter(username="first").exists()
    out = io.StringIO()
    call_command(
        "create_operator", "first", "--email", "f@example.com", "--role", "security", "--json", stdout=out
    )
    told = json.loads(out.getvalue())
    user = User.objects.get(username="first")
    assert user.check_password(told["password"])
    assert roles_of(user) == {Role.SECURITY}
    with pytest.raises(CommandError, match="already"):
        call_command("create_operator", "first")
