"""The Platform API's manners: who may call, versions, shapes, apps, config vars, attachments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.sandbox.support import ACCEPT, Client, SandboxProcess, Service

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_calls_without_credentials_are_401_with_herokus_error_body(sandbox: SandboxProcess) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic !!"},
        {"Authorization": "Token x"},
    ):
        answer = requests.get(sandbox.url + "/apps", headers={"Accept": ACCEPT, **headers}, timeout=10)
        assert answer.status_code == 401
        assert answer.json()["id"] == "unauthorized"


def test_basic_credentials_serve_as_well_as_bearer(sandbox: SandboxProcess) -> None:
    answer = requests.get(
        sandbox.url + "/account", headers={"Accept": ACCEPT}, auth=("", "any-api-key"), timeout=10
    )
    assert answer.json()["email"] == "developer@example.com"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/vnd.heroku+json", ""])
def test_a_call_without_version_three_is_406(customer: Client, accept: str) -> None:
    assert customer.call("GET", "/apps", Accept=accept).status_code == 406


@pytest.mark.parametrize(
    "accept", [ACCEPT, "application/vnd.heroku+json;version=3.sdk", f"text/html, {ACCEPT}"]
)
def test_every_way_to_ask_for_version_three_works(customer: Client, accept: str) -> None:
    assert customer.call("GET", "/apps", Accept=accept).status_code == 200


def test_unknown_paths_methods_and_bodies_are_answered_in_json(
    customer: Client, sandbox: SandboxProcess
) -> None:
    assert customer.call("GET", "/nowhere").json()["id"] == "not_found"
    assert customer.call("PUT", "/apps").status_code == 405
    headers = {"Accept": ACCEPT, "Authorization": "Bearer x"}
    for body in (b"{", b"[]", b"\xff"):
        answer = requests.post(sandbox.url + "/apps", data=body, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["id"]) == (400, "bad_request")


def test_an_example_app_is_there_from_the_start(own_sandbox: SandboxProcess) -> None:
    (app,) = Client(own_sandbox.url).ok("GET", "/apps")
    assert app["name"] == "example-app"
    assert app["owner"]["email"] == "developer@example.com"


def test_apps_are_created_renamed_and_their_names_unique(customer: Client, service: Service) -> None:
    name = service.app()
    assert customer.call("POST", "/apps", {"name": name}).status_code == 422
    assert customer.call("POST", "/apps", {"name": "Bad Name"}).status_code == 422
    assert customer.call("POST", "/apps", {"region": "mars"}).status_code == 422
    assert customer.call("POST", "/apps", {"name": 7}).status_code == 422
    renamed = customer.ok("PATCH", f"/apps/{name}", {"name": f"{name}-x"})
    assert customer.ok("GET", f"/apps/{renamed['id']}")["name"] == f"{name}-x"
    assert customer.ok("POST", "/apps", {"region": {"name": "eu"}})["region"]["name"] == "eu"


def test_an_app_in_europe_is_announced_to_the_provider_as_such(service: Service) -> None:
    name = service.customer.ok("POST", "/apps", {"region": "eu"})["name"]
    service.created(name)
    assert service.calls("POST")[0].body["region"] == "amazon-web-services::eu-west-1"
    tokyo = service.customer.ok("POST", "/apps", {"region": "tokyo"})["name"]
    assert "not available" in service.create(tokyo).json()["message"]
    assert len(service.calls("POST")) == 1


def _check(shown: Any, expected: dict[str, Any], where: str = "") -> None:
    """Members and types as Heroku's published schema gives them."""
    for name, kind in expected.items():
        assert name in shown, f"{where}{name} is missing"
        value = shown[name]
        if isinstance(kind, dict):
            _check(value, kind, f"{where}{name}.")
        elif isinstance(kind, re.Pattern):
            assert kind.fullmatch(value), f"{where}{name} is {value!r}"
        else:
            assert isinstance(value, kind), f"{where}{name} is {value!r}"


NAMED = {"id": UUID, "name": str}
ADDON = {
    "actions": list,
    "addon_service": NAMED,
    "app": NAMED,
    "config_vars": list,
    "id": UUID,
    "plan": NAMED,
    "name": re.compile(r"[a-zA-Z][A-Za-z0-9_-]+"),
    "provider_id": (str, type(None)),
    "web_url": str,
    "billed_price": {"cents": int, "contract": bool, "unit": str},
    "created_at": TIME,
    "updated_at": TIME,
    "billing_entity": {"id": UUID, "name": str, "type": re.compile("app|team")},
    "state": re.compile("provisioning|provisioned|deprovisioned"),
}
PLAN = {
    "id": UUID,
    "name": str,
    "human_name": str,
    "description": str,
    "default": bool,
    "space_default": bool,
    "price": {"cents": int, "unit": str, "contract": bool},
    "state": str,
    "visible": bool,
    "addon_service": NAMED,
    "installable_inside_private_network": bool,
    "compliance": (list, type(None)),
    "installable_outside_private_network": bool,
    "created_at": TIME,
    "updated_at": TIME,
}
SERVICE = {
    "id": UUID,
    "name": str,
    "human_name": str,
    "state": re.compile("alpha|beta|ga|shutdown"),
    "cli_plugin_name": (str, type(None)),
    "supports_multiple_installations": bool,
    "supports_sharing": bool,
    "created_at": TIME,
    "updated_at": TIME,
}
ATTACHMENT = {
    "id": UUID,
    "name": str,
    "app": NAMED,
    "addon": {"id": UUID, "name": str, "app": NAMED},
    "namespace": (str, type(None)),
    "web_url": str,
    "log_input_url": (str, type(None)),
    "created_at": TIME,
}
APP = {
    "id": UUID,
    "name": str,
    "region": NAMED,
    "stack": NAMED,
    "build_stack": NAMED,
    "web_url": str,
    "owner": {"id": UUID, "email": str},
    "git_url": str,
    "maintenance": bool,
    "created_at": TIME,
    "archived_at": type(None),
    "space": type(None),
    "team": type(None),
    "acm": bool,
    "updated_at": TIME,
}
RELEASE = {
    "id": UUID,
    "version": int,
    "description": str,
    "status": str,
    "current": bool,
    "app": NAMED,
    "user": {"id": UUID, "email": str},
    "addon_plan_names": list,
    "slug": (dict, type(None)),
    "created_at": TIME,
}
COLLABORATOR = {
    "id": UUID,
    "app": NAMED,
    "user": {"id": UUID, "email": str, "federated": bool},
    "created_at": TIME,
}


def test_bodies_have_the_members_of_herokus_published_schema(service: Service) -> None:
    customer, app = service.customer, service.app()
    addon = service.created(app)
    _check(addon, ADDON)
    _check(customer.ok("GET", f"/addons/{addon['name']}"), ADDON)
    _check(customer.ok("GET", f"/apps/{app}/addons", Accept_Expansion="plan")[0]["plan"], PLAN)
    _check(customer.ok("GET", f"/addon-services/{service.slug}"), SERVICE)
    for plan in customer.ok("GET", f"/addon-services/{service.slug}/plans"):
        _check(plan, PLAN)
    _check(customer.ok("GET", f"/plans/{service.slug}:basic"), PLAN)
    _check(customer.ok("GET", f"/apps/{app}/addon-attachments")[0], ATTACHMENT)
    _check(customer.ok("GET", f"/apps/{app}"), APP)
    _check(customer.ok("GET", f"/apps/{app}/releases")[-1], RELEASE)
    _check(customer.ok("GET", f"/apps/{app}/collaborators")[0], COLLABORATOR)
    assert customer.ok("GET", f"/apps/{app}/collaborators")[0]["role"] == "owner"


def test_unknown_services_and_plans_are_404(service: Service) -> None:
    app = service.app()
    for plan in ("no-such-service", "no-such-service:free", f"{service.slug}:gold"):
        answer = service.customer.call("POST", f"/apps/{app}/addons", {"plan": {"name": plan}})
        assert answer.status_code == 404
    assert service.customer.call("POST", f"/apps/{app}/addons", {}).status_code == 422
    assert service.calls() == []


def test_a_service_without_a_plan_means_its_default_plan(service: Service) -> None:
    answer = service.customer.ok("POST", f"/apps/{service.app()}/addons", {"plan": service.slug})
    assert answer["plan"]["name"] == f"{service.slug}:free"


def test_the_first_attachment_has_the_prefix_the_next_a_colour_and_as_is_honoured(service: Service) -> None:
    app = service.app()
    service.created(app)
    service.created(app)
    service.created(app, attachment={"name": "FAST_ONE"})
    assert set(service.config(app)) == {
        f"{name}_{end}"
        for name in (service.prefix, f"{service.prefix}_AMBER", "FAST_ONE")
        for end in ("URL", "KEY")
    }
    taken = service.create(app, attachment={"name": "FAST_ONE"})
    assert taken.status_code == 422
    assert len(service.calls("POST")) == 3


def test_a_service_that_is_not_many_per_app_is_installed_once(service: Service) -> None:
    service.register(requires=[])
    app = service.app()
    service.created(app)
    assert "already installed" in service.create(app).json()["message"]
    assert service.create(service.app()).status_code == 201


def test_a_shared_resource_appears_on_both_apps_and_every_patch_releases_both(service: Service) -> None:
    owner, other = service.app(), service.app()
    addon = service.created(owner)
    body = {"addon": addon["name"], "app": other, "name": "SHARED"}
    made = service.customer.ok("POST", "/addon-attachments", body)
    assert made["name"] == "SHARED"
    assert service.config(other) == {"SHARED_URL": "https://service.example/", "SHARED_KEY": "k1"}
    before = len(service.releases(owner)), len(service.releases(other))
    partner = service.partner()
    seen = partner.ok("GET", f"/addons/{addon['id']}/addon-attachments")
    assert {(one["app"]["name"], one["name"]) for one in seen} == {(owner, service.prefix), (other, "SHARED")}
    change = {"config": [{"name": f"{service.prefix}_KEY", "value": "k2"}]}
    partner.ok("PATCH", f"/addons/{addon['id']}/config", change)
    assert (len(service.releases(owner)), len(service.releases(other))) == (before[0] + 1, before[1] + 1)
    assert service.config(other)["SHARED_KEY"] == "k2"
    service.customer.ok("DELETE", f"/addon-attachments/{made['id']}")
    assert service.config(other) == {}
    (last,) = service.customer.ok("GET", f"/addons/{addon['id']}/addon-attachments")
    assert service.customer.call("DELETE", f"/addon-attachments/{last['id']}").status_code == 422


def test_an_apps_own_config_vars_stand_beside_those_of_add_ons(service: Service) -> None:
    app = service.app()
    service.created(app)
    path = f"/apps/{app}/config-vars"
    assert service.customer.ok("PATCH", path, {"MINE": "x", "OTHER": "y"})["MINE"] == "x"
    assert "OTHER" not in service.customer.ok("PATCH", path, {"OTHER": None})
    assert service.customer.call("PATCH", path, {f"{service.prefix}_KEY": "mine"}).status_code == 422
    assert service.customer.call("PATCH", path, {"BIG": "x" * 40_000}).status_code == 422
    assert service.customer.call("PATCH", path, {"MINE": 5}).status_code == 422
    assert service.config(app) == {"MINE": "x", **service.conduct.config}
    assert len(service.releases(app)) == 4


def test_resolving_understands_ids_names_attachments_and_services(service: Service) -> None:
    app = service.app()
    addon = service.created(app, attachment={"name": "ALIAS"})
    for reference in (addon["id"], addon["name"], "ALIAS", service.slug, f"{app}::ALIAS"):
        (found,) = service.customer.ok("POST", "/actions/addons/resolve", {"addon": reference, "app": app})
        assert found["id"] == addon["id"]
    (found,) = service.customer.ok(
        "POST", "/actions/addon-attachments/resolve", {"addon_attachment": "ALIAS", "app": app}
    )
    assert found["addon"]["id"] == addon["id"]
    missing = service.customer.call("POST", "/actions/addons/resolve", {"addon": "nothing", "app": app})
    assert (missing.status_code, missing.json()["resource"]) == (404, "add_on")
    service.created(app)
    both = service.customer.ok("POST", "/actions/addons/resolve", {"addon": service.slug, "app": app})
    assert len(both) == 2
    ambiguous = service.customer.call("DELETE", f"/apps/{app}/addons/{service.slug}")
    assert ambiguous.json()["id"] == "multiple_matches"


def test_releases_page_by_range(service: Service) -> None:
    app = service.app()
    for number in range(3):
        service.customer.ok("PATCH", f"/apps/{app}/config-vars", {"N": str(number)})
    answer = service.customer.call("GET", f"/apps/{app}/releases", Range="version ..; order=desc,max=2")
    assert answer.status_code == 206
    assert [release["version"] for release in answer.json()] == [4, 3]
    assert answer.json()[0]["current"] is True


def test_collaborators_come_and_go(service: Service) -> None:
    path = f"/apps/{service.app()}/collaborators"
    for _ in range(2):
        service.customer.ok("POST", path, {"user": "second@example.com"})
    assert [one["role"] for one in service.customer.ok("GET", path)] == ["owner", "member"]
    service.customer.ok("DELETE", f"{path}/second@example.com")
    assert len(service.customer.ok("GET", path)) == 1
    assert service.customer.call("DELETE", f"{path}/developer@example.com").status_code == 422


def test_an_add_on_can_be_renamed_and_names_are_unique(service: Service) -> None:
    app = service.app()
    first, second = service.created(app), service.created(app)
    path = f"/apps/{app}/addons/{first['id']}"
    assert (
        service.customer.ok("PATCH", path, {"name": f"{service.slug}-mine"})["name"] == f"{service.slug}-mine"
    )
    assert service.customer.call("PATCH", path, {"name": second["name"]}).status_code == 422
    assert service.create(app, name=second["name"]).status_code == 422


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"oauth_client_secret": ""}, "oauth_client_secret"),
        ({"plans": []}, "plans"),
        ({"plans": [{"name": "x", "price": {"cents": 1.5}}]}, "cents"),
        ({"plans": [{"name": "x"}, {"name": "x"}]}, "differ"),
        ({"manifest": {"id": "x", "api": {}}}, "password"),
        ({"manifest": None}, "manifest"),
    ],
)
def test_a_bad_services_document_is_refused_as_a_whole(
    service: Service, change: dict[str, Any], complaint: str
) -> None:
    good = service.entry()
    good["manifest"]["id"] = f"{service.slug}-new"
    good["manifest"]["api"]["config_vars"] = []
    bad = {**service.entry(), **change}
    answer = requests.post(service.url + "/sandbox/services", json={"services": [good, bad]}, timeout=10)
    assert answer.status_code == 422
    assert complaint in answer.json()["message"]
    assert service.customer.call("GET", f"/addon-services/{service.slug}-new").status_code == 404


def test_registering_again_is_harmless_and_a_dropped_plan_stays_for_its_add_ons(service: Service) -> None:
    addon = service.created()
    plan = service.customer.ok("GET", f"/plans/{service.slug}:free")
    service.register()
    assert service.customer.ok("GET", f"/plans/{service.slug}:free")["id"] == plan["id"]
    service.register(plans=[{"name": "basic", "price": {"cents": 1, "unit": "month"}}])
    assert service.customer.ok("GET", f"/addons/{addon['id']}")["plan"]["name"] == f"{service.slug}:free"
    assert service.create(service.app(), "free").status_code == 404
    names = [one["name"] for one in service.customer.ok("GET", f"/addon-services/{service.slug}/plans")]
    assert names == [f"{service.slug}:basic"]


def test_other_web_sites_may_not_change_anything(
    sandbox: SandboxProcess, offer: Callable[[SandboxProcess], Service]
) -> None:
    for path in ("/sandbox/services", "/sandbox/clock", "/page/apps"):
        answer = requests.post(sandbox.url + path, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
        assert answer.status_code == 403
