"""The operation engine: leases, order, steps that fail in every way, and what follows."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from provisioning import access, lifecycle, operations, platform_api
from provisioning.models import Credential, Operation, Plan, Resource
from provisioning.services import Fault, Step, Unrecoverable, Wait
from provisioning.states import OperationKind
from tests.provisioning.conftest import RecordedWakeups
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, at_once, run_operations


@pytest.fixture
def resource(plans: None) -> Resource:
    """A live resource that nothing else is done with."""
    plan = Plan.objects.get(service="inference", slug="nova-lite")
    return Resource.objects.create(uuid=uuid.uuid4(), service="inference", plan=plan, state="provisioned")


class Script:
    """Steps by name, what each is to do, and which ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.does: dict[str, Callable[[Operation], None]] = {}
        self.names = ["first", "second", "third"]

    def steps(self, operation: Operation) -> tuple[Step, ...]:
        """What `lifecycle.steps_of` answers for every operation."""

        def step(name: str) -> Step:
            def run(operation: Operation) -> None:
                self.ran.append(name)
                if name in self.does:
                    self.does[name](operation)

            return Step(name, run)

        return tuple(step(name) for name in self.names)

    def raises(self, name: str, *errors: Exception) -> None:
        """Let a step raise each error once, and work after that."""
        left: Iterator[Exception] = iter(errors)

        def run(_: Operation) -> None:
            error = next(left, None)
            if error:
                raise error

        self.does[name] = run


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Every operation consists of the script's steps."""
    made = Script()
    monkeypatch.setattr(lifecycle, "steps_of", made.steps)
    return made


def start(resource: Resource, kind: OperationKind = OperationKind.CONFIG_PUSH, **more: Any) -> Operation:
    """A pending operation."""
    return operations.start_operation(resource, kind, requested_by="test", **more)


def again(operation: Operation) -> Operation:
    """The row as it is now."""
    return Operation.objects.get(pk=operation.pk)


def run_now(operation: Operation) -> Operation:
    """Let the time of the next try come, run, and read the row."""
    Operation.objects.filter(pk=operation.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    operations.run(operation.pk)
    return again(operation)


def test_the_steps_run_in_order_and_the_operation_ends(resource: Resource, script: Script) -> None:
    operation = start(resource)
    operations.run(operation.pk)
    operation = again(operation)
    assert script.ran == ["first", "second", "third"]
    assert (operation.state, operation.last_error) == ("succeeded", "")
    assert operation.finished_at is not None
    assert (operation.lease_token, operation.lease_until) == (None, None)
    assert resource.audit_events.get().event == "config_push.succeeded"


def test_an_ended_operation_is_not_run_again(resource: Resource, script: Script) -> None:
    operation = start(resource)
    operations.run(operation.pk)
    script.ran.clear()
    run_now(operation)
    assert script.ran == []


def test_a_number_that_is_no_operation_is_ignored(plans: None) -> None:
    operations.run(987_654_321)


def test_a_fault_is_kept_and_the_next_run_goes_on_at_that_step(
    resource: Resource, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.raises("second", Fault("the cluster did not answer"))
    operation = start(resource)
    operations.run(operation.pk)
    operation = again(operation)
    assert (operation.state, operation.step, operation.attempt) == ("pending", "second", 1)
    assert operation.last_error == "the cluster did not answer"
    assert operation.lease_token is None
    assert operation.next_attempt_at > timezone.now() - timedelta(milliseconds=100)
    assert "operation.step_failed" in caplog.text
    assert run_now(operation).state == "succeeded"
    assert script.ran == ["first", "second", "second", "third"]


def test_an_unexpected_exception_is_a_fault_with_a_trace_in_the_log(
    resource: Resource, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.raises("second", ZeroDivisionError("planted"))
    operation = start(resource)
    operations.run(operation.pk)
    assert again(operation).last_error == "ZeroDivisionError: planted"
    assert "operation.step_crashed" in caplog.text
    assert run_now(operation).state == "succeeded"


def test_a_wait_is_no_failed_try(
    resource: Resource, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.raises("first", *[Wait("nothing yet", seconds=5)] * 3)
    operation = start(resource)
    for _ in range(3):
        operation = run_now(operation)
        assert (operation.attempt, operation.last_error) == (0, "waiting: nothing yet")
        assert 3.5 < (operation.next_attempt_at - timezone.now()).total_seconds() <= 5
    assert "operation.step_failed" not in caplog.text
    assert run_now(operation).state == "succeeded"


def test_before_its_time_an_operation_is_not_run(resource: Resource, script: Script) -> None:
    script.raises("first", Wait("not yet", seconds=60))
    operation = start(resource)
    operations.run(operation.pk)
    operations.run(operation.pk)
    assert script.ran == ["first"]


def test_an_unrecoverable_error_ends_the_operation_with_its_message(
    resource: Resource, script: Script
) -> None:
    script.raises("second", Unrecoverable("refused for ever", message="Please contact support."))
    operation = start(resource)
    operations.run(operation.pk)
    operation = again(operation)
    assert (operation.state, operation.last_error) == ("failed", "refused for ever")
    assert operation.message == "Please contact support."
    assert script.ran == ["first", "second"]
    event = resource.audit_events.get()
    assert (event.event, event.detail) == ("config_push.failed", {"error": "refused for ever"})


@pytest.mark.parametrize("kind", ["deprovision", "plan_change", "revocation"])
def test_what_heroku_was_told_is_tried_until_it_works(resource: Resource, script: Script, kind: str) -> None:
    if kind == "deprovision":
        lifecycle.move(resource, "deprovisioning")  # type: ignore[arg-type]
    script.raises("first", Unrecoverable("refused"))
    operation = start(resource, OperationKind(kind))
    operations.run(operation.pk)
    operation = again(operation)
    assert (operation.state, operation.attempt) == ("pending", 1)
    assert (operation.next_attempt_at - timezone.now()).total_seconds() > 200
    assert run_now(operation).state == "succeeded"


def test_the_time_between_tries_doubles_up_to_five_minutes_with_jitter() -> None:
    for attempt in (*range(12), 50, 10_000):
        longest = min(0.5 * 2**attempt, 300) if attempt < 30 else 300
        drawn = [operations.backoff(attempt) for _ in range(200)]
        assert longest / 2 <= min(drawn)
        assert max(drawn) <= longest
        assert max(drawn) - min(drawn) > longest / 5


def test_each_failed_try_waits_longer_and_a_finished_step_begins_anew(
    resource: Resource, script: Script
) -> None:
    script.raises("first", *[Fault("x")] * 8)
    script.raises("second", Fault("y"))
    operation = start(resource)
    for number in range(1, 9):
        operation = run_now(operation)
        assert operation.attempt == number
    assert 32 <= (operation.next_attempt_at - timezone.now()).total_seconds() <= 64
    operation = run_now(operation)
    assert (operation.step, operation.attempt) == ("second", 1)
    assert (operation.next_attempt_at - timezone.now()).total_seconds() <= 0.5


def test_what_the_other_side_asks_to_wait_is_waited(resource: Resource, script: Script) -> None:
    script.raises("first", Fault("too many requests", retry_after=1234.0), Fault("again", retry_after=0.0))
    operation = start(resource)
    operations.run(operation.pk)
    assert 1230 < (again(operation).next_attempt_at - timezone.now()).total_seconds() <= 1234
    operation = run_now(operation)
    assert 0 < (operation.next_attempt_at - timezone.now()).total_seconds() <= 1


def test_short_waits_are_woken_by_time_and_long_ones_left_to_the_sweeper(
    resource: Resource, script: Script, woken: RecordedWakeups, django_capture_on_commit_callbacks: Any
) -> None:
    script.raises("first", Wait("a", seconds=2), Wait("b", seconds=60))
    operation = start(resource)
    with django_capture_on_commit_callbacks(execute=True):
        operations.run(operation.pk)
    assert woken.sent == [("provisioning.run_operation", operation.pk, "operations", 2)]
    with django_capture_on_commit_callbacks(execute=True):
        run_now(operation)
    assert len(woken.sent) == 1


def test_a_step_that_the_code_no_longer_has_begins_anew(resource: Resource, script: Script) -> None:
    operation = start(resource)
    Operation.objects.filter(pk=operation.pk).update(step="a step of a former release")
    operations.run(operation.pk)
    assert script.ran == ["first", "second", "third"]
    assert again(operation).state == "succeeded"


def test_a_run_resumes_at_the_step_that_a_killed_worker_was_in(resource: Resource, script: Script) -> None:
    operation = start(resource)
    Operation.objects.filter(pk=operation.pk).update(
        state="running",
        step="second",
        lease_token=uuid.uuid4(),
        lease_until=timezone.now() - timedelta(seconds=1),
    )
    operations.run(operation.pk)
    assert script.ran == ["second", "third"]
    assert again(operation).state == "succeeded"


def test_a_lease_that_runs_keeps_others_away(resource: Resource, script: Script) -> None:
    operation = start(resource)
    assert operations.claim(operation.pk) is not None
    assert operations.claim(operation.pk) is None
    operations.run(operation.pk)
    assert script.ran == []


def test_a_worker_whose_lease_was_taken_over_stops_before_its_next_step(
    resource: Resource, script: Script
) -> None:
    other = uuid.uuid4()

    def taken_over(operation: Operation) -> None:
        Operation.objects.filter(pk=operation.pk).update(lease_token=other)

    script.does["first"] = taken_over
    operation = start(resource)
    operations.run(operation.pk)
    operation = again(operation)
    assert script.ran == ["first"]
    assert (operation.state, operation.lease_token, operation.finished_at) == ("running", other, None)


def test_a_worker_whose_lease_was_taken_over_writes_no_outcome(resource: Resource, script: Script) -> None:
    other = uuid.uuid4()
    for error in (None, Fault("x"), Wait("x", seconds=1), Unrecoverable("x"), RuntimeError("x")):

        def taken_over(operation: Operation, error: Exception | None = error) -> None:
            Operation.objects.filter(pk=operation.pk).update(lease_token=other)
            if error:
                raise error

        script.does["third"] = taken_over
        operation = start(resource)
        run_now(operation)
        operation = again(operation)
        assert (operation.state, operation.lease_token, operation.last_error) == ("running", other, ""), error
        Operation.objects.filter(pk=operation.pk).update(
            state="pending", lease_token=None, lease_until=None, step=""
        )


def test_each_step_renews_the_lease(resource: Resource, script: Script) -> None:
    seen: list[float] = []

    def shorten(operation: Operation) -> None:
        Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() + timedelta(seconds=1))

    def look(operation: Operation) -> None:
        row = again(operation)
        assert row.lease_until
        seen.append((row.lease_until - timezone.now()).total_seconds())

    script.does = {"first": shorten, "second": look}
    operations.run(start(resource).pk)
    assert seen[0] > 50


def test_operations_of_a_resource_run_in_the_order_they_were_asked_for(
    resource: Resource, script: Script
) -> None:
    first = start(resource, OperationKind.ROTATION)
    second = start(resource, OperationKind.CONFIG_PUSH)
    operations.run(second.pk)
    assert script.ran == []
    operations.run(first.pk)
    operations.run(second.pk)
    assert [again(op).state for op in (first, second)] == ["succeeded", "succeeded"]


def test_the_end_of_one_operation_wakes_the_next_of_the_resource(
    resource: Resource, script: Script, woken: RecordedWakeups, django_capture_on_commit_callbacks: Any
) -> None:
    first = start(resource, OperationKind.ROTATION)
    second = start(resource, OperationKind.CONFIG_PUSH)
    with django_capture_on_commit_callbacks(execute=True):
        operations.run(first.pk)
    assert woken.rows("provisioning.run_operation") == [second.pk]


def test_operations_of_other_resources_do_not_wait(resource: Resource, script: Script) -> None:
    other = Resource.objects.create(
        uuid=uuid.uuid4(), service="inference", plan=resource.plan, state="provisioned"
    )
    operations.claim(start(resource).pk)
    operation = start(other)
    operations.run(operation.pk)
    assert again(operation).state == "succeeded"


def test_a_cancelled_operation_whose_worker_is_in_a_step_holds_the_removal_back(
    kafka: Partner, script: Script
) -> None:
    resource = kafka.provisioned()
    provision = resource.operations.get()
    held = operations.claim(provision.pk)
    assert held
    kafka.delete(resource.uuid)
    removal = resource.operations.get(kind="deprovision")
    operations.run(removal.pk)
    assert script.ran == []
    operations.release(held)
    operations.run(removal.pk)
    assert again(removal).state == "succeeded"


def test_a_cancelled_operation_whose_worker_died_holds_the_removal_back_until_the_lease_ends(
    kafka: Partner, script: Script
) -> None:
    resource = kafka.provisioned()
    provision = resource.operations.get()
    assert operations.claim(provision.pk)
    kafka.delete(resource.uuid)
    removal = resource.operations.get(kind="deprovision")
    assert operations.claim(removal.pk) is None
    Operation.objects.filter(pk=provision.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    operations.run(removal.pk)
    assert again(removal).state == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_that_claim_at_once_one_gets_the_lease(plans: None) -> None:
    plan = Plan.objects.get(service="inference", slug="nova-lite")
    for _ in range(5):
        resource = Resource.objects.create(
            uuid=uuid.uuid4(), service="inference", plan=plan, state="provisioned"
        )
        operation = start(resource)
        claimed = at_once([lambda pk=operation.pk: operations.claim(pk)] * 8)  # type: ignore[misc]
        assert len([one for one in claimed if one]) == 1


@pytest.mark.django_db(transaction=True)
def test_two_operations_of_a_resource_are_never_claimed_at_once(plans: None) -> None:
    plan = Plan.objects.get(service="inference", slug="nova-lite")
    for _ in range(5):
        resource = Resource.objects.create(
            uuid=uuid.uuid4(), service="inference", plan=plan, state="provisioned"
        )
        ids = [start(resource, OperationKind(kind)).pk for kind in ("rotation", "config_push", "revocation")]
        claimed = at_once([lambda pk=pk: operations.claim(pk) for pk in ids * 3])  # type: ignore[misc]
        assert [one.pk for one in claimed if one] == [ids[0]]


@pytest.mark.django_db(transaction=True)
def test_many_workers_run_each_step_once(plans: None, script: Script) -> None:
    plan = Plan.objects.get(service="inference", slug="nova-lite")
    resource = Resource.objects.create(uuid=uuid.uuid4(), service="inference", plan=plan, state="provisioned")
    operation = start(resource)
    at_once([lambda: operations.run(operation.pk)] * 8)
    assert script.ran == ["first", "second", "third"]


def test_a_second_operation_of_the_same_kind_is_the_first_one(
    resource: Resource, woken: RecordedWakeups, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        first = start(resource)
        second = start(resource, parameters={"x": 1})
    assert first.pk == second.pk
    assert second.parameters == {}
    assert woken.rows("provisioning.run_operation") == [first.pk, first.pk]


def test_a_failed_provision_leaves_a_failed_resource_and_a_clean_up_that_tells_heroku(
    kafka: Partner, heroku: FakeHeroku
) -> None:
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    heroku.answer_next("POST", ".*/actions/provision", 422, {"id": "invalid_params", "message": "no"})
    operations.run(resource.operations.get().pk)
    resource.refresh_from_db()
    assert resource.state == "failed"
    period = resource.plan_periods.get()
    assert period.voided_at == period.ends_at is not None
    assert not Credential.objects.filter(resource=resource).exclude(state="revoked", secret=None).exists()
    clean_up = resource.operations.get(kind="deprovision")
    assert (clean_up.state, clean_up.parameters) == ("pending", {"report": True})
    run_operations(resource)
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"
    assert heroku.addons[str(resource.uuid)]["state"] == "deprovisioned"
    assert access.state_of(resource) == "ended"
    events = list(resource.audit_events.values_list("event", flat=True))
    assert {"provision.failed", "resource.failed", "resource.deprovisioned"} <= set(events)


def test_a_clean_up_tells_nothing_once_heroku_asked_for_the_removal(
    kafka: Partner, heroku: FakeHeroku
) -> None:
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    heroku.answer_next("POST", ".*/actions/provision", 422, {"id": "invalid_params"})
    operations.run(resource.operations.get().pk)
    assert kafka.delete(resource.uuid).status_code == 204
    heroku.calls.clear()
    run_operations(resource)
    assert not heroku.calls
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"


def test_a_resource_that_heroku_does_not_know_yet_is_waited_for(kafka: Partner, heroku: FakeHeroku) -> None:
    resource = kafka.provisioned()
    access.exchange_grant(resource.access.pk)
    operation = resource.operations.get()
    operations.run(operation.pk)
    operation = again(operation)
    assert (operation.state, operation.attempt) == ("pending", 0)
    assert "does not know the resource yet" in operation.last_error
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    assert run_now(operation).state == "succeeded"


def test_a_resource_that_heroku_never_gets_to_know_fails(kafka: Partner, heroku: FakeHeroku) -> None:
    resource = kafka.provisioned()
    access.exchange_grant(resource.access.pk)
    operation = resource.operations.get()
    Operation.objects.filter(pk=operation.pk).update(created_at=timezone.now() - timedelta(minutes=11))
    operations.run(operation.pk)
    assert again(operation).state == "failed"


def test_a_provision_that_died_after_its_last_call_is_not_completed_twice(
    kafka: Partner, heroku: FakeHeroku
) -> None:
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    operation = resource.operations.get()
    for step in lifecycle.steps_of(operation):
        step.run(operation)
    run_operations(resource)
    assert len(heroku.seen("POST", ".*/actions/provision")) == 1
    assert len(heroku.seen("PATCH", ".*/config")) == 1
    resource.refresh_from_db()
    assert resource.state == "provisioned"


def test_the_operator_s_text_is_masked(resource: Resource, script: Script) -> None:
    script.raises("first", Fault("Bearer HRKU-0a1b2c3d-0000-4000-8000-000000000000 was refused"))
    operation = start(resource)
    operations.run(operation.pk)
    assert again(operation).last_error == "Bearer [masked] was refused"


def test_no_lock_is_held_while_a_step_runs(resource: Resource, script: Script) -> None:
    def look(operation: Operation) -> None:
        # In these tests one transaction surrounds everything: what counts is that the engine opened none of its own.
        assert len(connection.savepoint_ids) == depth

    depth = len(connection.savepoint_ids)
    script.does["second"] = look
    operation = start(resource)
    operations.run(operation.pk)
    assert again(operation).state == "succeeded"


def test_config_vars_are_sent_in_one_call_and_only_when_they_differ(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("inference")
    heroku.calls.clear()
    start(resource)
    run_operations(resource)
    assert not heroku.seen("PATCH", ".*")
    heroku.config[str(resource.uuid)].pop("INFERENCE_URL")
    start(resource)
    run_operations(resource)
    sent = heroku.seen("PATCH", ".*/config")
    assert len(sent) == 1
    assert {pair["name"] for pair in sent[0].json["config"]} == {
        "INFERENCE_URL",
        "INFERENCE_KEY",
        "INFERENCE_MODEL_ID",
    }
    assert platform_api.read_config(resource)["INFERENCE_URL"]
