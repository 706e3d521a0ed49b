"""A wrong provider for all tests of a worker, and the suite's arguments for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import conformance.checks  # noqa: F401 - fills the catalogue
from conformance.catalogue import selected
from conformance.platform_api import PlatformAPI
from conformance.runner import Run, run_checks
from conformance.target import Target
from tests.conformance.acme import (
    CLIENT_SECRET,
    OTHER_PASSWORD,
    OTHER_SLUG,
    PASSWORD,
    REFUSED,
    SALT,
    SLUG,
    right_manifest,
)
from tests.conformance.wrong_provider import WrongProvider

BURST = 8


@pytest.fixture(scope="session")
def provider() -> Iterator[WrongProvider]:
    """The provider, right as long as it is given no fault."""
    running = WrongProvider()
    yield running
    running.stop()


def target_of(provider: WrongProvider, **changes: Any) -> Target:
    """The wrong provider as a target, with the patience of a test."""
    arguments: dict[str, Any] = {
        "base_url": f"{provider.url}/heroku/resources",
        "sso_url": f"{provider.url}/sso/login",
        "slug": SLUG,
        "password": PASSWORD,
        "sso_salt": SALT,
        "other_plan": "large",
        "refused_plan_change": REFUSED,
        "other_service": (OTHER_SLUG, OTHER_PASSWORD),
        "manifest": right_manifest(),
        "client_secret": CLIENT_SECRET,
        "answer_goal": 20.0,
        "answer_limit": 60.0,
        "flow_seconds": 60.0,
        "watch_seconds": 0.4,
        "processing_seconds": 0.5,
        "burst": BURST,
    }
    return Target(**{**arguments, **changes})


@contextmanager
def suite(
    provider: WrongProvider, *faults: str, asynchronous: bool = False, **changes: Any
) -> Iterator[Callable[..., Run]]:
    """What runs the suite against the provider with these faults: call it with `only` and `legacy`."""
    with PlatformAPI("127.0.0.1", 0, client_secret=CLIENT_SECRET) as platform:
        address = f"http://127.0.0.1:{platform.port}"
        provider.begin(*faults, asynchronous=asynchronous, api_url=address)
        target = target_of(provider, asynchronous=asynchronous, api_url=address, **changes)

        def run(*, only: tuple[str, ...] = (), legacy: bool = False) -> Run:
            checks, skipped = selected(only=list(only), skip=[], legacy=legacy)
            return run_checks(target, checks=checks, skipped=skipped, platform=platform)

        try:
            yield run
        finally:
            provider.end()
