"""Inference's own pages as people use them: the charts, the requests, the quick start and the playground."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.support.browser import Addon, Door, Visitor

Visit = Callable[..., Visitor]


def ask(door: Door, addon: Addon, script: dict[str, object] | None = None, **fields: object) -> int:
    """One request with the add-on's key; the scripted model does as `script` says."""
    config = door.config(addon)
    body = {
        "model": config["INFERENCE_MODEL_ID"],
        "messages": [{"role": "user", "content": json.dumps(script or {})}],
        **fields,
    }
    answer = requests.post(
        f"{config['INFERENCE_URL']}/v1/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {config['INFERENCE_KEY']}"},
        timeout=300,
    )
    return answer.status_code


def roll_up(door: Door) -> None:
    """What the worker does every 15 seconds."""
    door.stack.manage("shell", "--command", "from addon.inference.rollup import roll_up; roll_up()")


@pytest.fixture(scope="module")
def used(stack: object) -> list[Addon]:
    """Room for the add-on that several tests look at."""
    return []


def busy_addon(door: Door, used: list[Addon]) -> Addon:
    """An add-on with a few requests of each kind; made once."""
    if not used:
        addon = door.add("inference", "nova-lite")
        for number in range(6):
            assert ask(door, addon, {"say": "a b c", "prompt": 1000}, stream=number % 2 == 0) == 200
        assert ask(door, addon, temperature=9) == 400
        assert ask(door, addon, {"status": 500}) == 500
        roll_up(door)
        used.append(addon)
    return used[0]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_every_page_fits_and_is_accessible(
    door: Door, visit: Visit, used: list[Addon], width: int, dark: bool
) -> None:
    addon = busy_addon(door, used)
    visitor = visit(width=width, dark=dark)
    page = visitor.come_through(door, addon)
    home = page.url
    for path in ("usage?range=1h", "usage?range=30d", "requests", "quickstart", "playground"):
        page.goto(home + path)
        expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=0.9)
        if path.startswith("usage"):
            expect(page.locator("[data-chart] canvas")).to_have_count(4)
            page.get_by_text("Every figure as a table").click()
        visitor.assert_fits()
        visitor.assert_accessible()


def test_charts_follow_by_themselves_without_a_reload(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    visitor = visit()
    visitor.page.clock.install()
    page = visitor.come_through(door, addon)
    page.goto(page.url + "usage?range=1h")
    expect(page.get_by_role("heading", name="No requests in the last 1 hour")).to_be_visible()
    page.get_by_role("link", name="30 days").click()
    expect(page.get_by_role("heading", name="No requests in the last 30 days")).to_be_visible()
    page.get_by_role("link", name="1 hour").click()

    assert ask(door, addon, {"say": "one"}) == 200
    roll_up(door)
    # The first request turns the empty page into one with charts.
    page.clock.run_for(16_000)
    expect(page.locator("[data-live=tiles]")).to_contain_text("1 answered")

    page.evaluate("window.sameDocument = true")
    page.get_by_text("Every figure as a table").click()
    page.locator("h1").click()
    assert ask(door, addon, {"say": "two"}) == 200
    roll_up(door)
    page.clock.run_for(16_000)
    expect(page.locator("[data-live=tiles]")).to_contain_text("2 answered")
    expect(page.locator("[data-live=limits]")).to_contain_text("2 of 150 requests/min")
    assert page.evaluate("window.sameDocument") is True
    expect(page.locator(".plain-table")).to_be_visible()


def test_a_request_and_an_error_stand_in_the_list_and_errors_are_filtered(
    door: Door, visit: Visit, used: list[Addon]
) -> None:
    addon = busy_addon(door, used)
    page = visit().come_through(door, addon)
    page.get_by_role("link", name="Requests", exact=True).click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(8)
    expect(page.locator("tbody")).to_contain_text("200 Complete")
    page.get_by_role("link", name="Errors only").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("500 Model failed")
    expect(rows.nth(1)).to_contain_text("400 Invalid request")


def shown(page: Page, name: str) -> str:
    """The text of a block of code, as it stands on the page."""
    return page.locator(f"#quickstart-{name}").inner_text()


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_printed_quick_start_works_as_it_stands_on_the_page(
    door: Door, visit: Visit, tmp_path: Path, language: str
) -> None:
    addon = door.add("inference", "nova-lite")
    key = door.config(addon)["INFERENCE_KEY"]
    page = visit().come_through(door, addon)
    page.get_by_role("link", name="Quick start", exact=True).click()
    page.get_by_role("link", name=language, exact=True).click()
    assert key not in page.content()

    page.get_by_role("button", name="Copy the values with the key").click()
    expect(page.locator("[data-toasts]")).to_contain_text("Values with the key copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Reveal INFERENCE_KEY").click()
    expect(page.locator("#quickstart-values")).to_contain_text(key)
    values = shown(page, "values")
    assert values == copied

    script = values + "\n"
    if language == "curl":
        script += shown(page, "request")
    else:
        (tmp_path / "ask.py").write_text(shown(page, "request"))
        script += shown(page, "run").replace("python", sys.executable, 1)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Hello there, friend" in done.stdout, done.stderr


def test_the_playground_streams_stops_and_never_sees_the_key(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    key = door.config(addon)["INFERENCE_KEY"]
    visitor = visit()
    page = visitor.come_through(door, addon)
    seen: list[str] = []
    page.on(
        "request", lambda request: seen.append(json.dumps(dict(request.headers)) + (request.post_data or ""))
    )
    page.get_by_role("link", name="Playground", exact=True).click()

    # By keyboard alone.
    message = page.get_by_label("Message")
    visitor.tab_to(message)
    page.keyboard.type(json.dumps({"say": "Build a small boat", "prompt": 12}))
    page.keyboard.press("Enter")
    turns = page.locator(".turn.is-assistant")
    expect(turns.nth(0)).to_contain_text("Build a small boat")
    expect(turns.nth(0)).to_contain_text("12 tokens in · 4 out · first after")
    expect(turns.nth(0)).to_contain_text("A scripted model (stands in for nova-lite)")
    expect(message).to_be_focused()

    page.keyboard.type(json.dumps({"say": "word " * 300, "delay": 0.05}))
    page.keyboard.press("Enter")
    expect(turns.nth(1)).to_contain_text("word word word")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(turns.nth(1)).to_contain_text("stopped after")
    expect(page.locator("[data-sum=output]")).to_have_text("4")
    expect(page.get_by_role("button", name="Send")).to_be_visible()

    # The conversation goes on with what was said so far.
    page.keyboard.type(json.dumps({"say": "third"}))
    page.keyboard.press("Enter")
    expect(turns.nth(2)).to_contain_text("third")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".turn")).to_have_count(0)
    assert not any(key in text for text in seen)
    assert key not in page.content()
    rows = door.stack.rows(
        "SELECT outcome, streamed FROM inference_usageevent u JOIN provisioning_resource r ON r.id = u.resource_id "
        "WHERE r.uuid = %s ORDER BY at",
        addon.id,
    )
    assert [(row["outcome"], row["streamed"]) for row in rows] == [
        ("complete", True),
        ("hung_up", True),
        ("complete", True),
    ]


def test_what_the_playground_is_refused_is_told_and_the_message_is_kept(door: Door, visit: Visit) -> None:
    addon = door.add("inference", "nova-lite")
    visitor = visit(width=390)
    page = visitor.come_through(door, addon)
    page.goto(page.url + "playground")
    page.get_by_label("Most tokens of an answer").fill("90000")
    page.get_by_label("Message").fill("hi")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn-note.is-bad")).to_contain_text("max_completion_tokens")
    expect(page.get_by_label("Message")).to_have_value("hi")
    visitor.assert_fits()
    visitor.assert_accessible()

    door.remove(addon)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This Inference add-on was removed")


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)])
def test_a_reranker_s_playground_ranks(door: Door, visit: Visit, width: int, dark: bool) -> None:
    addon = door.add("inference", "cohere-rerank-3-5")
    visitor = visit(width=width, dark=dark)
    page = visitor.come_through(door, addon)
    page.goto(page.url + "playground")
    page.get_by_label("Query").fill("open offices")
    page.get_by_label("Best ones to show").fill("2")
    page.get_by_role("button", name="Rank").click()
    results = page.locator("[data-ranking] li")
    expect(results).to_have_count(2)
    expect(results.nth(0)).to_contain_text("Our offices are open from nine to five.")
    expect(results.nth(0)).to_contain_text("1.000")
    expect(page.locator("[data-told]")).to_contain_text("1 search unit")
    expect(page.get_by_role("heading", name="By relevance")).to_be_focused()
    visitor.assert_fits()
    visitor.assert_accessible()
