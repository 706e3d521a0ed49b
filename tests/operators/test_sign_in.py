"""Signing in as an operator: a password, then a code; neither alone opens anything."""

import re
import threading
import time

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from pytest_django import Settings

from operators import accounts, second_factor
from operators.models import Account, Event
from operators.roles import Role
from tests.support.operators import PASSWORD, code_of, make_operator, sign_in

PAGES = ("/admin/", "/admin/account/", "/admin/provisioning/resource/", "/admin/password_change/")


def test_nothing_opens_without_a_session(db: None) -> None:
    for page in PAGES:
        answer = Client().get(page)
        assert answer.status_code == 302, page
        assert answer["Location"].startswith("/admin/login/?next="), page


def test_a_password_alone_opens_nothing(db: None) -> None:
    make_operator(Role.OPERATOR)
    client = Client()
    answer = client.post("/admin/login/", {"username": "olga", "password": PASSWORD})
    assert answer["Location"].startswith("/admin/second-factor/")
    for page in PAGES:
        assert client.get(page).status_code == 302, page


def test_password_and_code_open_the_page_that_was_asked_for(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    client = Client()
    asked = "/admin/provisioning/resource/?q=example"
    to_sign_in = client.get(asked)["Location"]
    answer = client.post(to_sign_in, {"username": "olga", "password": PASSWORD})
    answer = client.post(answer["Location"], {"code": code_of(user)})
    assert answer["Location"] == asked
    assert client.get(asked).status_code == 200
    assert Event.objects.filter(action="session.started", name="olga").count() == 1


def test_another_site_is_never_where_a_sign_in_leads(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    client = Client()
    client.post(
        "/admin/login/", {"username": "olga", "password": PASSWORD, "next": "https://evil.example/admin/"}
    )
    answer = client.post("/admin/second-factor/?next=//evil.example/admin/", {"code": code_of(user)})
    assert answer["Location"] == "/admin/"


@pytest.mark.parametrize("what", ["password", "no operator", "inactive", "unknown"])
def test_every_refusal_of_a_password_reads_the_same(db: None, what: str) -> None:
    user = make_operator(Role.OPERATOR)
    User.objects.filter(pk=user.pk).update(is_staff=what != "no operator", is_active=what != "inactive")
    answer = Client().post(
        "/admin/login/",
        {
            "username": "nobody" if what == "unknown" else "olga",
            "password": "wrong" if what == "password" else PASSWORD,
        },
    )
    assert answer.status_code == 403
    assert "Name and password do not belong together" in answer.content.decode()


def test_a_code_works_once(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    code = code_of(user)
    account = Account.objects.get(user=user)
    assert second_factor.verify(account, code) == "totp"
    assert second_factor.verify(account, code) is None


def test_a_code_of_a_clock_that_is_one_step_off_is_right_and_two_steps_are_not(db: None) -> None:
    import base64

    user = make_operator(Role.OPERATOR)
    account = Account.objects.get(user=user)
    secret = base64.b32decode(account.get_sealed("totp_secret") or "")
    step = 30 * (int(time.time()) // 30)
    for aside, right in ((-90, None), (90, None), (-30, "totp"), (30, "totp")):
        account.refresh_from_db()
        assert second_factor.verify(account, second_factor.current_code(secret, at=step + aside)) == right, (
            aside
        )


@pytest.mark.django_db(transaction=True)
def test_of_ten_uses_of_one_code_at_the_same_instant_one_succeeds() -> None:
    user = make_operator(Role.OPERATOR)
    code, account, found = code_of(user), Account.objects.get(user=user), []

    def use() -> None:
        found.append(second_factor.verify(account, code))
        connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["None"] * 9 + ["totp"]


def test_the_first_sign_in_sets_up_the_factor_and_replaces_the_password(db: None) -> None:
    made = accounts.create_operator("ines", email="ines@example.com", roles=[Role.SUPPORT], by="test")
    client = Client()
    client.post("/admin/login/", {"username": "ines", "password": made.password})
    page = client.get("/admin/second-factor/").content.decode()
    assert "<svg" in page
    assert "//api.qrserver" not in page
    account = Account.objects.get(user=made.user)
    wrong = client.post("/admin/second-factor/", {"code": "000000"})
    assert wrong.status_code == 403
    account.refresh_from_db()
    assert account.confirmed_at is None
    shown = client.post("/admin/second-factor/", {"code": code_of(made.user)}).content.decode()
    codes = re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}-[a-z2-9]{5}\b", shown)
    assert len(set(codes)) == 10
    # With the password that somebody else has made, nothing else opens.
    assert client.get("/admin/").status_code == 302
    refused = client.post("/admin/new-password/", {"new_password1": "short", "new_password2": "short"})
    assert refused.status_code == 400
    chosen = {"new_password1": "horse battery staple 9", "new_password2": "horse battery staple 9"}
    assert client.post("/admin/new-password/", chosen)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_a_recovery_code_stands_in_once(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    account = Account.objects.get(user=user)
    codes = second_factor.new_recovery_codes(account)
    assert second_factor.verify(account, codes[3].upper()) == "recovery"
    assert second_factor.verify(account, codes[3]) is None
    assert second_factor.verify(account, codes[4].replace("-", " ")) == "recovery"
    stored = account.recovery_codes.values_list("digest", flat=True)
    assert not any(code in digest for code in codes for digest in stored)


def test_new_recovery_codes_need_a_code_of_the_device_and_end_the_former_ones(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    account = Account.objects.get(user=user)
    former = second_factor.new_recovery_codes(account)
    client = sign_in(user)
    client.post("/admin/account/recovery-codes/", {"code": former[0]})
    assert second_factor.verify(account, former[1]) == "recovery"
    answer = client.post("/admin/account/recovery-codes/", {"code": code_of(user)})
    assert "Keep your recovery codes" in answer.content.decode()
    assert second_factor.verify(account, former[2]) is None


def test_a_session_ends_with_its_factor(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    client = sign_in(user)
    assert client.get("/admin/").status_code == 200
    accounts.reset_second_factor(user, by="test")
    assert client.get("/admin/").status_code == 302


def test_a_session_ends_when_it_is_not_used_and_at_its_absolute_end(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OPERATOR_SESSION_IDLE_SECONDS, settings.OPERATOR_SESSION_ABSOLUTE_SECONDS = 100, 250
    client = sign_in(make_operator(Role.OPERATOR))
    began = time.time()
    for passed, opens in ((90, True), (180, True), (240, True), (260, False)):
        monkeypatch.setattr("operators.sessions.time.time", lambda passed=passed: began + passed)
        assert (client.get("/admin/").status_code == 200) is opens, passed
    client = sign_in(make_operator(Role.OPERATOR, username="otto"))
    monkeypatch.setattr("operators.sessions.time.time", lambda: began + 260 + 110)
    assert client.get("/admin/").status_code == 302


def test_signing_out_ends_the_session_and_is_told(db: None) -> None:
    client = sign_in(make_operator(Role.OPERATOR))
    assert client.get("/admin/logout/").status_code == 405
    assert client.post("/admin/logout/").status_code == 200
    assert client.get("/admin/").status_code == 302
    assert Event.objects.filter(action="session.ended").exists()


def test_no_secret_of_the_second_factor_is_stored_in_the_clear(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    account = Account.objects.get(user=user)
    secret = account.get_sealed("totp_secret")
    assert secret
    assert secret.encode() not in bytes(account.totp_secret)


def test_passwords_are_tried_five_times_from_one_address_and_then_not_even_the_right_one(db: None) -> None:
    make_operator(Role.OPERATOR)
    client = Client()
    wrong = [
        client.post("/admin/login/", {"username": "olga", "password": f"guess {number}"}).status_code
        for number in range(7)
    ]
    assert wrong == [403] * 5 + [429] * 2
    right = {"username": "olga", "password": PASSWORD}
    assert client.post("/admin/login/", right).status_code == 429
    assert Client(REMOTE_ADDR="203.0.113.7").post("/admin/login/", right).status_code == 302


def test_codes_are_tried_ten_times_from_wherever(db: None) -> None:
    user = make_operator(Role.OPERATOR)
    found, client = [], Client()
    for number in range(12):
        client = Client(REMOTE_ADDR=f"203.0.113.{number}")
        client.force_login(user)
        found.append(client.post("/admin/second-factor/", {"code": "abcdef"}).status_code)
    assert found == [403] * 10 + [429] * 2
    assert client.post("/admin/second-factor/", {"code": code_of(user)}).status_code == 429
