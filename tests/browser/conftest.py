"""A real browser before the whole provider: web, worker, beat and stand-in Heroku."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from operators.roles import Role
from tests.inference.upstream import ScriptedUpstream
from tests.support.browser import Door, Visitor
from tests.support.stack import PROJECT, Stack, running_stack
from tests.support.website import Website, website


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker, where they share the stack and the browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def shop() -> Iterator[Website]:
    """A customer's website."""
    with website() as site:
        yield site


@pytest.fixture(scope="session")
def stack(shop: Website) -> Iterator[Stack]:
    """The provider, up, with a scripted model, and the shop where customers' addresses may lead."""
    if not (PROJECT / "frontend" / "dist" / "frontend" / "dashboard.css").is_file():
        pytest.fail("The scripts and styles are not built: run `make setup`.", pytrace=False)
    upstream = ScriptedUpstream()
    address = {"url": f"http://127.0.0.1:{upstream.port}/v1"}
    models = json.dumps({"chat": {**address, "stand_in": "A scripted model"}, "rerank": address})
    try:
        with running_stack(
            environment={"INFERENCE_UPSTREAMS": models, "FETCH_ALSO_ALLOWED": shop.host}
        ) as running:
            yield running
    finally:
        upstream.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open a window of a given kind; at its end, its pages may have complained of refusals only."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    visitors: list[Visitor] = []

    def watch(page: Page) -> None:
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))

    def open_window(*, width: int = 1280, dark: bool = False, **options: Any) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme="dark" if dark else "light", **options
        )
        context.set_default_timeout(45_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.on("page", watch)
        contexts.append(context)
        visitors.append(Visitor(context.new_page()))
        return visitors[-1]

    yield open_window
    for context in contexts:
        context.close()
    forgiven = [
        "the server responded with a status of 4",
        *(text for each in visitors for text in each.forgiven),
    ]
    assert [said for said in complaints if not any(text in said for text in forgiven)] == []


_SIGN_IN = """
from django.test.utils import setup_test_environment
setup_test_environment()
from operators.roles import Role
from tests.support.operators import operator_client
print("cookie:" + operator_client(Role("{role}"), username="{username}").cookies["operator"].value)
"""


@pytest.fixture
def operator(stack: Stack, visit: Callable[..., Visitor]) -> Callable[[Role, str], Visitor]:
    """The window of a new operator of a role, by a name that no other test uses, who has shown both factors."""

    def sign_in(role: Role, username: str) -> Visitor:
        told = stack.manage("shell", "--command", _SIGN_IN.format(role=role.value, username=username))
        visitor = visit()
        value = told.rpartition("cookie:")[2].strip()
        visitor.page.context.add_cookies([{"name": "operator", "value": value, "url": stack.web_url}])
        return visitor

    return sign_in


@pytest.fixture
def door(stack: Stack) -> Door:
    """Heroku's side: adding add-ons and opening their dashboards."""
    return Door(stack)
