"""Deprovision: dead at once, cleaned up after it, and a tombstone that stays."""

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from addon.kafkacluster.models import Tenant
from provisioning import access, lifecycle, operations
from provisioning.credentials import issue_credential
from provisioning.models import Credential, Operation, Resource
from provisioning.rotation import rotate_credentials
from provisioning.services import Unrecoverable
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, give_up_provision, provision_body, row_counts, run_operations


def test_the_credentials_are_dead_and_the_secrets_destroyed_when_it_is_answered(
    ready: Any, partner: Partner
) -> None:
    resource = ready(partner.slug)
    assert partner.delete(resource.uuid).status_code == 204
    resource.refresh_from_db()
    assert resource.state == "deprovisioning"
    assert resource.log_input_url is None
    for credential in Credential.objects.filter(resource=resource):
        assert (credential.state, credential.secret) == ("revoked", None)
        assert credential.revoked_at is not None
    held = type(resource.access).objects.get(resource=resource)
    assert (held.state, held.grant_code, held.access_token, held.refresh_token) == ("ended", None, None, None)
    period = resource.plan_periods.get()
    assert period.ends_at is not None
    assert period.voided_at is None


def test_the_rest_follows_and_the_tombstone_stays(ready: Any, partner: Partner, heroku: FakeHeroku) -> None:
    resource = ready(partner.slug)
    partner.delete(resource.uuid)
    heroku.calls.clear()
    run_operations(resource)
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"
    assert resource.deprovisioned_at is not None
    assert not heroku.calls  # Heroku asked for it: there is nothing to tell
    events = list(resource.audit_events.values_list("event", flat=True))
    assert "resource.deprovisioning" in events
    assert "resource.deprovisioned" in events


def test_a_repeat_is_gone(partner: Partner) -> None:
    resource = partner.provisioned()
    assert partner.delete(resource.uuid).status_code == 204
    before = row_counts()
    assert partner.delete(resource.uuid).status_code == 410
    run_operations(resource)
    answer = partner.delete(resource.uuid)
    assert answer.status_code == 410
    assert answer.json()["message"]
    assert row_counts()["provisioning.Operation"] == before["provisioning.Operation"]


def test_a_uuid_that_was_never_seen_leaves_a_tombstone_that_stops_a_late_provision(partner: Partner) -> None:
    body = provision_body(partner.slug)
    assert partner.delete(body["uuid"]).status_code == 410
    tombstone = Resource.objects.get(uuid=body["uuid"])
    assert (tombstone.state, tombstone.plan, tombstone.service) == ("deprovisioned", None, partner.slug)
    assert tombstone.audit_events.get().event == "deprovision.unknown_uuid"
    before = row_counts()
    assert partner.post(body).status_code == 410
    assert partner.put(body["uuid"], body["plan"]).status_code == 410
    assert partner.delete(body["uuid"]).status_code == 410
    assert row_counts() == before


def test_a_removal_while_provisioning_cancels_it(kafka: Partner, heroku: FakeHeroku) -> None:
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    provision = resource.operations.get()
    assert kafka.delete(resource.uuid).status_code == 204
    provision.refresh_from_db()
    assert (provision.state, provision.last_error) == ("cancelled", "the resource is deprovisioned")
    assert resource.audit_events.filter(event="operation.cancelled").count() == 1
    period = resource.plan_periods.get()
    assert period.voided_at == period.ends_at is not None
    run_operations(resource)
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"
    assert not heroku.calls
    assert not Credential.objects.filter(resource=resource).exclude(state="revoked").exists()


@pytest.mark.parametrize("finished_steps", [1, 2, 3])
def test_a_removal_between_any_two_steps_removes_what_they_made(
    kafka: Partner, heroku: FakeHeroku, finished_steps: int
) -> None:
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    operation = resource.operations.get()
    for step in lifecycle.steps_of(operation)[:finished_steps]:
        step.run(operation)
    kafka.delete(resource.uuid)
    operations.run(operation.pk)
    run_operations(resource)
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"
    assert Tenant.objects.get(resource=resource).removed_at is not None
    assert not Credential.objects.filter(resource=resource).exclude(state="revoked", secret=None).exists()
    assert heroku.addons[str(resource.uuid)]["state"] == "provisioning"
    assert not heroku.seen("POST", ".*/actions/.*")


def test_a_worker_that_is_still_in_a_cancelled_step_finishes_nothing(
    kafka: Partner, heroku: FakeHeroku
) -> None:
    """The removal arrives while the worker waits for Heroku's answer."""
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    operation = resource.operations.get()
    claimed = operations.claim(operation.pk)
    assert claimed
    kafka.delete(resource.uuid)
    operations._run_steps(claimed)
    operation.refresh_from_db()
    assert operation.state == "cancelled"
    assert not Credential.objects.filter(resource=resource).exists()
    assert not heroku.seen("POST", ".*/actions/.*")


def test_every_kind_of_operation_under_way_is_cancelled(ready: Any, inference: Partner) -> None:
    resource = ready("inference")
    rotation = rotate_credentials(resource.pk, requested_by="test")
    inference.delete(resource.uuid)
    rotation.refresh_from_db()
    assert rotation.state == "cancelled"
    assert list(
        Operation.objects.filter(resource=resource, state="pending").values_list("kind", flat=True)
    ) == ["deprovision"]


def test_a_failed_resource_is_removed_when_heroku_asks_for_it(kafka: Partner, heroku: FakeHeroku) -> None:
    resource = kafka.provisioned(oauth_grant=None)
    give_up_provision(resource)
    resource.refresh_from_db()
    assert resource.state == "failed"
    assert kafka.delete(resource.uuid).status_code == 204
    run_operations(resource)
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"
    assert resource.operations.filter(kind="deprovision").count() == 1
    assert kafka.delete(resource.uuid).status_code == 410


def test_an_ended_resource_can_hold_no_secret(inference: Partner) -> None:
    resource = inference.provisioned()
    inference.delete(resource.uuid)
    resource.refresh_from_db()
    resource.set_sealed(log_input_url="https://token:x@1.us.logplex.io/logs")
    with pytest.raises(IntegrityError, match="gone_resource_keeps_no_secret"), transaction.atomic():
        resource.save(update_fields=["log_input_url"])
    resource.access.refresh_from_db()
    resource.access.set_sealed(access_token="HRKU-late")
    with pytest.raises(IntegrityError, match="ended_access_keeps_no_secret"), transaction.atomic():
        resource.access.save()
    credential = resource.credentials.get()
    credential.set_sealed(secret="late")
    with pytest.raises(IntegrityError, match="revoked_credential_keeps_no_secret"), transaction.atomic():
        credential.save()


def test_a_late_step_cannot_issue_a_credential_to_an_ended_resource(inference: Partner, ready: Any) -> None:
    resource = ready("inference")
    rotation = rotate_credentials(resource.pk, requested_by="test")
    inference.delete(resource.uuid)
    with pytest.raises(Unrecoverable, match="the resource has ended"), transaction.atomic():
        issue_credential(Operation.objects.get(pk=rotation.pk))
    assert not Credential.objects.filter(resource=resource).exclude(state="revoked").exists()


def test_a_removed_resource_of_one_service_is_not_found_by_another(
    inference: Partner, kafka: Partner
) -> None:
    unknown = uuid.uuid4()
    inference.delete(unknown)
    before = row_counts()
    assert kafka.delete(unknown).status_code == 404
    assert row_counts() == before
