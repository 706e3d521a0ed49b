"""Heroku's own command line carries out its add-on commands against the sandbox."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from tests.sandbox.support import ROOT, Service, eventually

PACKAGE = Path(__file__).parent / "cli" / "package.json"
FOLDER = ROOT / ".data" / "heroku-cli"
Cli = Callable[..., str]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("heroku-cli")]


@pytest.fixture(scope="session")
def installed_cli() -> Path:
    """The folder of the CLI's programs; installed through npm once, and again when its version changes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = PACKAGE.read_text()
    stamp = FOLDER / "installed.json"
    with (FOLDER / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            shutil.copy(PACKAGE, FOLDER / "package.json")
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, timeout=900, stdout=subprocess.DEVNULL)
            stamp.write_text(wanted)
    return FOLDER / "node_modules" / ".bin"


@pytest.fixture
def heroku(installed_cli: Path, service: Service, tmp_path: Path) -> Cli:
    """Runs one command of the CLI and returns what it printed; it must succeed (or fail, when told)."""
    environment = {
        "PATH": f"{installed_cli}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CI": "true",
        "HEROKU_HOST": service.url,
        "HEROKU_API_KEY": "any-key",
        "DISABLE_TELEMETRY": "true",
        # Otherwise each command leaves a process behind that looks for a newer release.
        "HEROKU_DISABLE_AUTOUPDATE": "true",
        "HEROKU_INFERENCE_ADDON": service.slug,
        "NO_COLOR": "1",
    }

    def run(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["heroku", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        text = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, text
        return text

    return run


def test_an_add_on_is_created_awaited_shown_changed_opened_and_destroyed(
    heroku: Cli, service: Service
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


def test_creating_waits_for_a_provider_that_finishes_later(heroku: Cli, service: Service) -> None:
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


def test_a_provider_that_gives_up_ends_the_waiting(heroku: Cli, service: Service) -> None:
    service.conduct.provision_status = 202
    app = service.app()
    addon = service.created(app)
    partner = service.partner()
    partner.ok("POST", f"/addons/{addon['id']}/actions/deprovision")
    text = heroku("addons:wait", addon["name"], "-a", app, fails=True)
    assert "find that add-on" in text or "deprovisioned" in text


def test_a_refusal_is_printed_with_the_providers_words(heroku: Cli, service: Service) -> None:
    service.conduct.script["POST"] = [(422, {"message": "Choose another region."})]
    text = heroku("addons:create", service.slug, "-a", service.app(), fails=True)
    assert re.search(r"Choose\W+another\W+region", text)


def test_resources_are_shared_renamed_and_detached(heroku: Cli, service: Service) -> None:
    app, other = service.app(), service.app()
    addon = service.created(app)
    assert "done" in heroku("addons:attach", addon["name"], "-a", other, "--as", "SHARED")
    assert "SHARED_URL" in heroku("config", "-a", other)
    heroku("addons:rename", addon["name"], f"{service.slug}-new")
    heroku("addons:detach", "SHARED", "-a", other)
    assert service.config(other) == {}


def test_the_ai_plugin_creates_and_destroys_a_model(
    heroku: Cli, service: Service, installed_cli: Path
) -> None:
    heroku("plugins:link", "--no-install", str(installed_cli.parent / "@heroku" / "plugin-ai"))
    app = service.app()
    assert "Resource alias: LLM" in heroku("ai:models:create", "free", "-a", app, "--as", "LLM")
    assert set(service.config(app)) == {"LLM_URL", "LLM_KEY"}
    heroku("ai:models:destroy", "LLM", "-a", app, "--confirm", app)
    assert service.customer.ok("GET", f"/apps/{app}/addons") == []
