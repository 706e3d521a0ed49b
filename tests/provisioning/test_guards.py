"""What the database itself refuses, whatever the code does."""

import uuid
from datetime import timedelta
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from provisioning import lifecycle
from provisioning.models import AuditEvent, Credential, Operation, Plan, PlanPeriod, PlatformAccess, Resource
from provisioning.states import (
    RESOURCE_TRANSITIONS,
    ForbiddenTransition,
    OperationKind,
    OperationState,
    ResourceState,
)
from tests.support.partner import Partner


def bare_resource(state: str) -> Resource:
    """A row in a state, and nothing around it."""
    plan = Plan.objects.get(service="inference", slug="nova-lite")
    return Resource.objects.create(uuid=uuid.uuid4(), service="inference", plan=plan, state=state)


def test_a_state_moves_in_the_database_exactly_as_the_table_in_the_code_says(plans: None) -> None:
    for former, new in product(ResourceState.values, ResourceState.values):
        resource = bare_resource(former)
        allowed = former == new or new in RESOURCE_TRANSITIONS[former]
        try:
            with transaction.atomic():
                Resource.objects.filter(pk=resource.pk).update(state=new)
            moved = True
        except IntegrityError as error:
            moved = "cannot go from" not in str(error)
        assert moved == allowed, f"{former} → {new}"


def test_the_code_refuses_what_the_database_would(plans: None) -> None:
    for former, new in product(ResourceState, ResourceState):
        resource = bare_resource(former)
        if new in RESOURCE_TRANSITIONS[former]:
            lifecycle.move(resource, new)
            resource.refresh_from_db()
            assert resource.state == new
            assert resource.audit_events.get().detail == {"former": former.value}
        else:
            with pytest.raises(ForbiddenTransition):
                lifecycle.move(resource, new)
            assert not resource.audit_events.exists()


def test_an_operation_that_has_ended_stays_as_it_ended(plans: None) -> None:
    ended = (OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED)
    for former, new in product(OperationState.values, OperationState.values):
        finished = timezone.now() if former in ended else None
        operation = Operation.objects.create(
            resource=bare_resource("provisioned"), kind="rotation", state=former, finished_at=finished
        )
        changes = {"state": new, "finished_at": timezone.now() if new in ended else None}
        try:
            with transaction.atomic():
                Operation.objects.filter(pk=operation.pk).update(**changes)
            moved = True
        except IntegrityError as error:
            moved = "stays" not in str(error)
        assert moved == (former == new or former not in ended), f"{former} → {new}"


@pytest.mark.parametrize("change", [{"uuid": uuid.uuid4()}, {"service": "mobiloud"}])
def test_a_resource_keeps_its_uuid_and_its_service(plans: None, change: dict[str, object]) -> None:
    resource = bare_resource("provisioned")
    with pytest.raises(IntegrityError, match="keeps its uuid"), transaction.atomic():
        Resource.objects.filter(pk=resource.pk).update(**change)


def test_a_uuid_stands_once(plans: None) -> None:
    resource = bare_resource("provisioned")
    with pytest.raises(IntegrityError, match="uuid"), transaction.atomic():
        Resource.objects.create(uuid=resource.uuid, service="inference", plan=resource.plan)


def test_only_a_tombstone_may_be_without_a_plan(plans: None) -> None:
    for state in ResourceState.values:
        row = {"uuid": uuid.uuid4(), "service": "inference", "state": state}
        if state == "deprovisioned":
            Resource.objects.create(**row)
            continue
        with pytest.raises(IntegrityError, match="resource_has_plan"), transaction.atomic():
            Resource.objects.create(**row)


def test_unknown_states_and_kinds_are_refused(plans: None) -> None:
    with pytest.raises(IntegrityError, match="resource_state_known"), transaction.atomic():
        bare_resource("paused")
    resource = bare_resource("provisioned")
    with pytest.raises(IntegrityError, match="operation_kind_known"), transaction.atomic():
        Operation.objects.create(resource=resource, kind="upgrade")
    with pytest.raises(IntegrityError, match="operation_state_known"), transaction.atomic():
        Operation.objects.create(
            resource=resource, kind="rotation", state="paused", finished_at=timezone.now()
        )


def test_two_active_operations_of_one_kind_are_refused(plans: None) -> None:
    resource = bare_resource("provisioned")
    for kind in OperationKind.values:
        Operation.objects.create(resource=resource, kind=kind, state="running")
        with pytest.raises(IntegrityError, match="one_active_operation_per_kind"), transaction.atomic():
            Operation.objects.create(resource=resource, kind=kind, state="pending")
        Operation.objects.create(resource=resource, kind=kind, state="failed", finished_at=timezone.now())


def test_an_operation_has_the_time_of_its_end_exactly_when_it_has_ended(plans: None) -> None:
    resource = bare_resource("provisioned")
    for state, finished_at in (("succeeded", None), ("pending", timezone.now())):
        with pytest.raises(IntegrityError, match="ended_operation_has_its_time"), transaction.atomic():
            Operation.objects.create(resource=resource, kind="rotation", state=state, finished_at=finished_at)


T0 = timezone.now().replace(microsecond=0)
HOURS = [T0 + timedelta(hours=n) for n in range(5)]


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ((0, 2), (2, 4), True),
        ((0, 2), (1, 4), False),
        ((0, 4), (1, 2), False),
        ((1, 2), (0, 4), False),
        ((0, None), (1, 2), False),
        ((1, None), (0, 1), True),
        ((0, 2), (3, None), True),
        ((0, 2), (1, None), False),
        ((0, 2), (0, 2), False),
    ],
)
def test_plan_periods_of_a_resource_do_not_overlap(
    plans: None, first: tuple[int, int | None], second: tuple[int, int | None], fits: bool
) -> None:
    resource, other = bare_resource("provisioned"), bare_resource("provisioned")

    def insert(resource: Resource, hours: tuple[int, int | None]) -> None:
        assert resource.plan is not None
        ends_at = None if hours[1] is None else HOURS[hours[1]]
        PlanPeriod.objects.create(
            resource=resource,
            plan=resource.plan,
            price_cents=0,
            starts_at=HOURS[hours[0]],
            ends_at=ends_at,
        )

    insert(resource, first)
    insert(other, second)  # another resource's may lie where they like
    if fits:
        insert(resource, second)
        return
    with pytest.raises(IntegrityError, match="plan_periods_do_not_overlap"), transaction.atomic():
        insert(resource, second)


def test_a_resource_has_one_open_plan_period_that_runs_forward(plans: None) -> None:
    resource = bare_resource("provisioned")
    row = {"resource": resource, "plan": resource.plan, "price_cents": 0}
    with pytest.raises(IntegrityError, match="plan_period_runs_forward"), transaction.atomic():
        PlanPeriod.objects.create(**row, starts_at=HOURS[2], ends_at=HOURS[1])
    PlanPeriod.objects.create(**row, starts_at=HOURS[2])
    with pytest.raises(IntegrityError), transaction.atomic():
        PlanPeriod.objects.create(**row, starts_at=HOURS[3])


def test_the_audit_is_append_only(inference: Partner) -> None:
    resource = inference.provisioned()
    event = resource.audit_events.first()
    assert event
    for sql in (
        "UPDATE provisioning_auditevent SET actor = 'nobody' WHERE id = %s",
        "DELETE FROM provisioning_auditevent WHERE id = %s",
    ):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, [event.pk])
    assert AuditEvent.objects.filter(pk=event.pk).exists()


def test_a_resource_has_one_active_credential(inference: Partner) -> None:
    resource = inference.provisioned()
    other = Operation.objects.create(resource=resource, kind="rotation")
    row = {"resource": resource, "operation": other, "digest": b"x", "pepper_version": 1}
    with pytest.raises(IntegrityError, match="one_active_credential"), transaction.atomic():
        Credential.objects.create(**row)
    Credential.objects.create(**row, state="retiring")


def test_granted_access_has_both_tokens(inference: Partner) -> None:
    resource = inference.provisioned()
    with pytest.raises(IntegrityError, match="granted_access_has_tokens"), transaction.atomic():
        PlatformAccess.objects.filter(resource=resource).update(state="granted")


def test_a_service_has_one_default_plan(plans: None) -> None:
    with pytest.raises(IntegrityError, match="one_default_plan"), transaction.atomic():
        Plan.objects.filter(service="inference", slug="nova-pro").update(is_default=True)


def test_rows_that_others_point_at_cannot_be_deleted(inference: Partner) -> None:
    resource = inference.provisioned()
    with pytest.raises(IntegrityError), transaction.atomic():
        resource.delete()
    assert resource.plan
    with pytest.raises(IntegrityError), transaction.atomic():
        resource.plan.delete()
