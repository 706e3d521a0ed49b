"""The clock, the limits it drives, and the process: start, stop, kill, command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.sandbox.fake_provider import FakeProvider
from tests.sandbox.support import ROOT, Client, SandboxProcess, Service, eventually, write_services

Offer = Callable[[SandboxProcess], Service]


def set_clock(sandbox: SandboxProcess, **body: Any) -> Any:
    """Change the sandbox's clock."""
    answer = requests.post(sandbox.url + "/sandbox/clock", json=body, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def test_a_grant_lives_five_minutes(own_sandbox: SandboxProcess, offer: Offer) -> None:
    service = offer(own_sandbox)
    service.created()
    set_clock(own_sandbox, advance=299)
    assert service.exchange().status_code == 200
    service.created()
    set_clock(own_sandbox, advance=301)
    assert service.exchange().json()["id"] == "invalid_grant"


def test_an_access_token_lives_eight_hours_and_the_refresh_token_on(
    own_sandbox: SandboxProcess, offer: Offer
) -> None:
    service = offer(own_sandbox)
    addon = service.created()
    pair = service.exchange().json()
    partner = Client(own_sandbox.url, pair["access_token"])
    set_clock(own_sandbox, advance=8 * 3600 - 60)
    assert partner.call("GET", f"/addons/{addon['id']}").status_code == 200
    set_clock(own_sandbox, advance=120)
    assert partner.call("GET", f"/addons/{addon['id']}").status_code == 401
    assert service.token(grant_type="refresh_token", refresh_token=pair["refresh_token"]).status_code == 200


def test_an_unfinished_provision_is_removed_after_twelve_hours(
    own_sandbox: SandboxProcess, offer: Offer
) -> None:
    service = offer(own_sandbox)
    service.conduct.provision_status = 202
    app = service.app()
    addon = service.created(app)
    partner = service.partner()
    set_clock(own_sandbox, advance=12 * 3600 - 60)
    time.sleep(0.5)
    assert service.inside(addon["id"])["state"] == "provisioning"
    set_clock(own_sandbox, advance=120)
    eventually(lambda: service.calls("DELETE"))
    assert service.inside(addon["id"])["state"] == "deprovisioned"
    assert service.customer.ok("GET", f"/apps/{app}/addons/{addon['name']}")["state"] == "deprovisioned"
    assert partner.call("POST", f"/addons/{addon['id']}/actions/provision").status_code == 401
    eventually(lambda: not service.inside(addon["id"])["delete_pending"])


def test_an_asynchronous_deprovision_is_ended_after_twelve_hours(
    own_sandbox: SandboxProcess, offer: Offer
) -> None:
    service = offer(own_sandbox)
    app = service.app()
    addon = service.created(app)
    service.conduct.script["DELETE"] = [(202, {})]
    service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    set_clock(own_sandbox, advance=12 * 3600 + 1)
    eventually(lambda: service.inside(addon["id"])["state"] == "deprovisioned")
    assert len(service.calls("DELETE")) == 1


def test_time_can_be_sped_up_and_clients_are_told_real_seconds(
    own_sandbox: SandboxProcess, offer: Offer
) -> None:
    service = offer(own_sandbox)
    assert set_clock(own_sandbox, speed=3600)["speed"] == 3600
    before = requests.get(own_sandbox.url + "/sandbox/clock", timeout=10).json()["offset"]
    time.sleep(0.2)
    after = requests.get(own_sandbox.url + "/sandbox/clock", timeout=10).json()["offset"]
    assert 500 < after - before < 4000
    set_clock(own_sandbox, speed=60)
    service.created()
    assert service.exchange().json()["expires_in"] == 479
    back = set_clock(own_sandbox, offset=0, speed=1)
    assert abs(back["offset"]) < 1


def test_the_clock_refuses_nonsense_and_survives_a_restart(own_sandbox: SandboxProcess) -> None:
    for body in ({"speed": 0}, {"speed": "fast"}, {"advance": True}, {"hours": 3}, {"speed": -1}):
        assert requests.post(own_sandbox.url + "/sandbox/clock", json=body, timeout=10).status_code == 422
    set_clock(own_sandbox, offset=86400)
    own_sandbox.stop(signal.SIGKILL)
    own_sandbox.start()
    assert abs(requests.get(own_sandbox.url + "/sandbox/clock", timeout=10).json()["offset"] - 86400) < 1


def test_nothing_acknowledged_is_lost_by_kill_nine(own_sandbox: SandboxProcess, offer: Offer) -> None:
    service = offer(own_sandbox)
    app = service.app()
    addon = service.created(app)
    pair = service.exchange().json()
    own_sandbox.stop(signal.SIGKILL)
    own_sandbox.start()
    service.url = service.customer.url = own_sandbox.url
    assert service.config(app) == service.conduct.config
    assert (
        Client(own_sandbox.url, pair["access_token"]).ok("GET", f"/addons/{addon['id']}")["state"]
        == "provisioned"
    )


def test_a_request_interrupted_by_kill_nine_leaves_no_orphan(
    own_sandbox: SandboxProcess, offer: Offer
) -> None:
    service = offer(own_sandbox)
    app = service.app()
    service.conduct.delay = 1.0
    failures: list[Exception] = []

    def create() -> None:
        try:
            service.create(app)
        except requests.RequestException as error:
            failures.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    eventually(lambda: service.calls("POST"))
    own_sandbox.stop(signal.SIGKILL)
    thread.join()
    assert failures
    service.conduct.delay = 0
    own_sandbox.start()
    service.url = service.customer.url = own_sandbox.url
    eventually(lambda: service.calls("DELETE"))
    assert service.calls("DELETE")[0].path.endswith(service.calls("POST")[0].body["uuid"])
    assert service.customer.ok("GET", f"/apps/{app}/addons") == []


def test_a_pending_delete_goes_on_after_a_restart(own_sandbox: SandboxProcess, offer: Offer) -> None:
    service = offer(own_sandbox)
    app = service.app()
    addon = service.created(app)
    service.conduct.script["DELETE"] = [(500, {})]
    service.customer.ok("DELETE", f"/apps/{app}/addons/{addon['id']}")
    own_sandbox.stop(signal.SIGKILL)
    own_sandbox.start()
    service.url = service.customer.url = own_sandbox.url
    eventually(lambda: service.inside(addon["id"])["state"] == "deprovisioned")


def test_sigterm_stops_it_cleanly_even_with_a_provider_that_hangs(tmp_path: Path, offer: Offer) -> None:
    running = SandboxProcess(tmp_path / "data", "--provider-limit", "20")
    service = offer(running)
    service.conduct.script["POST"] = ["hang"] * 3
    app = service.app()
    answers: list[int] = []

    def create() -> None:
        try:
            answers.append(service.create(app).status_code)
        except requests.ConnectionError:
            answers.append(0)

    thread = threading.Thread(target=create)
    thread.start()
    eventually(lambda: service.calls("POST"))
    started = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - started < 10
    thread.join()
    assert answers == [0]
    assert running.errors == []


def test_two_processes_cannot_share_a_data_folder(own_sandbox: SandboxProcess) -> None:
    second = run("serve", "--port", "0", "--data", str(own_sandbox.data))
    assert second.returncode == 1
    assert "already works" in second.stderr


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line."""
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_a_taken_port_is_named(own_sandbox: SandboxProcess, tmp_path: Path) -> None:
    port = own_sandbox.url.rsplit(":", 1)[1]
    second = run("serve", "--port", port, "--data", str(tmp_path / "other"))
    assert second.returncode == 1
    assert port in second.stderr
    assert "Traceback" not in second.stderr


def test_services_are_read_at_every_start(tmp_path: Path, provider: FakeProvider) -> None:
    service = Service("http://unused", provider, "svc-at-start")
    path = write_services(tmp_path / "services.json", service)
    running = SandboxProcess(tmp_path / "data", "--services", str(path))
    try:
        assert Client(running.url).ok("GET", "/addon-services/svc-at-start")["name"] == "svc-at-start"
        running.stop()
        running.start()
        assert len(Client(running.url).ok("GET", "/addon-services")) == 1
    finally:
        running.stop()


def test_services_can_be_registered_by_command(
    own_sandbox: SandboxProcess, tmp_path: Path, provider: FakeProvider
) -> None:
    path = write_services(tmp_path / "services.json", Service("http://unused", provider, "svc-by-command"))
    done = run("register", str(path), "--sandbox", own_sandbox.url)
    assert (done.returncode, done.stdout) == (0, "registered: svc-by-command\n")
    path.write_text('{"services": [{}]}')
    refused = run("register", str(path), "--sandbox", own_sandbox.url)
    assert refused.returncode == 1
    assert "manifest" in refused.stderr


@pytest.mark.parametrize("text", ["not json", '{"services": 3}'])
def test_a_bad_services_file_stops_the_start_with_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "services.json"
    path.write_text(text)
    failed = run("serve", "--port", "0", "--data", str(tmp_path / "data"), "--services", str(path))
    assert failed.returncode == 1
    assert failed.stderr.startswith("sandbox: ")
    assert "Traceback" not in failed.stderr


def test_the_public_url_is_what_providers_are_told(tmp_path: Path, provider: FakeProvider) -> None:
    service = Service("http://unused", provider, "svc-public")
    path = write_services(tmp_path / "services.json", service)
    running = SandboxProcess(
        tmp_path / "data", "--services", str(path), "--public-url", "https://heroku.test:9/"
    )
    try:
        assert running.url == "https://heroku.test:9"
    finally:
        running.stop()


def test_the_sandbox_imports_nothing_of_the_rest_of_the_project() -> None:
    script = (
        "import sys, sandbox.__main__; names = {name.split('.')[0] for name in sys.modules};"
        "print(sorted(names & {'django', 'addon', 'provisioning', 'sso', 'billing', 'local', 'advisories'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "[]"
