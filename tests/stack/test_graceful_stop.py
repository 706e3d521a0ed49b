"""A worker that is asked to stop, as each deploy does, ends what it is in: nothing is done twice, nothing is left."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.stack import Stack, until


@pytest.fixture
def worker(stack: Stack) -> Iterator[None]:
    """A worker, also afterwards."""
    yield
    if not stack.is_alive("worker"):
        stack.start_part("worker")


def faults(stack: Stack) -> list[dict[str, Any]]:
    """The sandbox's rules."""
    found: list[dict[str, Any]] = requests.get(f"{stack.sandbox_url}/sandbox/faults", timeout=30).json()[
        "faults"
    ]
    return found


def test_a_worker_in_the_middle_of_a_step_finishes_it_and_leaves(stack: Stack, worker: None) -> None:
    stack.fault(service="kafkacluster", where="platform.config_update", kind="delay", seconds=2, times=1)
    app = stack.new_app()
    added = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:free"}})
    assert added.status_code == 201, added.text
    addon = added.json()["id"]
    until(lambda: any(rule["hits"] for rule in faults(stack)), seconds=300, every=0.02)
    program = stack.ask_part_to_stop("worker")
    until(lambda: not program.is_alive(), seconds=300)
    assert program.process.returncode == 0
    program.clear()
    # The task came to its end: it gave the lease back, which one that is cut short keeps.
    leased = stack.rows(
        "SELECT o.step FROM provisioning_operation o JOIN provisioning_resource r ON r.id = o.resource_id "
        "WHERE r.uuid = %s AND o.lease_until IS NOT NULL",
        addon,
    )
    assert leased == []
    stack.start_part("worker")
    until(lambda: stack.addon(addon)["state"] == "provisioned", seconds=300)
    sent = [
        event
        for event in stack.events(addon)
        if event["kind"] == "partner" and event["detail"]["call"] == "config_update"
    ]
    assert len(sent) == 1
