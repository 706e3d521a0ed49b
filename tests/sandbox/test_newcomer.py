"""What a developer does first: start the sandbox alone, and hand it an add-on manifest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.sandbox.fake_provider import FakeProvider
from tests.sandbox.support import ROOT, SandboxProcess, Service

README = ROOT / "sandbox" / "README.md"


@pytest.fixture
def newcomer(own_sandbox: SandboxProcess, provider: FakeProvider) -> Service:
    """A provider on this machine whose manifest names the place where it really runs; not registered yet."""
    return Service(own_sandbox.url, provider, "newcomer")


def manifest(service: Service) -> dict[str, Any]:
    """Its addon-manifest.json."""
    found: dict[str, Any] = service.entry()["manifest"]
    host = "https://addon.example.com"
    found["api"]["production"] = {"base_url": f"{host}/resources", "sso_url": f"{host}/newcomer/sso/login"}
    return found


def register(service: Service, path: Path, document: Any, *options: str) -> subprocess.CompletedProcess[str]:
    """The command, with the document in a file."""
    path.write_text(json.dumps(document))
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "register", str(path), "--sandbox", service.url, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_manifest_and_a_base_url_are_enough(newcomer: Service, tmp_path: Path) -> None:
    here = newcomer.provider.url("newcomer", "/heroku/resources")
    done = register(newcomer, tmp_path / "addon-manifest.json", manifest(newcomer), "--base-url", here)
    assert (done.returncode, done.stdout) == (0, "registered: newcomer\n"), done.stderr
    app = newcomer.app()
    addon = newcomer.created(app, "test")
    assert newcomer.exchange().ok
    assert newcomer.token(grant_type="refresh_token", refresh_token="no such token").status_code == 401
    login = newcomer.customer.ok("GET", f"/apps/{app}/addons/{addon['id']}/sso")
    assert login["action"] == newcomer.provider.url("newcomer", "/sso/login")


def test_plans_addresses_and_secret_can_be_named(newcomer: Service, tmp_path: Path) -> None:
    options = ["--base-url", newcomer.provider.url("newcomer", "/heroku/resources")]
    options += ["--sso-url", "http://127.0.0.1:1/login", "--client-secret", "c1"]
    options += ["--plan", "small", "--plan", "large"]
    done = register(newcomer, tmp_path / "addon-manifest.json", manifest(newcomer), *options)
    assert done.returncode == 0, done.stderr
    plans = newcomer.customer.ok("GET", "/addon-services/newcomer/plans")
    assert [(plan["name"], plan["default"]) for plan in plans] == [
        ("newcomer:small", True),
        ("newcomer:large", False),
    ]
    addon = newcomer.created(plan="large")
    assert newcomer.exchange().status_code == 401
    form = {"grant_type": "authorization_code", "code": newcomer.grant(), "client_secret": "c1"}
    assert newcomer.token(**form).ok
    app = addon["app"]["name"]
    login = newcomer.customer.ok("GET", f"/apps/{app}/addons/{addon['id']}/sso")
    assert login["action"] == "http://127.0.0.1:1/login"


def test_the_page_takes_a_manifest_too(newcomer: Service) -> None:
    app = newcomer.app()
    form = {"app": app, "document": json.dumps(manifest(newcomer)), "plans": "small, large", "sso_url": ""}
    form["base_url"] = newcomer.provider.url("newcomer", "/heroku/resources")
    shown = requests.post(newcomer.url + "/page/services", data=form, timeout=10).text
    assert "Registered The newcomer." in shown
    assert 'value="newcomer:large"' in shown
    assert newcomer.create(app, "large").status_code == 201
    form["document"] = json.dumps({"services": [newcomer.entry()]})
    shown = requests.post(newcomer.url + "/page/services", data=form, timeout=10).text
    assert "a services.json has them inside" in shown


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"services": []}, "a services.json has them inside"),
        ([], "must be an add-on manifest"),
        ({"id": "x"}, "must be an add-on manifest"),
    ],
)
def test_options_that_do_not_fit_the_file_are_refused(
    newcomer: Service, tmp_path: Path, document: Any, complaint: str
) -> None:
    done = register(newcomer, tmp_path / "some.json", document, "--base-url", "http://127.0.0.1:1/")
    assert done.returncode == 1
    assert complaint in done.stderr
    assert requests.get(newcomer.url + "/sandbox/services", timeout=10).json() == {"services": []}


def test_the_readme_s_services_json_is_one(newcomer: Service, tmp_path: Path) -> None:
    example = re.search(r'^    \{"services".*?\n\n', README.read_text(), re.DOTALL | re.MULTILINE)
    assert example
    done = register(newcomer, tmp_path / "services.json", json.loads(example[0]))
    assert done.stdout == "registered: acme-llm\n", done.stderr


def test_the_folder_alone_is_a_whole_sandbox_with_a_readable_page(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sandbox", tmp_path / "sandbox", ignore=shutil.ignore_patterns("static"))
    running = SandboxProcess(tmp_path / "data", folder=tmp_path)
    try:
        answer = requests.get(running.url, timeout=10)
        nonce = re.search(r"style-src 'self' 'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        assert nonce
        assert f'<style nonce="{nonce[1]}">/* Where the bundle was not built' in answer.text
        assert "sandbox.css" not in answer.text
    finally:
        running.stop()
