"""The sweeper: what nobody works on is found, by one of however many sweepers there are."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from provisioning import access, operations, sweep
from provisioning.models import Credential, Heartbeat, Operation, Plan, PlatformAccess, Resource
from provisioning.rotation import rotate_credentials
from provisioning.states import OperationKind
from tests.provisioning.conftest import RecordedWakeups
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, at_once, run_operations


@pytest.fixture
def swept(django_capture_on_commit_callbacks: Any, woken: RecordedWakeups) -> Callable[[], sweep.SweepResult]:
    """Sweep once; `woken` holds what it sent."""

    def run() -> sweep.SweepResult:
        woken.sent.clear()
        # The sweeper's now() is the beginning of the one transaction around the test, before its rows were made.
        for model in (Operation, PlatformAccess):
            due = model.objects.filter(next_attempt_at__lte=timezone.now())
            due.update(next_attempt_at=timezone.now() - timedelta(minutes=1))
        with django_capture_on_commit_callbacks(execute=True):
            return sweep.sweep()

    return run


def make_operations(number: int) -> list[int]:
    """Pending operations, each of a resource of its own."""
    plan = Plan.objects.get(service="inference", slug="nova-lite")
    made = []
    for _ in range(number):
        resource = Resource.objects.create(
            uuid=uuid.uuid4(), service="inference", plan=plan, state="provisioned"
        )
        made.append(operations.start_operation(resource, OperationKind.CONFIG_PUSH, requested_by="test").pk)
    return made


def test_an_operation_whose_wake_up_was_lost_is_found(
    plans: None, swept: Callable[[], sweep.SweepResult], woken: RecordedWakeups
) -> None:
    ids = make_operations(3)
    assert swept().operations == 3
    assert sorted(woken.rows("provisioning.run_operation")) == ids


def test_a_row_that_was_woken_is_left_alone_for_twenty_seconds(
    plans: None, swept: Callable[[], sweep.SweepResult], woken: RecordedWakeups
) -> None:
    [operation] = make_operations(1)
    swept()
    assert swept().operations == 0
    Operation.objects.filter(pk=operation).update(woken_at=timezone.now() - timedelta(seconds=19))
    assert swept().operations == 0
    Operation.objects.filter(pk=operation).update(woken_at=timezone.now() - timedelta(seconds=25))
    assert swept().operations == 1
    assert woken.rows("provisioning.run_operation") == [operation]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"next_attempt_at": timedelta(seconds=60)}, 0),
        ({"next_attempt_at": timedelta(seconds=-60)}, 1),
        ({"state": "running", "lease_until": timedelta(seconds=60)}, 0),
        ({"state": "running", "lease_until": timedelta(seconds=-60)}, 1),
        ({"state": "cancelled", "finished_at": timedelta(0)}, 0),
        ({"state": "succeeded", "finished_at": timedelta(0)}, 0),
    ],
)
def test_only_what_is_due_and_nobody_works_on_is_woken(
    plans: None, swept: Callable[[], sweep.SweepResult], change: dict[str, Any], found: int
) -> None:
    [operation] = make_operations(1)
    now = timezone.now()
    values = {name: now + value if isinstance(value, timedelta) else value for name, value in change.items()}
    Operation.objects.filter(pk=operation).update(**values)
    assert swept().operations == found


def test_a_grant_whose_wake_up_was_lost_is_found(
    inference: Partner, swept: Callable[[], sweep.SweepResult], woken: RecordedWakeups
) -> None:
    waiting = inference.provisioned().access
    inference.provisioned(oauth_grant=None)
    assert swept().grants == 1
    assert woken.sent == [("provisioning.exchange_grant", waiting.pk, "grants", None)]
    assert swept().grants == 0
    PlatformAccess.objects.filter(pk=waiting.pk).update(woken_at=timezone.now() - timedelta(seconds=25))
    assert swept().grants == 1


@pytest.mark.django_db(transaction=True)
def test_sweepers_at_once_take_different_rows(plans: None, woken: RecordedWakeups) -> None:
    ids = make_operations(60)
    woken.sent.clear()
    results = at_once([sweep.sweep] * 6)
    assert sum(result.operations for result in results) == 60
    assert sorted(woken.rows("provisioning.run_operation")) == ids


@pytest.mark.django_db(transaction=True)
def test_sweepers_at_once_start_one_revocation_and_give_up_once(ready: Any, kafka: Partner) -> None:
    resource = ready("inference")
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    Credential.objects.filter(state="retiring").update(retires_at=timezone.now() - timedelta(seconds=1))
    late = kafka.provisioned()
    Operation.objects.filter(resource=late).update(created_at=timezone.now() - timedelta(hours=11, minutes=1))
    results = at_once([sweep.sweep] * 6)
    assert resource.operations.filter(kind="revocation").count() == 1
    assert sum(result.given_up for result in results) == 1
    assert late.audit_events.filter(event="provision.failed").count() == 1


def test_replaced_credentials_end_at_their_time_and_not_before(
    ready: Any, swept: Callable[[], sweep.SweepResult]
) -> None:
    resource = ready("inference")
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    assert swept().revocations == 0
    Credential.objects.filter(state="retiring").update(retires_at=timezone.now() - timedelta(seconds=1))
    assert swept().revocations == 1
    assert swept().revocations == 0  # it is under way
    run_operations(resource)
    assert sorted(resource.credentials.values_list("state", flat=True)) == ["active", "revoked"]
    assert swept().revocations == 0


def test_an_old_operation_is_alarmed_once(
    plans: None, swept: Callable[[], sweep.SweepResult], caplog: pytest.LogCaptureFixture
) -> None:
    young, old = make_operations(2)
    Operation.objects.filter(pk=young).update(created_at=timezone.now() - timedelta(minutes=14))
    Operation.objects.filter(pk=old).update(created_at=timezone.now() - timedelta(minutes=16))
    assert swept().alarms == 1
    lines = [record.msg for record in caplog.records if "operation.overdue" in str(record.msg)]
    assert len(lines) == 1
    assert lines[0]["operation"] == old  # type: ignore[index]
    assert swept().alarms == 0
    Operation.objects.filter(pk=young).update(created_at=timezone.now() - timedelta(minutes=16))
    assert swept().alarms == 1


def test_a_provision_near_heroku_s_limit_is_ended_cleanly(
    kafka: Partner, heroku: FakeHeroku, swept: Callable[[], sweep.SweepResult]
) -> None:
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    operation = resource.operations.get()
    Operation.objects.filter(pk=operation.pk).update(
        created_at=timezone.now() - timedelta(hours=10, minutes=59), last_error="no broker"
    )
    assert swept().given_up == 0
    Operation.objects.filter(pk=operation.pk).update(
        created_at=timezone.now() - timedelta(hours=11, minutes=1)
    )
    assert swept().given_up == 1
    operation.refresh_from_db()
    assert operation.state == "failed"
    assert "not provisioned within 11:00:00; last error: no broker" in operation.last_error
    assert operation.message == "The resource could not be created in time. Nothing is charged."
    resource.refresh_from_db()
    assert resource.state == "failed"
    assert resource.plan_periods.get().voided_at is not None
    run_operations(resource)
    assert heroku.addons[str(resource.uuid)]["state"] == "deprovisioned"
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"
    assert swept().given_up == 0


def test_only_provisions_are_given_up(
    ready: Any, inference: Partner, swept: Callable[[], sweep.SweepResult]
) -> None:
    resource = ready("inference")
    inference.delete(resource.uuid)
    Operation.objects.filter(resource=resource, state="pending").update(
        created_at=timezone.now() - timedelta(hours=20)
    )
    result = swept()
    assert (result.given_up, result.operations, result.alarms) == (0, 1, 1)


def test_each_sweep_leaves_its_time(plans: None, swept: Callable[[], sweep.SweepResult]) -> None:
    swept()
    first = Heartbeat.objects.get(name=sweep.HEARTBEAT).at
    swept()
    assert Heartbeat.objects.get(name=sweep.HEARTBEAT).at > first
