"""Faults on request, on both sides, and what the event log says about them."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from tests.sandbox.support import Client, Service, eventually


def test_deliver_twice_sends_the_same_request_at_the_same_time(service: Service) -> None:
    service.fault("provider.provision", "deliver_twice")
    service.conduct.delay = 0.2
    addon = service.created()
    first, second = service.calls("POST")
    assert first.body == second.body
    assert abs(first.at - second.at) < 0.15
    assert addon["state"] == "provisioned"
    service.created()
    assert len(service.calls("POST")) == 3


def test_deliver_late_repeats_a_request_after_whatever_came_between(service: Service) -> None:
    app = service.app()
    service.fault("provider.provision", "deliver_late", seconds=0.6)
    addon = service.created(app)
    service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    eventually(lambda: len(service.calls("POST")) == 2)
    assert [call.method for call in service.calls()] == ["POST", "DELETE", "POST"]
    assert service.inside(addon["id"])["state"] == "deprovisioned"


@pytest.mark.parametrize("kind", ["drop_answer", "timeout_after_acting"])
def test_a_lost_answer_makes_heroku_ask_again(service: Service, kind: str) -> None:
    app = service.app()
    service.fault("provider.provision", kind)
    addon = service.created(app)
    assert [call.body["uuid"] for call in service.calls("POST")] == [addon["id"]] * 2
    service.fault("provider.plan_change", kind)
    service.customer.ok("PATCH", f"/apps/{app}/addons/{addon['id']}", {"plan": f"{service.slug}:basic"})
    assert len(service.calls("PUT")) == 2
    service.fault("provider.deprovision", kind)
    gone = service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    assert gone["state"] == "deprovisioning"
    eventually(lambda: service.inside(addon["id"])["state"] == "deprovisioned")
    assert len(service.calls("DELETE")) == 2


def test_when_every_answer_is_lost_the_provider_is_asked_to_clean_up(service: Service) -> None:
    service.fault("provider.provision", "drop_answer", times=3)
    assert service.create(service.app()).status_code == 503
    eventually(lambda: service.calls("DELETE"))


@pytest.mark.parametrize(("kind", "tries"), [("status_500", 1), ("status_429", 1), ("status_401", 0)])
def test_a_status_on_heroku_s_way_never_reaches_the_provider(service: Service, kind: str, tries: int) -> None:
    service.fault("provider.provision", kind)
    service.create(service.app())
    assert len(service.calls("POST")) == tries


def test_delay_holds_the_request_back(service: Service) -> None:
    service.fault("provider.provision", "delay", seconds=0.5)
    started = time.monotonic()
    service.created()
    assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize("where", ["provider.provision", "oauth"])
def test_an_expired_grant_is_refused(service: Service, where: str) -> None:
    service.fault(where, "expire_grant")
    service.created()
    refused = service.exchange()
    assert (refused.status_code, refused.json()["id"]) == (400, "invalid_grant")


@pytest.mark.parametrize(("kind", "status"), [("status_401", 401), ("status_429", 429), ("status_500", 500)])
def test_a_platform_call_fails_as_told_and_has_no_effect(
    slow_service: Service, kind: str, status: int
) -> None:
    addon = slow_service.created()
    partner = slow_service.partner()
    slow_service.fault("platform.provision", kind, seconds=7)
    answer = partner.call("POST", f"/addons/{addon['id']}/actions/provision")
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)
    assert slow_service.inside(addon["id"])["state"] == "provisioning"
    assert partner.ok("POST", f"/addons/{addon['id']}/actions/provision")["state"] == "provisioned"


@pytest.mark.parametrize(("kind", "seconds"), [("drop_answer", None), ("timeout_after_acting", 0.3)])
def test_a_platform_call_may_act_and_then_not_answer(slow_service: Service, kind: str, seconds: Any) -> None:
    addon = slow_service.created()
    partner = slow_service.partner()
    slow_service.fault("platform.provision", kind, seconds=seconds)
    with pytest.raises(requests.ConnectionError):
        partner.call("POST", f"/addons/{addon['id']}/actions/provision")
    assert slow_service.inside(addon["id"])["actions"]["provision"] == 1
    partner.ok("POST", f"/addons/{addon['id']}/actions/provision")
    assert slow_service.inside(addon["id"])["actions"] == {
        "provision": 1,
        "deprovision": 0,
        "repeated": 1,
        "refused": 0,
    }


def test_a_dropped_answer_of_the_exchange_still_uses_up_the_grant(service: Service) -> None:
    service.created()
    service.fault("oauth", "drop_answer")
    with pytest.raises(requests.ConnectionError):
        service.exchange()
    assert service.exchange().status_code == 400


def test_a_wildcard_strikes_every_call_as_often_as_told(service: Service) -> None:
    addon = service.created()
    partner = service.partner()
    armed = service.fault("platform.*", "status_500", times=2)
    for expected in (500, 500, 200):
        assert partner.call("GET", f"/addons/{addon['id']}").status_code == expected
    listed = requests.get(service.url + "/sandbox/faults", timeout=10).json()["faults"]
    (mine,) = [fault for fault in listed if fault["id"] == armed["id"]]
    assert (mine["times"], mine["hits"]) == (0, 2)


def test_a_fault_may_be_for_one_add_on_and_by_chance(service: Service) -> None:
    first, second = service.created(), service.created()
    tokens = [service.exchange(service.grant(number)).json()["access_token"] for number in (0, 1)]
    service.fault("platform.addon", "status_500", addon=first["name"], times=-1, probability=0.5)
    seen = {
        Client(service.url, tokens[0]).call("GET", f"/addons/{first['id']}").status_code for _ in range(40)
    }
    assert seen == {200, 500}
    others = {
        Client(service.url, tokens[1]).call("GET", f"/addons/{second['id']}").status_code for _ in range(10)
    }
    assert others == {200}


def test_faults_can_be_taken_back_one_by_one(service: Service) -> None:
    armed = service.fault("provider.provision", "status_500", times=-1)
    one = f"{service.url}/sandbox/faults/{armed['id']}"
    assert requests.delete(one, timeout=10).json() == {"cleared": 1}
    assert requests.delete(one, timeout=10).status_code == 404
    service.created()


@pytest.mark.parametrize(
    "body",
    [
        {"where": "nowhere", "kind": "delay"},
        {"where": "oauth", "kind": "explode"},
        {"where": "platform.addon", "kind": "deliver_twice"},
        {"where": "platform.addon", "kind": "expire_grant"},
        {"where": "oauth", "kind": "delay", "times": 0},
        {"where": "oauth", "kind": "delay", "times": "many"},
        {"where": "oauth", "kind": "delay", "probability": 2},
        {"where": "oauth", "kind": "delay", "seconds": -1},
        {"where": "oauth", "kind": "delay", "service": 3},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(service: Service, body: dict[str, Any]) -> None:
    assert requests.post(service.url + "/sandbox/faults", json=body, timeout=10).status_code == 422


def test_the_event_log_tells_the_whole_story_without_secrets(slow_service: Service) -> None:
    service = slow_service
    service.fault("provider.provision", "drop_answer")
    addon = service.created()
    pair = service.exchange().json()
    partner = Client(service.url, pair["access_token"])
    values = [{"name": f"{service.prefix}_KEY", "value": "very-secret-value"}]
    partner.ok("PATCH", f"/addons/{addon['id']}/config", {"config": values})
    partner.ok("POST", f"/addons/{addon['id']}/actions/provision")
    answer = requests.get(f"{service.url}/sandbox/events?addon={addon['name']}", timeout=10)
    kinds = [event["kind"] for event in answer.json()["events"]]
    assert kinds == [
        *(
            "state",
            "fault",
            "provider",
            "provider",
            "state",
            "partner",
            "partner",
            "state",
            "release",
            "partner",
        )
    ]
    sent = [event["detail"] for event in answer.json()["events"] if event["kind"] == "provider"]
    assert [(one["method"], one["status"]) for one in sent] == [("POST", 202), ("POST", 202)]
    assert all(one["seconds"] >= 0 for one in sent)
    for secret in (*(pair["access_token"], pair["refresh_token"]), "very-secret-value", service.grant()):
        assert secret not in answer.text
    after = answer.json()["events"][-2]["id"]
    newer = requests.get(f"{service.url}/sandbox/events?addon={addon['id']}&after={after}", timeout=10)
    assert len(newer.json()["events"]) == 1
    paged: list[str] = []
    cursor = 0
    while True:
        query = {"addon": addon["id"], "after": cursor, "limit": 3}
        part = requests.get(f"{service.url}/sandbox/events", params=query, timeout=10).json()["events"]
        if not part:
            break
        paged += [event["kind"] for event in part]
        cursor = part[-1]["id"]
    assert paged == kinds
    assert requests.get(f"{service.url}/sandbox/events?addon=unknown", timeout=10).status_code == 404
