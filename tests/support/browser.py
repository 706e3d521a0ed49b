"""What a person does with a dashboard: comes through Heroku, looks, tabs, and meets axe."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from playwright.sync_api import Locator, Page

from tests.support.stack import PROJECT, Stack, until

AXE = (PROJECT / "frontend" / "node_modules" / "axe-core" / "axe.min.js").read_text
TAB_LIMIT = 80
COME_TO_REST = """async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const ending = document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime !== Infinity);
    await Promise.all(ending.map((each) => each.finished.catch(() => null)));
}"""
LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1280, "light"), (390, "dark"))


@dataclass(frozen=True)
class Addon:
    """One add-on of an app of its own."""

    id: str
    app: str
    name: str
    service: str


class Door:
    """Adds add-ons at the stand-in Heroku and opens their dashboards from there."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def add(self, service: str, plan: str, *, wait: bool = True) -> Addon:
        """Add it to a new app and, unless told otherwise, wait until it is there."""
        app = self.stack.new_app()
        answer = self.stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": f"{service}:{plan}"}})
        assert answer.status_code == 201, answer.text
        added = answer.json()
        if wait:
            until(lambda: self.stack.addon(added["id"])["state"] == "provisioned")
        return Addon(added["id"], app, added["name"], service)

    def url(self, addon: Addon) -> str:
        """Where Heroku opens the dashboard: on another site than ours, as in life, for the cookies' sake."""
        return f"http://localhost:{self.stack.sandbox_port}/open/apps/{addon.app}/addons/{addon.id}"

    def config(self, addon: Addon) -> dict[str, str]:
        """The app's config vars at Heroku."""
        found: dict[str, str] = self.stack.customer("GET", f"/apps/{addon.app}/config-vars").json()
        return found

    def remove(self, addon: Addon) -> None:
        """Remove it."""
        answer = self.stack.customer("DELETE", f"/apps/{addon.app}/addons/{addon.id}")
        assert answer.status_code == 200, answer.text


def follow(page: Page, pressed: Locator, url: str) -> None:
    """Press what leads to another page, and wait until that page and its scripts are there.

    What is done earlier may be done to the page before, or to fields that no script listens to yet.
    """
    pressed.click()
    page.wait_for_url(url)


class Visitor:
    """A person at one page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.forgiven: list[str] = []

    def forgive(self, complaint: str) -> None:
        """Let the browser have complained of this: the test took a server away."""
        self.forgiven.append(complaint)

    def come_through(self, door: Door, addon: Addon) -> Page:
        """Open the dashboard from Heroku and wait for it."""
        self.page.goto(door.url(addon))
        self.page.wait_for_url(f"**/{addon.service}/{addon.id}/")
        return self.page

    def tab_to(self, target: Locator) -> None:
        """Press Tab until `target` has the focus; AssertionError when it cannot be reached so."""
        for _ in range(TAB_LIMIT):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"not reached by keyboard: {target}")

    def assert_fits(self) -> None:
        """Nothing makes the page scroll sideways."""
        self.page.wait_for_load_state("load")  # before its styles are there, any page is too wide
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"{self.page.url}: {width}"

    def assert_fine_on_desk_and_phone(self) -> None:
        """The page as it stands fits and is accessible, light on a desk and dark on a phone; then it is as before."""
        before = self.page.viewport_size
        for width, scheme in LOOKS:
            self.page.set_viewport_size({"width": width, "height": 860})
            self.page.emulate_media(color_scheme=scheme)
            self.assert_fits()
            self.assert_accessible()
        if before:
            self.page.set_viewport_size(before)
        self.page.emulate_media(color_scheme=LOOKS[0][1])

    def assert_accessible(self) -> None:
        """axe finds nothing serious or critical."""
        # Colours on their way to hover, or from light to dark, would be measured in between.
        self.page.evaluate(COME_TO_REST)
        self.page.evaluate(AXE())
        # Preloading reads style sheets that import others (Django's own) again, as styles that the page's policy
        # forbids, for the sake of a rule that is switched off.
        found: dict[str, Any] = self.page.evaluate("axe.run({preload: false})")
        bad = [
            {"rule": rule["id"], "nodes": [node["html"][:200] for node in rule["nodes"]]}
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
        ]
        assert not bad, f"{self.page.url}: {json.dumps(bad, indent=1)}"
