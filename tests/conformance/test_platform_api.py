"""The suite's own Platform API refuses what Heroku's refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from conformance.platform_api import PlatformAPI

UUID = "3f1c9a52-0b7e-4d7e-9d5b-2a8f6c41e7aa"
SECRET = "made-up-client-secret"
ACCEPT = "application/vnd.heroku+json; version=3"


@pytest.fixture
def platform() -> Iterator[PlatformAPI]:
    """A Platform API to which a provision request is about to be sent."""
    with PlatformAPI("127.0.0.1", 0, client_secret=SECRET) as running:
        running.expect(UUID, plan="acme:test", code="the-code")
        yield running


def ask(platform: PlatformAPI, **changes: str) -> requests.Response:
    """Exchange the grant."""
    form = {"grant_type": "authorization_code", "code": "the-code", "client_secret": SECRET, **changes}
    return requests.post(f"http://127.0.0.1:{platform.port}/oauth/token", data=form, timeout=10)


def call(
    platform: PlatformAPI, method: str, path: str = "", body: Any = None, **headers: str
) -> requests.Response:
    """Call about the resource."""
    url = f"http://127.0.0.1:{platform.port}/addons/{UUID}{path}"
    return requests.request(method, url, json=body, headers={"Accept": ACCEPT, **headers}, timeout=10)


@pytest.fixture
def bearer(platform: PlatformAPI) -> str:
    """The resource's token, as a header."""
    return f"Bearer {ask(platform).json()['access_token']}"


def test_a_resource_is_unknown_until_its_provision_request_is_answered(
    platform: PlatformAPI, bearer: str
) -> None:
    assert call(platform, "GET", Authorization=bearer).status_code == 404
    assert call(platform, "POST", "/actions/provision", Authorization=bearer).status_code == 404
    platform.answered(UUID, 202)
    assert call(platform, "GET", Authorization=bearer).json()["state"] == "provisioning"


def test_a_refused_provision_request_makes_nothing_known(platform: PlatformAPI, bearer: str) -> None:
    platform.answered(UUID, 422)
    assert call(platform, "GET", Authorization=bearer).status_code == 404


def test_an_answer_can_be_worked_on_later(platform: PlatformAPI, bearer: str) -> None:
    platform.hold(UUID)
    platform.answered(UUID, 202)
    assert call(platform, "GET", Authorization=bearer).status_code == 404
    platform.release()
    assert call(platform, "GET", Authorization=bearer).status_code == 200


def test_the_flow_of_an_asynchronous_provision(platform: PlatformAPI, bearer: str) -> None:
    platform.answered(UUID, 202)
    body = {
        "config": [
            {"name": "ACME_URL", "value": "https://acme.example.com"},
            {"name": "ACME_OLD", "value": None},
        ]
    }
    set_config = call(platform, "PATCH", "/config", body, Authorization=bearer)
    assert set_config.json() == [{"name": "ACME_URL", "value": "https://acme.example.com"}]
    assert call(platform, "GET", "/config", Authorization=bearer).json() == set_config.json()
    done = call(platform, "POST", "/actions/provision", Authorization=bearer)
    assert (done.status_code, done.json()["state"]) == (200, "provisioned")
    assert [str(made) for made in platform.addons[UUID].made("POST", "/actions/provision")] == [
        f"POST /addons/{UUID}/actions/provision → 200"
    ]


def test_after_a_deprovision_nothing_is_known_any_more(platform: PlatformAPI, bearer: str) -> None:
    platform.answered(UUID, 200)
    platform.forget(UUID)
    assert call(platform, "PATCH", "/config", {"config": []}, Authorization=bearer).status_code == 404
    assert ask(platform, grant_type="refresh_token", refresh_token="any").status_code == 400


def test_a_grant_is_exchanged_once_with_the_client_secret(platform: PlatformAPI) -> None:
    assert ask(platform, client_secret="wrong").status_code == 401
    assert ask(platform, client_secret="").status_code == 401
    assert ask(platform, grant_type="password").status_code == 400
    granted = ask(platform)
    assert granted.status_code == 200
    assert ask(platform).status_code == 400
    renewed = ask(platform, grant_type="refresh_token", refresh_token=granted.json()["refresh_token"])
    assert renewed.json()["access_token"] != granted.json()["access_token"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "application/json"}, 406),
        ({"Accept": "application/vnd.heroku+json; version=30"}, 406),
        ({"Authorization": "Bearer of-somebody-else"}, 401),
        ({"Authorization": ""}, 401),
    ],
)
def test_a_call_without_the_media_type_or_the_token_is_refused(
    platform: PlatformAPI, bearer: str, headers: dict[str, str], status: int
) -> None:
    platform.answered(UUID, 202)
    assert call(platform, "GET", **{"Authorization": bearer, **headers}).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"config": {"ACME_URL": "x"}},
        {"config": [{"name": "ACME_PORT", "value": 5}]},
        {"config": [{}]},
    ],
)
def test_config_in_another_form_is_refused(platform: PlatformAPI, bearer: str, body: Any) -> None:
    platform.answered(UUID, 202)
    assert call(platform, "PATCH", "/config", body, Authorization=bearer).status_code == 422
    assert platform.addons[UUID].config == {}
