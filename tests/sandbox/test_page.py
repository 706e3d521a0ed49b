"""The page at the root: as plain forms, in a real browser, by keyboard, on a phone, in the dark."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.sandbox.support import ROOT, Client, SandboxProcess, Service, eventually

AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
Offer = Callable[[SandboxProcess], Service]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not have complained when the test ends."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


def post(at: Service, path: str, /, **form: str) -> str:
    """Send one of the page's forms and return the page that follows."""
    answer = requests.post(at.url + path, data=form, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_page_without_services_says_how_to_register_one(own_sandbox: SandboxProcess) -> None:
    text = requests.get(own_sandbox.url, timeout=10).text
    assert "No add-on service is registered yet" in text
    assert "python -m sandbox register addon-manifest.json --base-url" in text
    assert f"--sandbox {own_sandbox.url}" in text


def test_the_whole_life_works_with_plain_forms(service: Service) -> None:
    app = service.app()
    text = post(service, "/page/addons", app=app, plan=f"{service.slug}:free")
    assert "Welcome." in text
    assert "https://service.example/" in text
    (addon,) = service.customer.ok("GET", f"/apps/{app}/addons")
    text = post(service, f"/page/addons/{addon['id']}/plan", app=app, plan=f"{service.slug}:basic")
    assert "Moved to basic." in text
    wrong = post(service, f"/page/addons/{addon['id']}/destroy", app=app, confirm="no")
    assert "Nothing was destroyed" in wrong
    assert service.calls("DELETE") == []
    post(service, f"/page/addons/{addon['id']}/destroy", app=app, confirm=addon["name"])
    assert service.customer.ok("GET", f"/apps/{app}/addons") == []


def test_a_refusal_is_shown_as_the_cli_shows_it_and_can_be_dismissed(service: Service) -> None:
    app = service.app()
    service.conduct.script["POST"] = [(422, {"message": "Not <b>here</b>."})]
    text = post(service, "/page/addons", app=app, plan=f"{service.slug}:free")
    shown = f"contacting the add-on partner to create {service.slug}:free: Not &lt;b&gt;here&lt;/b&gt;."
    assert shown in text
    number = text.split('data-notice="')[1].split('"')[0]
    assert shown not in post(service, f"/page/notices/{number}/dismiss", app=app)


def test_the_last_app_may_go_and_a_new_one_come(own_sandbox: SandboxProcess) -> None:
    Client(own_sandbox.url).ok("DELETE", "/apps/example-app")
    assert "No app is left" in requests.get(own_sandbox.url, timeout=10).text
    refused = requests.post(own_sandbox.url + "/page/apps", data={"name": "Bad Name"}, timeout=10)
    assert refused.status_code == 422
    assert "That did not work" in refused.text
    made = requests.post(own_sandbox.url + "/page/apps", data={"name": "second-try"}, timeout=10)
    assert "Add-ons on second-try" in made.text


def test_the_page_does_not_wait_for_a_slow_provider(service: Service) -> None:
    app = service.app()
    service.conduct.script["POST"] = ["hang", "hang"]
    started = time.monotonic()
    text = post(service, "/page/addons", app=app, plan=f"{service.slug}:free")
    assert time.monotonic() - started < 4
    assert "Asking the provider" in text
    eventually(lambda: service.customer.ok("GET", f"/apps/{app}/addons"))


def test_clock_faults_people_and_services_have_forms(own_sandbox: SandboxProcess, offer: Offer) -> None:
    service = offer(own_sandbox)
    app = service.app()
    assert "60</a>" in post(service, "/page/clock", app=app, hours="2", speed="60")
    assert "real time" in post(service, "/page/clock", app=app, reset="1")
    assert "cannot be set" in post(service, "/page/clock", app=app, hours="x")
    form = {"app": app, "where": "oauth", "kind": "status_500", "service": "", "times": "2"}
    assert "1 fault armed" in post(service, "/page/faults", **form)
    assert "fault armed" not in post(service, "/page/faults/clear", app=app)
    assert "must be numbers" in post(service, "/page/faults", **{**form, "times": "x"})
    chosen = {**form, "addon": "tiny-one", "chance": "25", "seconds": "7"}
    post(service, "/page/faults", **{**chosen, "kind": "delay"})
    shown = post(service, "/page/faults", **{**chosen, "kind": "status_401"})
    assert "oauth, tiny-one" in shown
    assert "25 %, 7 s" in shown
    first = re.findall(r'name="fault" value="([^"]+)"', shown)[0]
    shown = post(service, "/page/faults/clear", app=app, fault=first)
    assert "1 fault armed" in shown
    assert "<b>status_401</b>" in shown
    assert "fault armed" not in post(service, "/page/faults/clear", app=app)
    assert "new@example.com" in post(service, "/page/collaborators", app=app, email="new@example.com")
    entry = service.entry()
    entry["manifest"]["name"] = "Renamed Service"
    document = json.dumps({"services": [entry]})
    assert "Renamed Service" in post(service, "/page/services", app=app, document=document)
    assert "That is not JSON" in post(service, "/page/services", app=app, document="{")


def test_the_page_has_a_strict_policy_and_no_foreign_addresses(service: Service) -> None:
    answer = requests.get(service.url, timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "cdn" not in answer.text.lower()


def test_files_outside_the_bundle_are_not_served(sandbox: SandboxProcess) -> None:
    for name in ("..%2f..%2f__main__.py", "%2e%2e", "nothing.js"):
        assert requests.get(f"{sandbox.url}/static/dist/{name}", timeout=10).status_code == 404


@pytest.mark.browser
def test_adding_shows_progress_until_the_provider_is_done(service: Service, page: Page) -> None:
    service.conduct.provision_status = 202
    app = service.app()
    page.goto(f"{service.url}/?app={app}")
    page.locator(f"[data-service={service.slug}] button[type=submit]").click()
    card = page.locator("[data-addon]")
    expect(card).to_have_attribute("data-state", "provisioning")
    partner = service.partner()
    (addon,) = service.customer.ok("GET", f"/apps/{app}/addons")
    values = [{"name": f"{service.prefix}_KEY", "value": "ready-now"}]
    partner.ok("PATCH", f"/addons/{addon['id']}/config", {"config": values})
    partner.ok("POST", f"/addons/{addon['id']}/actions/provision")
    expect(card).to_have_attribute("data-state", "provisioned")
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    value = card.get_by_text("ready-now")
    expect(value).to_be_hidden()
    card.get_by_label(f"Reveal or hide {service.prefix}_KEY").click()
    expect(value).to_be_visible()
    card.get_by_label(f"Copy {service.prefix}_KEY").click()
    assert page.evaluate("navigator.clipboard.readText()") == "ready-now"
    card.locator(".sbx-events summary").click()
    expect(card.locator(".sbx-event").first).to_contain_text("actions/provision")


@pytest.mark.browser
def test_the_live_part_keeps_what_a_person_has_opened(service: Service, page: Page) -> None:
    app = service.app()
    addon = service.created(app)
    page.goto(f"{service.url}/?app={app}")
    page.get_by_label(f"Reveal or hide {service.prefix}_URL").click()
    service.conduct.script["PUT"] = [(200, {"config": {f"{service.prefix}_EXTRA": "appeared"}})]
    service.customer.ok("PATCH", f"/apps/{app}/addons/{addon['id']}", {"plan": f"{service.slug}:basic"})
    expect(page.get_by_text(f"{service.prefix}_EXTRA", exact=True)).to_be_visible(timeout=10_000)
    expect(page.get_by_text("https://service.example/")).to_be_visible()


@pytest.mark.browser
def test_opening_the_dashboard_posts_the_sso_form_in_a_new_tab(service: Service, page: Page) -> None:
    app = service.app()
    addon = service.created(app)
    service.customer.ok("POST", f"/apps/{app}/collaborators", {"user": "second@example.com"})
    page.goto(f"{service.url}/?app={app}")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open dashboard").click()
    expect(opened.value.locator("h1")).to_have_text(f"Dashboard of {addon['id']}")
    page.get_by_text("Open as…").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="second@example.com").click()
    expect(opened.value.locator("h1")).to_have_text(f"Dashboard of {addon['id']}")
    forms = [call.form for call in service.provider.received if call.path == f"/{service.slug}/sso/login"]
    assert [form["email"] for form in forms] == ["developer@example.com", "second@example.com"]
    assert forms[0]["app"] == app


@pytest.mark.browser
def test_everything_can_be_done_with_the_keyboard(service: Service, page: Page) -> None:
    app = service.app()
    page.goto(f"{service.url}/?app={app}")
    button = page.locator(f"[data-service={service.slug}] button[type=submit]")
    button.focus()
    page.keyboard.press("Enter")
    card = page.locator("[data-addon]")
    expect(card).to_have_attribute("data-state", "provisioned")
    (addon,) = service.customer.ok("GET", f"/apps/{app}/addons")
    card.get_by_text("Destroy…").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(card.get_by_role("textbox")).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type(addon["name"])
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{addon['name']} is destroyed.")).to_be_visible()
    expect(card).to_have_count(0)


@pytest.mark.browser
def test_the_page_works_without_scripts_and_styles(service: Service, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.route("**/static/**", lambda route: route.abort())
    page, app = context.new_page(), service.app()
    page.goto(f"{service.url}/?app={app}")
    page.locator(f"[data-service={service.slug}] button[type=submit]").click()
    expect(page.locator("[data-addon]")).to_have_attribute("data-state", "provisioned")
    page.get_by_text("Destroy…").click()
    (addon,) = service.customer.ok("GET", f"/apps/{app}/addons")
    page.get_by_label("Its data goes with it").fill(addon["name"])
    page.get_by_role("button", name="Destroy it").click()
    expect(page.locator("[data-addon]")).to_have_count(0)
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_and_nothing_overflows(
    own_sandbox: SandboxProcess, offer: Offer, browser: Browser, scheme: Any, width: int
) -> None:
    service = offer(own_sandbox)
    app = service.app()
    service.created(app)
    service.conduct.provision_status = 202
    service.created(app)
    service.conduct.script["POST"] = [(422, {"message": "Refused for a reason."})]
    post(service, "/page/addons", app=app, plan=f"{service.slug}:free")
    service.fault("oauth", "delay")
    context = browser.new_context(viewport={"width": width, "height": 850}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{service.url}/?app={app}")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.evaluate(Path(AXE).read_text())
    report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in report["violations"]]
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.browser
def test_two_people_may_add_at_once(service: Service, page: Page) -> None:
    app = service.app()
    service.conduct.delay = 0.3
    page.goto(f"{service.url}/?app={app}")
    other = threading.Thread(target=service.created, args=(app,))
    other.start()
    page.locator(f"[data-service={service.slug}] button[type=submit]").click()
    other.join()
    expect(page.locator("[data-state=provisioned]")).to_have_count(2)
    assert len(Client(service.url).ok("GET", f"/apps/{app}/addons")) == 2
