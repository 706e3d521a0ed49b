"""Heroku's own command line carries out its add-on commands against the sandbox."""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Thread

import pytest

from tests.sandbox.support import Service, eventually
from tests.support.heroku_cli import HerokuCli

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("heroku-cli")]


@pytest.fixture
def heroku(service: Service, tmp_path: Path) -> HerokuCli:
    """A developer's CLI before the sandbox."""
    return HerokuCli(tmp_path, sandbox_url=service.url, environment={"HEROKU_INFERENCE_ADDON": service.slug})


def test_an_add_on_is_created_awaited_shown_changed_opened_and_destroyed(
    heroku: HerokuCli, service: Service
) -> None:
    service.conduct.provision_status = 202
    app = service.app()
    created = heroku("addons:create", f"{service.slug}:free", "-a", app)
    assert "Welcome." in created
    assert "being created in the background" in created
    (addon,) = service.customer.ok("GET", f"/apps/{app}/addons")
    partner = service.partner()
    values = [{"name": name, "value": value} for name, value in service.conduct.config.items()]
    partner.ok("PATCH", f"/addons/{addon['id']}/config", {"config": values})
    partner.ok("POST", f"/addons/{addon['id']}/actions/provision")
    heroku("addons:wait", "-a", app)
    info = heroku("addons:info", service.slug, "-a", app)
    assert "State:        created" in info
    assert f"{app}::{service.prefix}" in info
    assert json.loads(heroku("config", "-a", app, "--json")) == service.conduct.config
    assert addon["name"] in heroku("addons", "-a", app)
    assert "$20/month" in heroku("addons:plans", service.slug)
    assert service.slug in heroku("addons:services")
    moved = heroku("addons:upgrade", service.slug, f"{service.slug}:basic", "-a", app)
    assert "Moved to basic." in moved
    assert addon["web_url"] in heroku("addons:open", service.slug, "-a", app, "--show-url")
    assert "Attach" in heroku("releases", "-a", app)
    assert "done" in heroku("addons:destroy", addon["name"], "-a", app, "--confirm", app)
    assert "No add-ons" in heroku("addons", "-a", app)


def test_creating_waits_for_a_provider_that_finishes_later(heroku: HerokuCli, service: Service) -> None:
    service.conduct.provision_status = 202
    app = service.app()
    outcome: list[str] = []

    waiting = Thread(
        target=lambda: outcome.append(heroku("addons:create", service.slug, "-a", app, "--wait"))
    )
    waiting.start()
    (addon,) = eventually(lambda: service.customer.ok("GET", f"/apps/{app}/addons"), seconds=30)
    service.partner().ok("POST", f"/addons/{addon['id']}/actions/provision")
    waiting.join()
    assert f"Created {addon['name']}" in outcome[0]


def test_a_provider_that_gives_up_ends_the_waiting(heroku: HerokuCli, service: Service) -> None:
    service.conduct.provision_status = 202
    app = service.app()
    addon = service.created(app)
    partner = service.partner()
    partner.ok("POST", f"/addons/{addon['id']}/actions/deprovision")
    text = heroku("addons:wait", addon["name"], "-a", app, fails=True)
    assert "find that add-on" in text or "deprovisioned" in text


def test_a_refusal_is_printed_with_the_providers_words(heroku: HerokuCli, service: Service) -> None:
    service.conduct.script["POST"] = [(422, {"message": "Choose another region."})]
    text = heroku("addons:create", service.slug, "-a", service.app(), fails=True)
    assert re.search(r"Choose\W+another\W+region", text)


def test_resources_are_shared_renamed_and_detached(heroku: HerokuCli, service: Service) -> None:
    app, other = service.app(), service.app()
    addon = service.created(app)
    assert "done" in heroku("addons:attach", addon["name"], "-a", other, "--as", "SHARED")
    assert "SHARED_URL" in heroku("config", "-a", other)
    heroku("addons:rename", addon["name"], f"{service.slug}-new")
    heroku("addons:detach", "SHARED", "-a", other)
    assert service.config(other) == {}


def test_the_ai_plugin_creates_and_destroys_a_model(heroku: HerokuCli, service: Service) -> None:
    heroku.link_ai_plugin()
    app = service.app()
    assert "Resource alias: LLM" in heroku("ai:models:create", "free", "-a", app, "--as", "LLM")
    assert set(service.config(app)) == {"LLM_URL", "LLM_KEY"}
    heroku("ai:models:destroy", "LLM", "-a", app, "--confirm", app)
    assert service.customer.ok("GET", f"/apps/{app}/addons") == []
