"""Grants, tokens, what a partner may see, log input and single sign-on."""

from __future__ import annotations

import gzip
import hashlib
import time

import pytest
import requests

from tests.sandbox.support import ACCEPT, Client, SandboxProcess, Service


def test_a_grant_is_exchanged_once_for_a_token_pair(service: Service) -> None:
    service.created()
    first = service.exchange().json()
    assert first["token_type"] == "Bearer"
    assert first["access_token"].startswith("HRKU-")
    assert first["expires_in"] == 28799
    assert first["session_nonce"] is None
    again = service.exchange()
    assert (again.status_code, again.json()["id"]) == (400, "invalid_grant")


def test_a_wrong_client_secret_is_401_and_does_not_use_up_the_grant(service: Service) -> None:
    service.created()
    wrong = service.token(grant_type="authorization_code", code=service.grant(), client_secret="guess")
    assert wrong.status_code == 401
    assert service.exchange().status_code == 200


def test_a_refresh_token_gives_new_access_tokens_and_stays(service: Service) -> None:
    addon = service.created()
    pair = service.exchange().json()
    for _ in range(2):
        answer = service.token(grant_type="refresh_token", refresh_token=pair["refresh_token"]).json()
        assert answer["refresh_token"] == pair["refresh_token"]
        assert Client(service.url, answer["access_token"]).ok("GET", f"/addons/{addon['id']}")
    wrong = service.token(grant_type="refresh_token", refresh_token=pair["refresh_token"], client_secret="x")
    assert wrong.status_code == 401


def test_tokens_of_a_removed_resource_are_dead(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    pair = service.exchange().json()
    service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    refreshed = service.token(grant_type="refresh_token", refresh_token=pair["refresh_token"])
    assert refreshed.status_code == 401
    assert Client(service.url, pair["access_token"]).call("GET", f"/addons/{addon['id']}").status_code == 401


@pytest.mark.parametrize(
    "form", [{}, {"grant_type": "password"}, {"grant_type": "authorization_code", "code": "x"}]
)
def test_malformed_token_requests_are_4xx(service: Service, form: dict[str, str]) -> None:
    assert 400 <= service.token(**form).status_code < 500


def test_a_made_up_partner_token_is_not_taken_for_a_customers_key(service: Service) -> None:
    assert Client(service.url, "HRKU-partner-made-up").call("GET", "/apps").status_code == 401


def test_a_partner_sees_its_own_resource_and_its_app_only(service: Service) -> None:
    app, stranger = service.app(), service.app()
    addon, other = service.created(app), service.created(stranger)
    partner = Client(service.url, service.exchange(service.grant(0)).json()["access_token"])
    assert partner.ok("GET", f"/addons/{addon['id']}")["name"] == addon["name"]
    assert partner.ok("GET", f"/apps/{addon['app']['id']}")["name"] == app
    assert partner.ok("GET", f"/apps/{app}/collaborators")[0]["user"]["email"] == "developer@example.com"
    assert [one["id"] for one in partner.ok("GET", "/addons")] == [addon["id"]]
    assert [one["name"] for one in partner.ok("GET", "/apps")] == [app]
    values = partner.ok("GET", f"/addons/{addon['id']}/config")
    assert {one["name"]: one["value"] for one in values} == service.conduct.config
    assert partner.call("GET", f"/addons/{other['id']}").status_code == 404
    assert partner.call("PATCH", f"/addons/{other['id']}/config", {"config": []}).status_code == 404
    assert partner.call("GET", f"/apps/{stranger}").status_code == 404
    for method, path in (
        ("GET", f"/apps/{app}/config-vars"),
        ("DELETE", f"/apps/{app}"),
        ("POST", f"/apps/{app}/addons"),
    ):
        assert partner.call(method, path).status_code == 403


def test_only_the_partner_may_patch_config_and_finish(service: Service) -> None:
    addon = service.created()
    for method, path in (("PATCH", "config"), ("POST", "actions/provision"), ("POST", "actions/deprovision")):
        assert service.customer.call(method, f"/addons/{addon['id']}/{path}").status_code == 403


def test_a_config_patch_is_one_release_merges_and_null_unsets(service: Service) -> None:
    app = service.app()
    addon = service.created(app, attachment={"name": "ALIAS"})
    partner, before = service.partner(), service.releases(app)
    body = {
        "config": [
            {"name": f"{service.prefix}_URL", "value": "https://new.example/"},
            {"name": f"{service.prefix}_KEY", "value": None},
        ]
    }
    answer = partner.ok("PATCH", f"/addons/{addon['id']}/config", body)
    assert answer == [{"name": f"{service.prefix}_URL", "value": "https://new.example/"}]
    assert service.config(app) == {"ALIAS_URL": "https://new.example/"}
    assert len(service.releases(app)) == len(before) + 1


@pytest.mark.parametrize(
    "config",
    [None, {}, "x", [{"value": "x"}], [{"name": "UNDECLARED", "value": "x"}], [{"name": 3, "value": "x"}]],
)
def test_a_bad_config_patch_changes_nothing(service: Service, config: object) -> None:
    app = service.app()
    addon = service.created(app)
    before = service.releases(app)
    answer = service.partner().call("PATCH", f"/addons/{addon['id']}/config", {"config": config})
    assert answer.status_code == 422
    number = [{"name": f"{service.prefix}_KEY", "value": 5}]
    assert (
        service.customer.call("PATCH", f"/addons/{addon['id']}/config", {"config": number}).status_code == 403
    )
    assert service.config(app) == service.conduct.config
    assert service.releases(app) == before


def test_log_lines_reach_the_event_log_without_the_secret(service: Service) -> None:
    service.register(requires=["log_input"])
    addon = service.created()
    url = service.calls("POST")[0].body["log_input_url"]
    token = url.split("token:")[1].split("@")[0]
    line = f"<190>1 2026-01-01T00:00:00+00:00 host {token} web.1 - - ready".encode()
    frame = str(len(line)).encode() + b" " + line
    headers = {"Content-Type": "application/logplex-1", "Logplex-Msg-Count": "2"}
    assert requests.post(url, data=frame * 2, headers=headers, timeout=10).status_code == 204
    packed = {**headers, "Content-Encoding": "gzip"}
    assert requests.post(url, data=gzip.compress(frame * 2), headers=packed, timeout=10).status_code == 204
    assert requests.post(url, data=frame, headers=headers, timeout=10).status_code == 400
    assert requests.post(url, data=b"no frames", headers=headers, timeout=10).status_code == 400
    stranger = url.replace(token, "t.unknown")
    assert requests.post(stranger, data=frame * 2, headers=headers, timeout=10).status_code == 401
    events = requests.get(f"{service.url}/sandbox/events?addon={addon['id']}", timeout=10).json()["events"]
    logged = [event["summary"] for event in events if event["kind"] == "log"]
    assert len(logged) == 4
    assert all("ready" in line and token not in line for line in logged)
    partner = service.partner()
    assert partner.ok("GET", f"/addons/{addon['id']}/addon-attachments")[0]["log_input_url"] == url
    assert service.customer.ok("GET", f"/addons/{addon['id']}/addon-attachments")[0]["log_input_url"] is None


def test_sso_parameters_follow_herokus_formulas(service: Service) -> None:
    app, other = service.app(), service.app()
    addon = service.created(app)
    service.customer.ok("POST", "/addon-attachments", {"addon": addon["id"], "app": other})
    given = service.customer.ok("GET", f"/apps/{other}/addons/{addon['name']}/sso", Accept=ACCEPT + ".sdk")
    params, salt = given["params"], f"{service.slug}-salt"
    assert given["method"] == "post"
    assert given["action"] == service.provider.url(service.slug, "/sso/login")
    stamp = params["timestamp"]
    assert abs(int(stamp) - time.time()) < 5
    old = hashlib.sha1(f"{addon['id']}:{salt}:{stamp}".encode()).hexdigest()  # noqa: S324 - Heroku's formula
    new = hashlib.sha256(
        f"{addon['id']}:{salt}:{stamp}:{params['user_id']}:developer@example.com".encode()
    ).hexdigest()
    assert params == {
        "resource_id": addon["id"],
        "timestamp": stamp,
        "resource_token": old,
        "user_scoped_resource_token": new,
        "user_id": params["user_id"],
        "email": "developer@example.com",
        "app": app,
        "context_app": other,
    }


def test_sso_formulas_give_the_published_digests() -> None:
    from sandbox.sso import resource_token, user_scoped_resource_token

    resource, salt, stamp = "3f1c9a52-0b7e-4d7e-9d5b-2a8f6c41e7aa", "example-salt-0001", "1767225600"
    old = resource_token(resource_id=resource, salt=salt, timestamp=stamp)
    assert old == "03764208477d28064654e2a062817141fd3ec66e"
    new = user_scoped_resource_token(
        resource_id=resource,
        salt=salt,
        timestamp=stamp,
        user_id="b2d7e0a4-6c3f-4f0a-8f55-91c0de34aa10",
        email="dev@example.com",
    )
    assert new == "531f579c5a0ec51a636d00474271294482721003c5a656650744f195b0e9e93b"


def test_sso_may_be_tried_as_any_collaborator_but_nobody_else(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    service.customer.ok("POST", f"/apps/{app}/collaborators", {"user": "second@example.com"})
    path = f"/apps/{app}/addons/{addon['id']}/sso"
    assert (
        service.customer.ok("GET", f"{path}?user=second@example.com")["params"]["email"]
        == "second@example.com"
    )
    assert service.customer.call("GET", f"{path}?user=stranger@example.com").status_code == 404


def test_the_open_page_is_the_form_itself(service: Service, sandbox: SandboxProcess) -> None:
    addon = service.created()
    page = requests.get(addon["web_url"], timeout=10)
    assert f'action="{service.provider.url(service.slug, "/sso/login")}"' in page.text
    assert 'name="user_scoped_resource_token"' in page.text
    service.customer.ok("DELETE", f"/apps/{addon['app']['name']}/addons/{addon['id']}")
    gone = requests.get(addon["web_url"], timeout=10)
    assert gone.status_code == 404
    assert "Couldn&#39;t find that add-on." in gone.text
