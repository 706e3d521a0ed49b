"""What Heroku's form has to prove, and what becomes of one that proves nothing."""

import time
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pydantic import SecretStr
from pytest_django import Settings
from structlog.testing import capture_logs

from addon.env import PartnerSecrets
from provisioning.models import AuditEvent, Resource
from provisioning.partner_secrets import partner_secrets
from sso.models import DashboardSession, UsedToken
from sso.tasks import purge
from sso.tokens import resource_token, user_scoped_resource_token
from tests.support.partner import Partner, at_once, row_counts
from tests.support.sso import EMAIL, USER_ID, dashboard_path, log_in, login_form, sha1, sha256

pytestmark = pytest.mark.django_db


def post(form: dict[str, str], **extra: Any) -> Any:
    return Client().post("/sso/login", form, **extra)


def tampered(form: dict[str, str], changes: dict[str, Any]) -> dict[str, str]:
    """The form with fields changed after its tokens were made; None takes one out."""
    return {name: value for name, value in {**form, **changes}.items() if value is not None}


def test_the_tokens_are_those_of_the_documented_vectors() -> None:
    shared = {
        "resource_id": "3f1c9a52-0b7e-4d7e-9d5b-2a8f6c41e7aa",
        "salt": "example-salt-0001",
        "timestamp": "1767225600",
    }
    assert resource_token(**shared) == "03764208477d28064654e2a062817141fd3ec66e"
    scoped = user_scoped_resource_token(
        **shared, user_id="b2d7e0a4-6c3f-4f0a-8f55-91c0de34aa10", email="dev@example.com"
    )
    assert scoped == "531f579c5a0ec51a636d00474271294482721003c5a656650744f195b0e9e93b"


def test_a_right_form_opens_the_dashboard_as_the_person_it_names(resource: Resource) -> None:
    browser = Client()
    answer = log_in(browser, resource)
    assert answer.status_code == 302
    assert answer["Location"] == dashboard_path(resource)
    assert "no-store" in answer["Cache-Control"]
    session = DashboardSession.objects.get()
    assert (session.role, session.user_id, session.email) == ("member", USER_ID, EMAIL)
    assert browser.get(answer["Location"]).status_code == 200
    assert AuditEvent.objects.get(event="dashboard.opened").actor == EMAIL


def test_the_user_scoped_token_alone_is_enough_for_a_member(resource: Resource) -> None:
    assert post(login_form(resource, resource_token=None)).status_code == 302
    assert DashboardSession.objects.get().role == "member"


def test_the_older_token_alone_makes_a_viewer_whose_email_nobody_vouches_for(resource: Resource) -> None:
    form = login_form(resource, user_scoped_resource_token=None)
    assert post({**form, "email": "somebody.else@example.com"}).status_code == 302
    session = DashboardSession.objects.get()
    assert (session.role, session.user_id, session.email) == ("viewer", "", "")


def test_a_form_with_unknown_fields_and_without_the_optional_ones_is_accepted(resource: Resource) -> None:
    form = login_form(resource, app=None, context_app=None, surprise="1")
    assert post(form).status_code == 302


REFUSED: dict[str, dict[str, Any]] = {
    "wrong user-scoped token": {"user_scoped_resource_token": "0" * 64},
    "wrong resource token beside a right user-scoped one": {"resource_token": "0" * 40},
    "token outside ASCII": {"resource_token": "ü" * 40},
    "token of another case": {"resource_token": "A" * 40},
    "other e-mail": {"email": "mallory@example.com"},
    "other user": {"user_id": "00000000-0000-4000-8000-000000000000"},
    "no e-mail": {"email": None},
    "no user": {"user_id": None},
    "no token": {"user_scoped_resource_token": None, "resource_token": None},
    "empty tokens": {"user_scoped_resource_token": "", "resource_token": ""},
    "no timestamp": {"timestamp": None},
    "no resource": {"resource_id": None},
    "resource that is no uuid": {"resource_id": "1; DROP TABLE"},
    "unknown resource": {"resource_id": "00000000-0000-4000-8000-000000000000"},
    "NUL in a field": {"email": "a\0@example.com"},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_whatever_is_wrong_the_answer_is_the_same_and_nothing_is_left(
    resource: Resource, changes: dict[str, Any]
) -> None:
    before = row_counts()
    with capture_logs() as lines:
        answer = post(tampered(login_form(resource), changes), headers={"X-Request-Id": "the-same-id"})
    assert answer.status_code == 403
    assert not answer.cookies
    assert row_counts() == before
    reference = post({}, headers={"X-Request-Id": "the-same-id"})
    assert _without_nonce(answer) == _without_nonce(reference)
    assert [line["event"] for line in lines] == ["sso.refused"]
    assert "0" * 40 not in str(lines)


def _without_nonce(answer: Any) -> str:
    nonce = answer["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
    text: str = answer.content.decode()
    return text.replace(nonce, "")


@pytest.mark.parametrize(
    "timestamp", ["", "soon", "1e9", " 1767225600", "+1767225600", "-5", "\uff11\uff12\uff13", "9" * 400]
)
def test_a_timestamp_has_to_be_plain_digits_even_when_it_is_hashed(
    resource: Resource, timestamp: str
) -> None:
    salt, uuid = partner_secrets("inference").sso_salts[0], str(resource.uuid)
    tokens = {
        "user_scoped_resource_token": sha256(uuid, salt, timestamp, USER_ID, EMAIL),
        "resource_token": sha1(uuid, salt, timestamp),
    }
    assert post({**login_form(resource), **tokens, "timestamp": timestamp}).status_code == 403


@pytest.mark.parametrize(("offset", "status"), [(-310, 403), (-290, 302), (290, 302), (310, 403)])
def test_the_window_is_five_minutes_to_both_sides(resource: Resource, offset: int, status: int) -> None:
    assert post(login_form(resource, at=time.time() + offset)).status_code == status


def test_a_token_of_another_resource_opens_nothing(resource: Resource, other: Resource) -> None:
    theirs = login_form(other)
    assert post({**theirs, "resource_id": str(resource.uuid)}).status_code == 403


def test_each_service_has_its_own_salt(resource: Resource) -> None:
    salt = partner_secrets("kafkacluster").sso_salts[0]
    assert post(login_form(resource, salt=salt)).status_code == 403


def test_a_border_between_user_and_email_cannot_be_moved(resource: Resource) -> None:
    assert post(login_form(resource, user_id="a:b", email="c@example.com")).status_code == 403


def test_during_a_rotation_both_salts_are_right_but_not_one_token_of_each(
    resource: Resource, settings: Settings
) -> None:
    former = partner_secrets("inference").sso_salts[0]
    secrets = settings.PARTNER_SECRETS["inference"]
    both = PartnerSecrets(
        passwords=secrets.passwords,
        sso_salts=SecretStr(f"new-salt,{former}"),
        oauth_client_secrets=secrets.oauth_client_secrets,
    )
    settings.PARTNER_SECRETS = {**settings.PARTNER_SECRETS, "inference": both}
    now = time.time()
    mixed = login_form(resource, salt="new-salt", at=now - 3)["resource_token"]
    assert post(login_form(resource, salt=former, at=now - 1)).status_code == 302
    assert post(login_form(resource, salt="new-salt", at=now - 2)).status_code == 302
    assert post(login_form(resource, salt=former, at=now - 3, resource_token=mixed)).status_code == 403
    assert post(login_form(resource, salt="older-salt", at=now - 4)).status_code == 403


def test_a_form_works_once(resource: Resource) -> None:
    form = login_form(resource)
    assert post(form).status_code == 302
    assert post(form).status_code == 403
    assert DashboardSession.objects.count() == 1


def test_a_used_form_does_not_work_again_with_its_user_scoped_token_taken_out(resource: Resource) -> None:
    form = login_form(resource)
    assert post(form).status_code == 302
    del form["user_scoped_resource_token"]
    assert post(form).status_code == 403


def test_two_people_may_open_the_same_resource_within_one_second(resource: Resource) -> None:
    now = time.time()
    assert post(login_form(resource, at=now)).status_code == 302
    assert post(login_form(resource, at=now, user_id="someone", email="bob@example.com")).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_of_posts_at_the_same_instant_one_wins(resource: Resource) -> None:
    form = login_form(resource)
    statuses = at_once([lambda: post(form).status_code] * 8)
    assert sorted(statuses) == [302] + [403] * 7
    assert DashboardSession.objects.count() == 1


def test_a_get_is_told_to_come_through_heroku() -> None:
    answer = Client().get("/sso/login")
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert "through Heroku" in answer.content.decode()
    assert "https://dashboard.heroku.invalid" in answer.content.decode()


@pytest.mark.parametrize("slug", ["inference", "kafkacluster", "mobiloud"])
def test_a_removed_resource_is_refused_with_a_page_that_says_so(plans: None, slug: str) -> None:
    partner = Partner(slug)
    resource = partner.provisioned()
    partner.delete(resource.uuid)
    answer = log_in(Client(), resource)
    assert answer.status_code == 410
    assert "was removed" in answer.content.decode()
    assert not answer.cookies


def test_a_failed_resource_is_refused_with_a_page_that_says_what_to_do(plans: None) -> None:
    resource = Partner("kafkacluster").provisioned()
    Resource.objects.filter(pk=resource.pk).update(state="failed")
    answer = log_in(Client(), resource)
    assert answer.status_code == 410
    assert "add it again" in answer.content.decode()


def test_a_wrong_form_for_a_removed_resource_is_refused_like_any_other(resource: Resource) -> None:
    Partner("inference").delete(resource.uuid)
    assert log_in(Client(), resource, salt="wrong").status_code == 403


def test_the_app_that_the_form_names_is_only_a_hint(resource: Resource) -> None:
    now = time.time()
    post(login_form(resource, at=now, context_app="<script>alert(1)</script>"))
    post(login_form(resource, at=now - 1, context_app="sharp-mountain-4005"))
    assert [row.app_hint for row in DashboardSession.objects.order_by("pk")] == ["", "sharp-mountain-4005"]
    resource.refresh_from_db()
    assert resource.app_name == ""


def test_the_oldest_kind_of_token_counts_only_when_it_is_switched_on(
    resource: Resource, settings: Settings
) -> None:
    salt, now = partner_secrets("inference").sso_salts[0], str(int(time.time()))
    form = {
        "id": str(resource.uuid),
        "token": sha1(str(resource.uuid), salt, now),
        "timestamp": now,
        "nav-data": "e30=",
        "email": EMAIL,
    }
    assert post(form).status_code == 403
    settings.SSO_ACCEPT_LEGACY = True
    answer = post(form)
    assert answer.status_code == 302
    assert answer.cookies["heroku-nav-data"].value == "e30="
    assert DashboardSession.objects.get().role == "viewer"
    assert post({**form, "token": "0" * 40}).status_code == 403


def test_used_tokens_are_forgotten_when_no_window_can_contain_them(resource: Resource) -> None:
    post(login_form(resource))
    kept = UsedToken.objects.count()
    purge()
    assert UsedToken.objects.count() == kept > 0
    UsedToken.objects.update(expires_at=timezone.now())
    purge()
    assert not UsedToken.objects.exists()


def test_beat_sends_a_task_that_there_is(settings: Settings) -> None:
    from addon.celery import app

    app.loader.import_default_modules()
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= app.tasks.keys()
    assert settings.CELERY_BEAT_SCHEDULE["purge-logins"]["task"] == purge.name


def test_neither_table_holds_anything_that_opens_a_dashboard(resource: Resource) -> None:
    browser = Client()
    form = login_form(resource)
    browser.post("/sso/login", form)
    (cookie,) = browser.cookies.values()
    stored = [*UsedToken.objects.values_list("digest", flat=True)]
    stored += DashboardSession.objects.values_list("token_digest", flat=True)
    assert not {cookie.value, form["resource_token"], form["user_scoped_resource_token"]} & set(stored)
