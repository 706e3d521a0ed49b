"""`kill -9` of a worker at every point of every kind of operation, and of the whole worker at any time."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack, until

RESOURCES = 96
"""More than the points of any operation; the test says when an operation has outgrown it."""


@pytest.fixture
def addons(stack: Stack) -> Iterator[list[str]]:
    """Add-ons whose grants are exchanged and whose provision nobody has begun: there is no worker for it."""
    stack.kill_part("worker")
    stack.start_part("worker", queues="grants")
    app, added = stack.new_app(), []
    for _ in range(RESOURCES):
        answer = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:free"}})
        assert answer.status_code == 201, answer.text
        added.append(answer.json()["id"])
    until(
        lambda: not stack.rows("SELECT id FROM provisioning_platformaccess WHERE state = 'waiting'"),
        seconds=600,
        every=0.5,
    )
    stack.kill_part("worker")
    yield added
    stack.kill_part("worker")
    stack.start_part("worker")


@pytest.fixture
def kills(stack: Stack, addons: list[str], tmp_path: Path) -> Path:
    """A worker that dies at every point; the folder that tells where it died."""
    first = stack.rows(
        "SELECT min(id) AS n FROM provisioning_operation WHERE state IN ('pending', 'running')"
    )
    stack.start_part(
        "worker",
        celery_app="tests.support.killing_worker",
        environment={
            "KILLS_FOLDER": str(tmp_path),
            "KILLS_AFTER": str(first[0]["n"] - 1),
            "KILLS_KINDS": "provision,rotation,revocation,plan_change,deprovision",
        },
    )
    return tmp_path


def was_killed_everywhere(kills: Path, kind: str) -> None:
    """Every point that an undisturbed run of this kind has was the place of a death."""
    totals = [int(path.name.rpartition("-")[2]) for path in kills.glob(f"{kind}-total-*")]
    assert totals, f"no {kind} ran to its end undisturbed: RESOURCES is too small"
    died_at = {int(path.name.rpartition("-")[2]) for path in kills.glob(f"{kind}-[0-9]*")}
    assert died_at >= set(range(1, max(totals) + 1)), (
        f"{kind}: not killed at every one of {max(totals)} points"
    )


def test_an_operation_killed_at_any_point_is_finished_once_and_only_once(
    stack: Stack, addons: list[str], kills: Path
) -> None:
    app = stack.addon(addons[0])["app"]
    before = {
        row["id"] for row in stack.rows("SELECT id FROM provisioning_operation WHERE finished_at IS NOT NULL")
    }
    # Each of some 60 deaths costs the start of a worker.
    until(lambda: all(stack.addon(addon)["state"] == "provisioned" for addon in addons), seconds=600, every=1)
    stack.wait_for_operations(seconds=600)
    for addon in addons:
        assert stack.addon(addon)["actions"] == {
            "provision": 1,
            "deprovision": 0,
            "repeated": 0,
            "refused": 0,
        }
    assert_one_credential_each(stack, addons)

    stack.rotate(addons)
    stack.wait_for_operations(seconds=600)
    wait_for_revocations(stack)
    assert_one_credential_each(stack, addons)
    mechanisms = stack.rows(
        "SELECT DISTINCT c.kind FROM provisioning_credential c JOIN provisioning_resource r ON r.id = c.resource_id "
        "WHERE r.uuid = ANY(%s::uuid[]) AND c.state = 'active'",
        addons,
    )
    assert mechanisms == [{"kind": "SCRAM-SHA-256"}]
    # Sent once at the provision and once at the rotation: each time more would have restarted the app.
    for addon in addons:
        sent = [
            e
            for e in stack.events(addon)
            if e["kind"] == "partner" and e["detail"]["call"] == "config_update"
        ]
        assert len(sent) == 2, sent

    for addon in addons:
        answer = stack.customer(
            "PATCH", f"/apps/{app}/addons/{addon}", {"plan": {"name": "kafkacluster:starter"}}
        )
        assert answer.status_code == 200, answer.text
    stack.wait_for_operations(seconds=600)

    assert "0 differences" in stack.manage("reconcile", "--service", "kafkacluster")

    for addon in addons:
        assert stack.customer("DELETE", f"/apps/{app}/addons/{addon}").status_code == 200
    stack.wait_for_operations(seconds=600)
    states = stack.rows(
        "SELECT DISTINCT state FROM provisioning_resource WHERE uuid = ANY(%s::uuid[])", addons
    )
    assert states == [{"state": "deprovisioned"}]
    assert not stack.rows(
        "SELECT c.id FROM provisioning_credential c JOIN provisioning_resource r ON r.id = c.resource_id "
        "WHERE r.uuid = ANY(%s::uuid[]) AND (c.state <> 'revoked' OR c.secret IS NOT NULL)",
        addons,
    )
    ended = stack.rows("SELECT id, kind, state FROM provisioning_operation WHERE state <> 'succeeded'")
    assert [row for row in ended if row["id"] not in before] == []
    for kind in ("provision", "rotation", "revocation", "plan_change", "deprovision"):
        was_killed_everywhere(kills, kind)


def wait_for_revocations(stack: Stack) -> None:
    """Until the overlap is over and the replaced credentials are revoked."""
    until(
        lambda: (
            not stack.rows("SELECT id FROM provisioning_credential WHERE state = 'retiring'")
            and not stack.active_operations()
        ),
        seconds=600,
        every=1,
    )


def assert_one_credential_each(stack: Stack, addons: list[str]) -> None:
    """Each resource has one live credential, and Heroku's config vars show that one."""
    rows = stack.rows(
        "SELECT r.uuid, count(*) AS n FROM provisioning_credential c JOIN provisioning_resource r "
        "ON r.id = c.resource_id WHERE r.uuid = ANY(%s::uuid[]) AND c.state = 'active' GROUP BY r.uuid",
        addons,
    )
    assert len(rows) == len(addons)
    assert {row["n"] for row in rows} == {1}


def test_a_worker_killed_with_all_of_its_processes_loses_nothing(stack: Stack) -> None:
    app = stack.new_app()
    addons = []
    for _ in range(12):
        answer = stack.customer("POST", f"/apps/{app}/addons", {"plan": {"name": "kafkacluster:free"}})
        addons.append(answer.json()["id"])
        if len(addons) % 4 == 0:
            stack.kill_part("worker")
            time.sleep(0.2)
            stack.start_part("worker")
    until(
        lambda: all(stack.addon(addon)["state"] == "provisioned" for addon in addons), seconds=600, every=0.5
    )
    assert {stack.addon(addon)["actions"]["provision"] for addon in addons} == {1}
    assert {stack.addon(addon)["actions"]["repeated"] for addon in addons} == {0}
