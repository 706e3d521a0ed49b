"""The main job: Heroku adds, changes and removes each add-on service through the real HTTP APIs."""

import json
import time
from pathlib import Path

import pytest
import requests

from tests.support.heroku_cli import HerokuCli
from tests.support.stack import Stack, until

JOURNEYS = [
    ("inference", "nova-pro", "nova-lite", {"INFERENCE_URL", "INFERENCE_KEY", "INFERENCE_MODEL_ID"}),
    (
        "kafkacluster",
        "free",
        "basic-0",
        {
            "KAFKACLUSTER_USERNAME",
            "KAFKACLUSTER_PASSWORD",
            "KAFKACLUSTER_SASL_METHOD",
            "KAFKACLUSTER_BROKERS",
        },
    ),
    ("mobiloud", "test", "starter", {"MOBILOUD_URL"}),
]


@pytest.mark.parametrize(("service", "plan", "other_plan", "names"), JOURNEYS)
def test_an_addon_is_added_changed_and_removed(
    stack: Stack, service: str, plan: str, other_plan: str, names: set[str]
) -> None:
    app = stack.new_app()
    added = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": f"{service}:{plan}"}})
    assert added.status_code == 201, added.text
    addon = added.json()["id"]
    until(lambda: stack.addon(addon)["state"] == "provisioned", seconds=15)

    config = stack.customer("GET", f"/apps/{app}/config-vars").json()
    assert names <= config.keys()
    assert all(config[name] for name in names)

    changed = stack.customer(
        "PATCH", f"/apps/{app}/addons/{addon}", {"plan": {"name": f"{service}:{other_plan}"}}
    )
    assert changed.status_code == 200, changed.text
    assert stack.addon(addon)["plan"] == other_plan

    removed = stack.customer("DELETE", f"/apps/{app}/addons/{addon}")
    assert removed.status_code == 200, removed.text
    until(lambda: stack.addon(addon)["state"] == "deprovisioned")
    assert not names & stack.customer("GET", f"/apps/{app}/config-vars").json().keys()
    until(
        lambda: (
            stack.rows("SELECT state FROM provisioning_resource WHERE uuid = %s", addon)[0]["state"]
            == "deprovisioned"
        )
    )


def test_the_app_s_own_log_tells_of_a_plan_change(stack: Stack) -> None:
    app = stack.new_app()
    added = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "inference:nova-lite"}})
    addon = added.json()["id"]
    until(lambda: stack.addon(addon)["state"] == "provisioned", seconds=300)
    stack.wait_for_operations()
    changed = stack.customer("PATCH", f"/apps/{app}/addons/{addon}", {"plan": {"name": "inference:nova-pro"}})
    assert changed.status_code == 200, changed.text

    def logged() -> list[str]:
        return [event["summary"] for event in stack.events(addon) if event["kind"] == "log"]

    line = until(logged, seconds=300)[0]
    assert "inference - - Plan changed from Amazon Nova Lite to Amazon Nova Pro" in line


def test_an_asynchronous_provision_ends_within_three_seconds_when_nothing_is_in_the_way(stack: Stack) -> None:
    app, began = stack.new_app(), time.monotonic()
    addon = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:free"}}).json()[
        "id"
    ]
    until(lambda: stack.addon(addon)["state"] == "provisioned", seconds=10)
    # A bound against a wake-up that never comes (the sweeper would be slower), not a measurement.
    assert time.monotonic() - began < 8
    assert stack.addon(addon)["actions"]["provision"] == 1


def test_a_refusal_reaches_the_customer_in_our_words_and_leaves_no_addon(stack: Stack) -> None:
    app = stack.new_app()
    plan = {"plan": {"name": "inference:nova-pro"}}
    addon = stack.customer("POST", f"/apps/{app}/addons", plan).json()["id"]
    refused = stack.customer(
        "PATCH", f"/apps/{app}/addons/{addon}", {"plan": {"name": "inference:amazon-rerank-1-0"}}
    )
    assert refused.status_code == 422
    assert "your app calls them differently" in refused.json()["message"]
    assert stack.addon(addon)["plan"] == "nova-pro"
    options = {"plan": {"name": "mobiloud:test"}, "config": {"website": "javascript:alert(1)"}}
    assert stack.customer("POST", f"/apps/{app}/addons", options).status_code == 422
    assert [found["id"] for found in stack.customer("GET", f"/apps/{app}/addons").json()] == [addon]


@pytest.mark.slow
def test_heroku_s_command_line_carries_an_add_on_through_its_life(stack: Stack, tmp_path: Path) -> None:
    heroku, app = HerokuCli(tmp_path, sandbox_url=stack.sandbox_url), stack.new_app()
    created = heroku("addons:create", "kafkacluster:free", "-a", app, "--wait")
    name = str(stack.customer("GET", f"/apps/{app}/addons").json()[0]["name"])
    assert f"Created {name} as KAFKACLUSTER_" in created
    config = json.loads(heroku("config", "-a", app, "--json"))
    assert config["KAFKACLUSTER_USERNAME"]
    assert heroku("config:get", "KAFKACLUSTER_BROKERS", "-a", app).strip() == config["KAFKACLUSTER_BROKERS"]
    info = heroku("addons:info", "kafkacluster", "-a", app)
    assert "Plan:         kafkacluster:free" in info
    assert "State:        created" in info
    assert "done" in heroku("addons:upgrade", "kafkacluster:basic-0", "-a", app)
    shown = heroku("addons:open", "kafkacluster", "-a", app, "--show-url")
    assert requests.get(shown.strip(), timeout=10).status_code == 200
    assert "done" in heroku("addons:destroy", "kafkacluster", "-a", app, "--confirm", app)
    until(lambda: stack.addon(name)["state"] == "deprovisioned")
    assert stack.customer("GET", f"/apps/{app}/config-vars").json() == {}
