"""Redis is a courtesy: without it Heroku is answered at once, and what was accepted is done when it is back."""

import time
import uuid

import pytest

from tests.support.stack import Stack, until


def add(stack: Stack, app: str) -> str:
    """A kafkacluster add-on's id."""
    answer = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:free"}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def wait_until_provisioned(stack: Stack, addon: str) -> None:
    """Until Heroku has been told, exactly once."""
    until(lambda: stack.addon(addon)["state"] == "provisioned", seconds=300)
    assert stack.addon(addon)["actions"]["provision"] == 1


def test_what_is_accepted_without_redis_is_done_when_it_is_back(stack: Stack) -> None:
    app = stack.new_app()
    stack.redis.stop()
    try:
        began = time.monotonic()
        addon = add(stack, app)
        # Heroku asks for an answer within three seconds.
        assert time.monotonic() - began < 3
        assert stack.addon(addon)["state"] == "provisioning"
    finally:
        stack.redis.start()
    wait_until_provisioned(stack, addon)


@pytest.mark.parametrize("round_number", range(3))
def test_wake_ups_that_are_lost_are_made_good_by_the_sweeper(stack: Stack, round_number: int) -> None:
    app = stack.new_app()
    stack.kill_part("worker")
    addons = [add(stack, app) for _ in range(5)]
    stack.flush_redis()
    stack.start_part("worker")
    for addon in addons:
        wait_until_provisioned(stack, addon)


def test_a_redis_that_dies_and_returns_many_times_stops_nothing(stack: Stack) -> None:
    app = stack.new_app()
    for _ in range(4):
        addon = add(stack, app)
        stack.redis.kill()
        time.sleep(0.5)
        stack.redis.start()
        wait_until_provisioned(stack, addon)


def test_a_delete_that_comes_while_provisioning_cancels_and_tells_heroku_nothing(stack: Stack) -> None:
    stack.kill_part("worker")
    identity = str(uuid.uuid4())
    try:
        assert (
            stack.partner("kafkacluster", "POST", "", {"uuid": identity, "plan": "free"}).status_code == 202
        )
        assert stack.partner("kafkacluster", "DELETE", f"/{identity}").status_code == 204
        assert (
            stack.partner("kafkacluster", "POST", "", {"uuid": identity, "plan": "free"}).status_code == 410
        )
    finally:
        stack.start_part("worker")
    stack.wait_for_operations()
    kinds = stack.rows(
        "SELECT o.kind, o.state FROM provisioning_operation o JOIN provisioning_resource r ON r.id = o.resource_id "
        "WHERE r.uuid = %s ORDER BY o.id",
        identity,
    )
    assert kinds == [
        {"kind": "provision", "state": "cancelled"},
        {"kind": "deprovision", "state": "succeeded"},
    ]
