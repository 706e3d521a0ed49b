"""One sandbox and one provider for the run; every test registers a service of its own with them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.fake_provider import FakeProvider
from tests.sandbox.support import Client, SandboxProcess, Service


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeProvider]:
    """The provider that can be told to misbehave."""
    running = FakeProvider()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """The sandbox most tests share; it gives a provider 1.5 seconds instead of 25."""
    running = SandboxProcess(tmp_path_factory.mktemp("sandbox"), "--provider-limit", "1.5")
    yield running
    assert running.stop() == 0
    assert running.errors == []


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox for one test: its clock may be changed, it may be killed."""
    running = SandboxProcess(tmp_path / "data", "--provider-limit", "1.5")
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def customer(sandbox: SandboxProcess) -> Client:
    """A customer with some API key."""
    return Client(sandbox.url)


@pytest.fixture
def offer(provider: FakeProvider) -> Callable[[SandboxProcess], Service]:
    """Registers a new service with a sandbox."""

    def make(at: SandboxProcess) -> Service:
        return Service(at.url, provider, f"svc-{uuid.uuid4().hex[:8]}").register()

    return make


@pytest.fixture
def service(sandbox: SandboxProcess, offer: Callable[[SandboxProcess], Service]) -> Service:
    """A service of this test's own, registered with the shared sandbox; it provisions in the request."""
    return offer(sandbox)


@pytest.fixture
def slow_service(service: Service) -> Service:
    """The same, provisioning afterwards (202)."""
    service.conduct.provision_status = 202
    return service
