"""Access to Heroku: the grant's exchange, refreshing in time, one at a time, and calls that go wrong."""

import io
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from pydantic import SecretStr
from pytest_django import Settings

from addon.env import PartnerSecrets
from local.ports import free_port
from provisioning import access, heroku_http, platform_api
from provisioning.models import PlatformAccess, Resource
from provisioning.partner_secrets import partner_secrets
from provisioning.services import Fault, Unrecoverable, Wait
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, at_once

TOKEN = "/oauth/token"
PAST = timedelta(seconds=-1)


@pytest.fixture
def waiting(inference: Partner, heroku: FakeHeroku) -> Resource:
    """A resource whose grant is not exchanged yet, known to Heroku."""
    resource = inference.provisioned(oauth_grant={"code": "grant-c0de-planted"})
    heroku.know(resource.uuid, plan="inference:nova-lite")
    return resource


@pytest.fixture
def granted(waiting: Resource) -> Resource:
    """A resource with tokens."""
    access.exchange_grant(waiting.access.pk)
    assert access.state_of(waiting) == "granted"
    return waiting


def row(resource: Resource) -> PlatformAccess:
    """The access as it is now."""
    return PlatformAccess.objects.get(resource=resource)


def change(resource: Resource, **values: Any) -> None:
    """Change the row; a timedelta is counted from now."""
    now = timezone.now()
    PlatformAccess.objects.filter(resource=resource).update(
        **{name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}
    )


def exchange_now(resource: Resource) -> PlatformAccess:
    """Let the time of the next try come, exchange, and read the row."""
    change(resource, next_attempt_at=PAST)
    access.exchange_grant(resource.access.pk)
    return row(resource)


# --- the grant's exchange -----------------------------------------------------------------------------------


def test_the_exchange_sends_what_heroku_asks_for_in_the_body_and_no_more(
    waiting: Resource, heroku: FakeHeroku
) -> None:
    access.exchange_grant(waiting.access.pk)
    [call] = heroku.calls
    assert (call.method, call.path) == ("POST", TOKEN)
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert call.form == {
        "grant_type": "authorization_code",
        "code": "grant-c0de-planted",
        "client_secret": partner_secrets("inference").oauth_client_secrets[0],
    }
    assert "Authorization" not in call.headers


def test_the_tokens_are_kept_sealed_and_the_code_is_destroyed(waiting: Resource, heroku: FakeHeroku) -> None:
    access.exchange_grant(waiting.access.pk)
    held = row(waiting)
    assert (held.state, held.grant_code, held.attempt, held.last_error) == ("granted", None, 0, "")
    assert held.get_sealed("access_token") in heroku.tokens
    assert held.get_sealed("refresh_token") in heroku.refresh_tokens
    assert held.token_expires_at
    assert abs(held.token_expires_at - timezone.now() - timedelta(seconds=28_799)) < timedelta(seconds=30)
    assert held.lease_token is None


def test_a_repeated_exchange_asks_nothing(granted: Resource, heroku: FakeHeroku) -> None:
    heroku.calls.clear()
    access.exchange_grant(granted.access.pk)
    access.exchange_grant(987_654_321)
    assert not heroku.calls


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_tried_again_while_the_grant_lives(
    waiting: Resource, heroku: FakeHeroku, status: int
) -> None:
    heroku.answer_next("POST", TOKEN, status, {"id": "not_yet", "message": "secret message"}, times=2)
    held = exchange_now(waiting)
    assert (held.state, held.attempt, held.last_error) == ("waiting", 1, f"token endpoint: {status} not_yet")
    assert held.get_sealed("grant_code") == "grant-c0de-planted"
    assert held.next_attempt_at > timezone.now()
    held = exchange_now(waiting)
    assert held.attempt == 2
    assert exchange_now(waiting).state == "granted"


@pytest.mark.parametrize("status", [201, 302, 429, 500, 502, 503])
def test_a_fault_of_heroku_s_is_tried_again(waiting: Resource, heroku: FakeHeroku, status: int) -> None:
    heroku.answer_next("POST", TOKEN, status, {"id": "x"}, headers={"Retry-After": "17"})
    held = exchange_now(waiting)
    assert (held.state, held.last_error) == ("waiting", f"token endpoint: {status}")
    assert 15 < (held.next_attempt_at - timezone.now()).total_seconds() <= 17
    assert exchange_now(waiting).state == "granted"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        [],
        {},
        {"access_token": "HRKU-x"},
        {"access_token": None, "refresh_token": "r"},
        {"access_token": "", "refresh_token": "r"},
    ],
)
def test_an_answer_without_tokens_is_a_fault(waiting: Resource, heroku: FakeHeroku, body: Any) -> None:
    heroku.answer_next("POST", TOKEN, 200, body)
    held = exchange_now(waiting)
    assert (held.state, held.last_error) == ("waiting", "token endpoint: 200 without tokens")


@pytest.mark.parametrize("expires_in", [None, "28799", "soon", [], -5, 0, 10**20, 1.5])
def test_a_nonsensical_lifetime_of_the_tokens_does_not_lose_them(
    waiting: Resource, heroku: FakeHeroku, expires_in: Any
) -> None:
    body = {"access_token": "HRKU-planted", "refresh_token": "r", "expires_in": expires_in}
    heroku.answer_next("POST", TOKEN, 200, body)
    held = exchange_now(waiting)
    assert held.state == "granted"
    assert held.get_sealed("access_token") == "HRKU-planted"
    assert held.token_expires_at


def test_tries_come_quickly_at_first_and_at_least_every_twenty_seconds(
    waiting: Resource, heroku: FakeHeroku
) -> None:
    heroku.answer_next("POST", TOKEN, 400, {"id": "x"}, times=10)
    delays = [(exchange_now(waiting).next_attempt_at - timezone.now()).total_seconds() for _ in range(8)]
    assert delays[0] <= 0.5
    assert [round(delay) for delay in delays] == sorted(round(delay) for delay in delays)
    assert max(delays) <= 20


def test_before_its_time_a_grant_is_not_tried_again(waiting: Resource, heroku: FakeHeroku) -> None:
    heroku.answer_next("POST", TOKEN, 400, {"id": "x"})
    exchange_now(waiting)
    access.exchange_grant(waiting.access.pk)
    assert len(heroku.calls) == 1


def test_a_grant_that_ran_out_is_lost_and_told(
    waiting: Resource, heroku: FakeHeroku, caplog: pytest.LogCaptureFixture
) -> None:
    heroku.answer_next("POST", TOKEN, 400, {"id": "not_yet"})
    exchange_now(waiting)
    change(waiting, grant_expires_at=PAST)
    held = exchange_now(waiting)
    assert (held.state, held.grant_code) == ("lost", None)
    assert len(heroku.calls) == 1
    assert waiting.audit_events.filter(event="access.lost").count() == 1
    assert "access.lost" in caplog.text


def test_every_client_secret_is_tried(waiting: Resource, heroku: FakeHeroku, settings: Settings) -> None:
    def rotated(*secrets: str) -> None:
        settings.PARTNER_SECRETS = {
            **django_settings.PARTNER_SECRETS,
            "inference": PartnerSecrets(
                passwords=SecretStr("p" * 20),
                sso_salts=SecretStr("s" * 20),
                oauth_client_secrets=SecretStr(",".join(secrets)),
            ),
        }

    rotated("new-secret", "former-secret")
    heroku.client_secrets = {"former-secret"}
    assert exchange_now(waiting).state == "granted"
    assert [call.form["client_secret"] for call in heroku.calls] == ["new-secret", "former-secret"]


def test_a_result_that_comes_after_the_end_is_not_kept(waiting: Resource, heroku: FakeHeroku) -> None:
    original = access._ask_for_tokens

    def asked(held: PlatformAccess, **form: str) -> dict[str, Any]:
        answer = original(held, **form)
        assert Partner("inference").delete(waiting.uuid).status_code == 204
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "_ask_for_tokens", asked)
        access.exchange_grant(waiting.access.pk)
    held = row(waiting)
    assert heroku.codes_used
    assert (held.state, held.access_token, held.refresh_token, held.grant_code) == ("ended", None, None, None)


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_exchange_a_grant_once(waiting: Resource, heroku: FakeHeroku) -> None:
    heroku.answer_next("POST", TOKEN, 200, delay=0.3, usual=True)
    at_once([lambda: access.exchange_grant(waiting.access.pk)] * 8)
    assert len(heroku.calls) == 1
    assert access.state_of(waiting) == "granted"


def test_a_worker_that_died_while_asking_is_replaced_when_its_lease_ends(
    waiting: Resource, heroku: FakeHeroku
) -> None:
    change(waiting, lease_until=timedelta(seconds=20))
    assert exchange_now(waiting).state == "waiting"
    assert not heroku.calls
    change(waiting, lease_until=PAST)
    assert exchange_now(waiting).state == "granted"


# --- tokens -------------------------------------------------------------------------------------------------


def test_a_token_is_refreshed_five_minutes_before_it_ends_and_not_sooner(
    granted: Resource, heroku: FakeHeroku, clock: Callable[[Any], None]
) -> None:
    ends = row(granted).token_expires_at
    assert ends
    token = row(granted).get_sealed("access_token")
    heroku.calls.clear()
    clock(ends - timedelta(minutes=5, seconds=1))
    assert access.usable_token(granted) == token
    assert not heroku.calls
    clock(ends - timedelta(minutes=5) + timedelta(milliseconds=1))
    fresh = access.usable_token(granted)
    assert fresh != token
    assert fresh in heroku.tokens
    [call] = heroku.calls
    assert call.form == {
        "grant_type": "refresh_token",
        "refresh_token": row(granted).get_sealed("refresh_token"),
        "client_secret": partner_secrets("inference").oauth_client_secrets[0],
    }
    assert access.usable_token(granted) == fresh
    assert len(heroku.calls) == 1


def test_the_refresh_token_stays_when_none_comes_back_and_is_replaced_when_one_does(
    granted: Resource, heroku: FakeHeroku
) -> None:
    former = row(granted).get_sealed("refresh_token")
    for body, expected in (
        ({"access_token": "HRKU-a", "expires_in": 60}, former),
        ({"access_token": "HRKU-b", "expires_in": 60, "refresh_token": None}, former),
        ({"access_token": "HRKU-c", "expires_in": 60, "refresh_token": "newer"}, "newer"),
    ):
        heroku.answer_next("POST", TOKEN, 200, body)
        change(granted, token_expires_at=PAST)
        access.usable_token(granted)
        assert row(granted).get_sealed("access_token") == body["access_token"]
        assert row(granted).get_sealed("refresh_token") == expected


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_refresh_a_token_once(granted: Resource, heroku: FakeHeroku) -> None:
    change(granted, token_expires_at=PAST)
    heroku.calls.clear()
    heroku.answer_next("POST", TOKEN, 200, delay=0.3, usual=True)

    def token() -> str:
        while True:
            try:
                return access.usable_token(granted)
            except Wait:
                time.sleep(0.05)

    assert len(set(at_once([token] * 8))) == 1
    assert len(heroku.seen("POST", TOKEN)) == 1


def test_a_token_that_another_worker_has_refreshed_is_taken(granted: Resource, heroku: FakeHeroku) -> None:
    stale = row(granted).get_sealed("access_token") or ""
    fresh = access.refreshed_token(granted, stale=stale)
    heroku.calls.clear()
    assert access.refreshed_token(granted, stale=stale) == fresh
    assert not heroku.calls


def test_a_refresh_that_is_refused_again_and_again_ends_the_access(
    granted: Resource, heroku: FakeHeroku, caplog: pytest.LogCaptureFixture
) -> None:
    change(granted, token_expires_at=PAST)
    heroku.answer_next("POST", TOKEN, 401, {"id": "unauthorized"}, times=99)
    for _ in range(access.REFRESH_TRIES - 1):
        with pytest.raises(Fault, match="refresh: token endpoint: 401 unauthorized"):
            access.usable_token(granted)
        assert row(granted).state == "granted"
    with pytest.raises(access.AccessLost):
        access.usable_token(granted)
    assert row(granted).state == "lost"
    assert granted.audit_events.filter(event="access.lost").count() == 1
    assert "access.lost" in caplog.text
    with pytest.raises(access.AccessLost):
        access.usable_token(granted)


def test_a_success_between_refusals_begins_the_count_anew(granted: Resource, heroku: FakeHeroku) -> None:
    for _ in range(3):
        change(granted, token_expires_at=PAST)
        heroku.answer_next("POST", TOKEN, 401, {"id": "x"}, times=3)
        for _ in range(3):
            with pytest.raises(Fault):
                access.usable_token(granted)
        assert access.usable_token(granted)
        assert row(granted).attempt == 0


def test_without_tokens_each_state_says_what_to_do(inference: Partner, heroku: FakeHeroku) -> None:
    waiting = inference.provisioned()
    with pytest.raises(Wait):
        access.usable_token(waiting)
    with pytest.raises(access.AccessLost):
        access.usable_token(inference.provisioned(oauth_grant=None))
    inference.delete(waiting.uuid)
    with pytest.raises(access.ResourceGone):
        access.usable_token(waiting)
    assert not heroku.calls


def test_a_refresh_that_answers_after_the_end_keeps_nothing(granted: Resource, heroku: FakeHeroku) -> None:
    change(granted, token_expires_at=PAST)
    original = access._ask_for_tokens

    def asked(held: PlatformAccess, **form: str) -> dict[str, Any]:
        answer = original(held, **form)
        Partner("inference").delete(granted.uuid)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "_ask_for_tokens", asked)
        with pytest.raises(access.ResourceGone):
            access.usable_token(granted)
    assert (row(granted).state, row(granted).access_token) == ("ended", None)


# --- the Platform API ---------------------------------------------------------------------------------------


def test_a_call_carries_heroku_s_media_type_and_the_token(granted: Resource, heroku: FakeHeroku) -> None:
    heroku.calls.clear()
    platform_api.write_config(granted, {"INFERENCE_URL": "https://x", "INFERENCE_KEY": "y"})
    [call] = heroku.calls
    assert (call.method, call.path) == ("PATCH", f"/addons/{granted.uuid}/config")
    assert call.headers["Accept"] == "application/vnd.heroku+json; version=3"
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["Authorization"] == f"Bearer {row(granted).get_sealed('access_token')}"
    assert call.json == {
        "config": [{"name": "INFERENCE_KEY", "value": "y"}, {"name": "INFERENCE_URL", "value": "https://x"}]
    }
    assert platform_api.read_config(granted) == {"INFERENCE_URL": "https://x", "INFERENCE_KEY": "y"}
    assert platform_api.read_addon(granted)["plan"]["name"] == "inference:nova-lite"


def test_a_401_refreshes_once_and_tries_once_more(granted: Resource, heroku: FakeHeroku) -> None:
    heroku.tokens.clear()  # a reset client secret ends every token
    heroku.calls.clear()
    assert platform_api.read_addon(granted)["state"] == "provisioned"
    assert [(call.method, call.path) for call in heroku.calls] == [
        ("GET", f"/addons/{granted.uuid}"),
        ("POST", TOKEN),
        ("GET", f"/addons/{granted.uuid}"),
    ]


def test_a_401_that_stays_is_a_fault_after_one_refresh(granted: Resource, heroku: FakeHeroku) -> None:
    heroku.calls.clear()
    heroku.answer_next("GET", "/addons/.*", 401, {"id": "unauthorized"}, times=99)
    with pytest.raises(Fault, match="401"):
        platform_api.read_addon(granted)
    assert len(heroku.seen("POST", TOKEN)) == 1
    assert len(heroku.seen("GET", "/addons/.*")) == 2


@pytest.mark.parametrize(
    ("status", "headers", "error", "retry_after"),
    [
        (403, {}, access.ResourceGone, None),
        (404, {}, access.ResourceGone, None),
        (410, {}, access.ResourceGone, None),
        (429, {"Retry-After": "7"}, Fault, 7.0),
        (503, {"Retry-After": "2.5"}, Fault, 2.5),
        (503, {"Retry-After": "999999"}, Fault, 3600.0),
        (503, {"Retry-After": "-5"}, Fault, 0.0),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, Fault, None),
        (503, {"Retry-After": "nan"}, Fault, None),
        (503, {"Retry-After": "inf"}, Fault, 3600.0),
        (500, {}, Fault, None),
        (408, {}, Fault, None),
        (400, {}, Unrecoverable, None),
        (409, {}, Unrecoverable, None),
        (422, {}, Unrecoverable, None),
    ],
)
def test_each_refusal_of_heroku_s_has_its_meaning(
    granted: Resource,
    heroku: FakeHeroku,
    status: int,
    headers: dict[str, str],
    error: type[Exception],
    retry_after: float | None,
) -> None:
    body = {"id": "an_error_id", "message": "planted-message", "url": "https://x"}
    heroku.answer_next("PATCH", "/addons/.*/config", status, body, headers=headers)
    with pytest.raises(error) as caught:
        platform_api.write_config(granted, {"INFERENCE_URL": "planted-value"})
    assert "planted" not in str(caught.value)
    assert str(status) in str(caught.value)
    if isinstance(caught.value, Fault):
        assert caught.value.retry_after == retry_after


def test_an_answer_that_is_no_json_is_a_fault_and_no_crash(granted: Resource, heroku: FakeHeroku) -> None:
    for body in (b"<html>", b"[", b"\xff"):
        heroku.answer_next("GET", "/addons/.*", 200, body)
        with pytest.raises(Fault):
            platform_api.read_addon(granted)


def test_a_redirect_is_not_followed_with_the_token(granted: Resource, heroku: FakeHeroku) -> None:
    heroku.answer_next("GET", "/addons/.*", 302, headers={"Location": f"{heroku.url}/elsewhere"})
    with pytest.raises(Fault):
        platform_api.read_addon(granted)
    assert not heroku.seen("GET", "/elsewhere")


def test_a_heroku_that_is_away_or_silent_is_a_fault(
    granted: Resource, settings: Settings, hanging_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_api, "TIMEOUT", (0.2, 0.2))
    monkeypatch.setattr(access, "TIMEOUT", (0.2, 0.2))
    for port, error in ((hanging_server, "ReadTimeout"), (free_port(), "ConnectionError")):
        settings.HEROKU_API_URL = settings.HEROKU_ID_URL = f"http://127.0.0.1:{port}"
        with pytest.raises(Fault, match=error):
            platform_api.read_addon(granted)
        change(granted, token_expires_at=PAST, lease_until=None)
        with pytest.raises(Fault, match=error):
            access.usable_token(granted)
        assert row(granted).lease_until is None
        change(granted, token_expires_at=timedelta(hours=1))


def test_every_call_has_a_limit_of_time() -> None:
    connect, read = heroku_http.TIMEOUT
    assert 0 < connect < 5
    assert 0 < read <= 15


def test_no_proxy_or_netrc_of_the_machine_sees_the_calls(
    granted: Resource, heroku: FakeHeroku, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert platform_api.read_addon(granted)["id"] == str(granted.uuid)


def test_no_token_stands_in_an_error_or_a_log_line(
    waiting: Resource, heroku: FakeHeroku, written: io.StringIO
) -> None:
    texts: list[str] = []
    heroku.answer_next("POST", TOKEN, 400, {"id": "x", "message": "grant-c0de-planted"})
    exchange_now(waiting)
    texts.append(row(waiting).last_error)
    exchange_now(waiting)
    held = row(waiting)
    secrets = [held.get_sealed("access_token"), held.get_sealed("refresh_token"), "grant-c0de-planted"]
    secrets += partner_secrets("inference").oauth_client_secrets
    heroku.answer_next("GET", "/addons/.*", 500, {"id": secrets[0]})
    heroku.answer_next("GET", "/addons/.*", 401, {"id": "x"}, times=2)
    heroku.answer_next("GET", "/addons/.*", 404, {"id": "x"})
    for _ in range(4):
        try:
            platform_api.read_addon(waiting)
        except (Fault, access.ResourceGone) as error:
            texts += [str(error), repr(error), repr(error.__cause__), repr(error.__context__)]
    texts.append(written.getvalue())
    secrets += [row(waiting).get_sealed("access_token")]
    for secret in secrets:
        assert secret
        assert not [text for text in texts if secret in text]
