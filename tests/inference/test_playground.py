"""The playground's endpoint: who may use it, from where, and that it is limited and metered like any request."""

import json
import uuid
from typing import Any

import pytest
import requests

from provisioning.models import Resource
from tests.inference.conftest import Addon, Gateway
from tests.support.sso import login_form
from tests.support.stack import until


def opened(gateway: Gateway, addon: Addon, **changes: Any) -> requests.Session:
    """A browser that has opened the add-on's dashboard."""
    form = login_form(
        Resource(uuid=uuid.UUID(addon.uuid)),
        salt=gateway.secrets["INFERENCE_SSO_SALTS"],
        **changes,
    )
    browser = requests.Session()
    answer = browser.post(f"{gateway.web_url}/sso/login", form, timeout=300, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    browser.headers["Origin"] = gateway.web_url
    return browser


def play(
    gateway: Gateway, browser: requests.Session, addon: Addon, what: str = "chat", **fields: Any
) -> requests.Response:
    """One request as the page sends it."""
    if what == "chat":
        fields.setdefault("messages", [{"role": "user", "content": "hi"}])
    return browser.post(
        f"{gateway.web_url}/dashboard/{addon.uuid}/playground/{what}",
        json={"model": addon.model, **fields},
        timeout=300,
    )


def test_an_answer_streams_without_a_key_and_is_metered_and_limited_like_any_other(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    with opened(gateway, addon) as browser:
        assert not any(addon.key in value for value in browser.cookies.values())
        answer = play(gateway, browser, addon, stream=True, stream_options={"include_usage": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-ratelimit-remaining-requests"] == "149"
    assert answer.text.endswith("data: [DONE]\n\n")
    rows = gateway.usage(addon)
    assert [str(row["id"]) for row in rows] == [answer.headers["x-request-id"]]
    assert rows[0]["streamed"]


def test_a_reranker_s_playground_ranks(gateway: Gateway) -> None:
    addon = gateway.provision("cohere-rerank-3-5")
    with opened(gateway, addon) as browser:
        answer = play(
            gateway,
            browser,
            addon,
            "rerank",
            query="reset my password",
            documents=["Opening hours: nine to five.", "Reset a forgotten password on the login page."],
        )
    assert [row["index"] for row in answer.json()["results"]] == [1, 0]
    assert [row["search_units"] for row in gateway.usage(addon)] == [1]


def test_without_a_session_of_this_very_addon_there_is_no_answer(gateway: Gateway) -> None:
    addon, other = gateway.provision("nova-lite"), gateway.provision("nova-lite")
    stranger = requests.Session()
    stranger.headers["Origin"] = gateway.web_url
    with stranger, opened(gateway, other) as neighbour:
        refused = [play(gateway, browser, addon) for browser in (stranger, neighbour)]
    assert [answer.status_code for answer in refused] == [401, 401]
    assert refused[0].json()["id"] == "session_needed"
    assert gateway.usage(addon) == gateway.usage(other) == []


def test_who_heroku_did_not_name_may_only_look(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    with opened(gateway, addon, user_scoped_resource_token=None) as viewer:
        answer = play(gateway, viewer, addon)
    assert (answer.status_code, answer.json()["id"]) == (403, "identity_needed")
    assert gateway.usage(addon) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
    ids=str,
)
def test_a_request_that_another_site_could_make_is_refused(gateway: Gateway, headers: dict[str, Any]) -> None:
    # Of its own: two logins of one add-on in one second have the same tokens, of which each works once.
    addon = gateway.provision("nova-lite")
    with opened(gateway, addon) as browser:
        answer = browser.post(
            f"{gateway.web_url}/dashboard/{addon.uuid}/playground/chat",
            data=json.dumps({"model": addon.model, "messages": [{"role": "user", "content": "hi"}]}),
            headers={"Content-Type": "application/json", **headers},
            timeout=300,
        )
    assert (answer.status_code, answer.json()["id"]) == (403, "not_from_the_dashboard")


def test_the_playground_of_a_removed_addon_is_closed(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    with opened(gateway, addon) as browser:
        gateway.partner("inference", "DELETE", f"/{addon.uuid}")
        answer = play(gateway, browser, addon)
    assert answer.status_code == 410


def test_a_stopped_answer_is_metered_for_what_was_produced(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    script = json.dumps({"say": "word " * 200, "delay": 0.03})
    with opened(gateway, addon) as browser:
        answer = browser.post(
            f"{gateway.web_url}/dashboard/{addon.uuid}/playground/chat",
            json={
                "model": addon.model,
                "stream": True,
                "messages": [{"role": "user", "content": script}],
            },
            stream=True,
            timeout=300,
        )
        next(answer.iter_lines())
        answer.close()
    rows = until(lambda: gateway.usage(addon), seconds=5)
    assert rows[0]["outcome"] == "hung_up"


def test_other_addresses_of_the_dashboard_are_django_s_and_get_is_refused(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    with opened(gateway, addon) as browser:
        address = f"{gateway.web_url}/dashboard/{addon.uuid}/playground"
        assert browser.get(f"{address}/chat", timeout=300).status_code == 405
        assert browser.post(f"{address}/other", json={}, timeout=300).status_code == 404
        assert browser.post(f"{gateway.web_url}/dashboard/x/playground/chat", timeout=300).status_code == 404
