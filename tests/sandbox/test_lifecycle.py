"""A resource's life: provision in the request and afterwards, plan change, deprovision, refusals, repeats."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.sandbox.support import Service, eventually


def test_the_provision_request_is_exactly_what_heroku_sends(service: Service) -> None:
    addon = service.created(config={"size": "small", "strict": True})
    (call,) = service.calls("POST")
    assert call.path == f"/{service.slug}/heroku/resources"
    basic = base64.b64encode(f"{service.slug}:{service.slug}-password".encode()).decode()
    assert call.headers["authorization"] == f"Basic {basic}"
    assert call.headers["accept"] == "application/vnd.heroku-addons+json; version=3"
    assert call.headers["content-type"] == "application/json"
    grant = call.body.pop("oauth_grant")
    assert call.body == {
        "uuid": addon["id"],
        "name": addon["name"],
        "plan": "free",
        "region": "amazon-web-services::us-east-1",
        "callback_url": f"{service.url}/addons/{addon['id']}",
        "options": {"size": "small", "strict": "true"},
    }
    assert grant["type"] == "authorization_code"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-0000", grant["expires_at"])
    left = datetime.strptime(grant["expires_at"], "%Y-%m-%dT%H:%M:%S%z") - datetime.now(UTC)
    assert 290 < left.total_seconds() <= 300


def test_a_service_that_requires_logs_gets_a_secret_url_and_a_drain_token(service: Service) -> None:
    service.register(requires=["log_input", "syslog_drain", "many_per_app"])
    service.conduct.script["POST"] = [
        (200, {"id": "r1", "config": {}, "log_drain_url": "https://logs.example/secret"})
    ]
    service.created()
    body = service.calls("POST")[0].body
    host = service.url.removeprefix("http://")
    assert re.fullmatch(rf"http://token:t\.[0-9a-f]{{32}}@{host}/logs", body["log_input_url"])
    assert body["log_drain_token"].startswith("d.")


def test_an_answer_200_sets_the_config_vars_at_once_in_one_release(service: Service) -> None:
    app = service.app()
    before = len(service.releases(app))
    addon = service.created(app)
    assert addon["state"] == "provisioned"
    assert addon["provision_message"] == "Welcome."
    assert addon["config_vars"] == [f"{service.prefix}_URL", f"{service.prefix}_KEY"]
    assert service.config(app) == service.conduct.config
    assert len(service.releases(app)) == before + 1


def test_after_202_the_provider_finishes_and_only_then_does_the_app_restart(slow_service: Service) -> None:
    service, app = slow_service, slow_service.app()
    before = service.releases(app)
    addon = service.created(app)
    assert addon["state"] == "provisioning"
    partner = service.partner()
    path = f"/addons/{addon['id']}"
    one = [{"name": f"{service.prefix}_URL", "value": "https://ready.example/"}]
    assert partner.ok("PATCH", f"{path}/config", {"config": one}) == one
    two = [{"name": f"{service.prefix}_KEY", "value": "k2"}]
    assert partner.ok("PATCH", f"{path}/config", {"config": two}) == one + two
    assert service.releases(app) == before
    assert service.config(app) == {}
    assert partner.ok("POST", f"{path}/actions/provision")["state"] == "provisioned"
    assert len(service.releases(app)) == len(before) + 1
    assert service.config(app) == {
        f"{service.prefix}_URL": "https://ready.example/",
        f"{service.prefix}_KEY": "k2",
    }
    assert service.inside(addon["id"])["actions"]["provision"] == 1


def test_a_repeated_provision_action_is_answered_alike_but_counted_apart(slow_service: Service) -> None:
    addon = slow_service.created()
    partner = slow_service.partner()
    for _ in range(3):
        assert partner.ok("POST", f"/addons/{addon['id']}/actions/provision")["state"] == "provisioned"
    assert slow_service.inside(addon["id"])["actions"] == {
        "provision": 1,
        "deprovision": 0,
        "repeated": 2,
        "refused": 0,
    }


def test_a_provider_may_give_up_after_202_and_the_waiting_cli_is_told(slow_service: Service) -> None:
    service, app = slow_service, slow_service.app()
    addon = service.created(app)
    partner = service.partner()
    answer = partner.ok("POST", f"/addons/{addon['id']}/actions/deprovision")
    assert answer["state"] == "deprovisioned"
    assert service.customer.ok("GET", f"/apps/{app}/addons/{addon['name']}")["state"] == "deprovisioned"
    assert service.customer.ok("GET", f"/apps/{app}/addons") == []
    assert partner.call("GET", f"/addons/{addon['id']}").status_code == 401
    assert service.calls("DELETE") == []


def test_a_provider_may_not_remove_what_a_customer_uses(service: Service) -> None:
    addon = service.created()
    answer = service.partner().call("POST", f"/addons/{addon['id']}/actions/deprovision")
    assert answer.status_code == 422
    assert service.inside(addon["id"])["state"] == "provisioned"


def test_a_refusal_shows_the_providers_message_and_leaves_no_add_on(service: Service) -> None:
    app = service.app()
    service.conduct.script["POST"] = [(422, {"message": "Not in this region, sorry."})]
    answer = service.create(app)
    assert answer.status_code == 422
    assert answer.json()["message"] == (
        f"An error was encountered when contacting the add-on partner to create {service.slug}:free: "
        "Not in this region, sorry."
    )
    assert service.customer.ok("GET", f"/apps/{app}/addons") == []
    assert service.customer.ok("GET", f"/apps/{app}/addon-attachments") == []
    assert len(service.calls("POST")) == 1
    assert service.calls("DELETE") == []


@pytest.mark.parametrize("trouble", [(500, {}), (503, "busy"), "reset", "hang"])
def test_a_failing_provision_is_tried_again_with_the_same_uuid(service: Service, trouble: Any) -> None:
    service.conduct.script["POST"] = [trouble]
    addon = service.created()
    assert [call.body["uuid"] for call in service.calls("POST")] == [addon["id"]] * 2
    assert addon["state"] == "provisioned"


def test_a_provision_that_keeps_failing_ends_and_is_deleted_at_the_provider(service: Service) -> None:
    app = service.app()
    service.conduct.script["POST"] = [(500, {"message": "Traceback"})] * 9
    answer = service.create(app)
    assert answer.status_code == 503
    assert "Traceback" not in answer.text
    uuids = {call.body["uuid"] for call in service.calls("POST")}
    assert len(uuids) == 1
    assert len(service.calls("POST")) == 3
    eventually(lambda: service.calls("DELETE"))
    assert service.calls("DELETE")[0].path.endswith(uuids.pop())
    assert service.customer.ok("GET", f"/apps/{app}/addons") == []


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"message": "no id"}),
        (200, {"id": 7, "config": {}}),
        (200, {"id": "x", "config": {"OTHER_NAME": "v"}}),
        (200, {"id": "x", "config": "text"}),
        (200, "not json"),
        (202, []),
    ],
)
def test_an_answer_that_breaks_the_partner_api_is_explained(service: Service, answer: Any) -> None:
    service.conduct.script["POST"] = [answer]
    refused = service.create(service.app())
    assert refused.status_code == 503
    assert "answer is not valid" in refused.json()["message"]
    eventually(lambda: service.calls("DELETE"))


def test_the_platform_knows_nothing_of_a_resource_before_the_provider_has_answered(service: Service) -> None:
    seen: dict[str, requests.Response] = {}

    def early(body: dict[str, Any]) -> None:
        seen["exchange"] = service.exchange(body["oauth_grant"]["code"])
        seen["addon"] = service.customer.call("GET", f"/addons/{body['uuid']}")

    service.conduct.during = early
    addon = service.created()
    assert seen["exchange"].status_code == 404
    assert seen["addon"].status_code == 404
    service.conduct.during = None
    assert service.partner().ok("GET", f"/addons/{addon['id']}")["id"] == addon["id"]


def test_a_plan_change_goes_to_the_provider_and_then_holds(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    path = f"/apps/{app}/addons/{addon['name']}"
    moved = service.customer.ok("PATCH", path, {"plan": {"name": f"{service.slug}:basic"}})
    assert moved["plan"]["name"] == f"{service.slug}:basic"
    assert moved["provision_message"] == "Moved to basic."
    (call,) = service.calls("PUT")
    assert call.path.endswith(addon["id"])
    assert call.body == {"plan": "basic"}
    assert service.partner().ok("GET", f"/addons/{addon['id']}")["plan"]["name"] == f"{service.slug}:basic"


def test_a_plan_change_may_bring_new_config_in_one_release(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    before = len(service.releases(app))
    service.conduct.script["PUT"] = [(200, {"config": {f"{service.prefix}_EXTRA": "more"}})]
    service.customer.ok(
        "PATCH", f"/apps/{app}/addons/{addon['id']}", {"plan": {"name": f"{service.slug}:basic"}}
    )
    assert service.config(app)[f"{service.prefix}_EXTRA"] == "more"
    assert service.config(app)[f"{service.prefix}_KEY"] == "k1"
    assert len(service.releases(app)) == before + 1


@pytest.mark.parametrize(("status", "expected"), [(422, 422), (404, 422), (500, 503)])
def test_a_refused_or_failed_plan_change_leaves_the_plan(
    service: Service, status: int, expected: int
) -> None:
    app = service.app()
    addon = service.created(app)
    service.conduct.script["PUT"] = [(status, {"message": "Too many topics."})] * 3
    path = f"/apps/{app}/addons/{addon['id']}"
    answer = service.customer.call("PATCH", path, {"plan": {"name": f"{service.slug}:basic"}})
    assert answer.status_code == expected
    assert ("Too many topics." in answer.json()["message"]) == (expected == 422)
    assert service.customer.ok("GET", path)["plan"]["name"] == f"{service.slug}:free"


def test_destroying_removes_config_attachment_and_the_providers_access(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    partner = service.partner()
    gone = service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    assert gone["state"] == "deprovisioned"
    (call,) = service.calls("DELETE")
    assert call.path.endswith(addon["id"])
    assert service.config(app) == {}
    assert service.customer.call("GET", f"/addons/{addon['id']}").status_code == 404
    assert service.customer.call("DELETE", f"/apps/{app}/addons/{addon['id']}").status_code == 404
    assert partner.call("GET", f"/addons/{addon['id']}").status_code == 401
    assert partner.call("PATCH", f"/addons/{addon['id']}/config", {"config": []}).status_code == 401


def test_410_on_delete_counts_as_gone(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    service.conduct.script["DELETE"] = [(410, {"message": "gone"})]
    assert service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")["state"] == "deprovisioned"


def test_a_failing_delete_is_repeated_until_the_provider_confirms(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    service.conduct.script["DELETE"] = [(500, {}), "reset"]
    gone = service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    assert gone["state"] == "deprovisioning"
    assert service.config(app) == {}
    eventually(lambda: service.inside(addon["id"])["state"] == "deprovisioned", seconds=15)
    assert len(service.calls("DELETE")) == 3
    assert not service.inside(addon["id"])["delete_pending"]


def test_a_refused_delete_shows_the_message_and_keeps_the_add_on(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    service.conduct.script["DELETE"] = [(422, {"message": "Pay first."})]
    answer = service.customer.call("DELETE", f"/apps/{app}/addons/{addon['id']}")
    assert answer.status_code == 422
    assert "Pay first." in answer.json()["message"]
    assert service.config(app) == service.conduct.config


def test_an_asynchronous_deprovision_ends_with_the_providers_action(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    partner = service.partner()
    service.conduct.script["DELETE"] = [(202, {})]
    assert service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")["state"] == "deprovisioning"
    assert partner.ok("GET", f"/addons/{addon['id']}")["state"] == "deprovisioning"
    assert partner.ok("POST", f"/addons/{addon['id']}/actions/deprovision")["state"] == "deprovisioned"
    assert partner.call("GET", f"/addons/{addon['id']}").status_code == 401


def test_destroying_while_provisioning_takes_the_access_away(slow_service: Service) -> None:
    service, app = slow_service, slow_service.app()
    addon = service.created(app)
    partner = service.partner()
    service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    assert partner.call("POST", f"/addons/{addon['id']}/actions/provision").status_code == 401
    assert service.inside(addon["id"])["actions"]["provision"] == 0
    assert service.customer.call("GET", f"/apps/{app}/addons/{addon['name']}").status_code == 404


def test_fifty_add_ons_at_once_all_come_to_be(service: Service) -> None:
    app = service.app()
    service.conduct.delay = 0.2
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: service.create(app), range(50)))
    assert [answer.status_code for answer in answers] == [201] * 50
    assert len({call.body["uuid"] for call in service.calls("POST")}) == 50
    assert len(service.config(app)) == 100
    versions = [release["version"] for release in service.customer.ok("GET", f"/apps/{app}/releases")]
    assert versions == list(range(1, 52))


def test_deleting_an_app_destroys_its_add_ons(service: Service) -> None:
    app = service.app()
    first, second = service.created(app), service.created(app)
    service.customer.ok("DELETE", f"/apps/{app}")
    assert {call.path.split("/")[-1] for call in service.calls("DELETE")} == {first["id"], second["id"]}
    assert service.customer.call("GET", f"/apps/{app}").status_code == 404
