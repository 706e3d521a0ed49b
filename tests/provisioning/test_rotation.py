"""Rotation: issue new, push config, let both work for a while, revoke the old."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from provisioning import lifecycle, operations
from provisioning.models import Credential, Operation, PlatformAccess, Resource
from provisioning.rotation import rotate_credentials
from provisioning.services import Fault, Refusal, Step, all_services
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, provision_body, run_operations


def by_state(resource: Resource) -> dict[str, list[Credential]]:
    """The credentials of a resource."""
    found: dict[str, list[Credential]] = {"active": [], "retiring": [], "revoked": []}
    for credential in Credential.objects.filter(resource=resource):
        found[credential.state].append(credential)
    return found


@pytest.fixture(params=["inference", "kafkacluster"])
def resource(request: pytest.FixtureRequest, ready: Any) -> Resource:
    """A provisioned resource of each service that issues credentials."""
    made: Resource = ready(request.param)
    return made


def secret_var(resource: Resource) -> str:
    """The config var that carries the credential."""
    return {"inference": "INFERENCE_KEY", "kafkacluster": "KAFKACLUSTER_PASSWORD"}[resource.service]


def test_both_credentials_are_valid_for_the_overlap(
    resource: Resource, heroku: FakeHeroku, settings: Settings
) -> None:
    settings.CREDENTIAL_OVERLAP_SECONDS = 1800
    [former] = by_state(resource)["active"]
    operation = rotate_credentials(resource.pk, requested_by="somebody@example.com")
    run_operations(resource)
    found = by_state(resource)
    assert [credential.pk for credential in found["retiring"]] == [former.pk]
    [active], [retiring] = found["active"], found["retiring"]
    assert heroku.config[str(resource.uuid)][secret_var(resource)] == active.get_sealed("secret")
    assert retiring.get_sealed("secret")
    assert retiring.retires_at
    assert abs(retiring.retires_at - timezone.now() - timedelta(seconds=1800)) < timedelta(seconds=30)
    operation.refresh_from_db()
    assert operation.state == "succeeded"
    asked = resource.audit_events.get(event="rotation.requested")
    assert (asked.actor, asked.detail) == ("somebody@example.com", {"revoke_now": False})
    assert resource.audit_events.filter(event="rotation.succeeded").exists()


def test_the_app_is_restarted_once(resource: Resource, heroku: FakeHeroku) -> None:
    heroku.calls.clear()
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    assert len(heroku.seen("PATCH", ".*/config")) == 1
    assert not heroku.seen("POST", ".*")


def test_the_former_one_begins_to_retire_only_when_the_app_has_the_new_one(
    resource: Resource, heroku: FakeHeroku
) -> None:
    heroku.answer_next("PATCH", ".*/config", 503, times=3)
    operation = rotate_credentials(resource.pk, requested_by="test")
    operations.run(operation.pk)
    assert by_state(resource)["retiring"][0].retires_at is None
    run_operations(resource)
    assert by_state(resource)["retiring"][0].retires_at is not None
    assert len(by_state(resource)["active"]) == 1


def test_revoke_now_ends_the_former_before_heroku_is_told(resource: Resource, heroku: FakeHeroku) -> None:
    seen: list[dict[str, int]] = []
    [former] = by_state(resource)["active"]
    operation = rotate_credentials(resource.pk, requested_by="test", revoke_now=True)
    names = [step.name for step in lifecycle.steps_of(operation)]
    assert names.index("revoke replaced credentials") < names.index("push config vars")
    heroku.answer_next("PATCH", ".*/config", 503)
    operations.run(operation.pk)
    seen.append({state: len(rows) for state, rows in by_state(resource).items()})
    assert seen == [{"active": 1, "retiring": 0, "revoked": 1}]
    run_operations(resource)
    former.refresh_from_db()
    assert (former.state, former.secret) == ("revoked", None)
    assert heroku.config[str(resource.uuid)][secret_var(resource)] == by_state(resource)["active"][
        0
    ].get_sealed("secret")


def test_revoke_now_also_ends_those_that_are_still_in_their_overlap(resource: Resource) -> None:
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    rotate_credentials(resource.pk, requested_by="test", revoke_now=True)
    run_operations(resource)
    assert {state: len(rows) for state, rows in by_state(resource).items()} == {
        "active": 1,
        "retiring": 0,
        "revoked": 2,
    }


def test_a_rotation_under_way_is_returned_instead_of_a_second_one(resource: Resource) -> None:
    first = rotate_credentials(resource.pk, requested_by="test")
    assert rotate_credentials(resource.pk, requested_by="test").pk == first.pk
    run_operations(resource)
    second = rotate_credentials(resource.pk, requested_by="test")
    assert second.pk != first.pk


def test_a_leak_that_becomes_known_during_a_rotation_ends_the_former_credential_at_once(
    resource: Resource,
) -> None:
    [former] = by_state(resource)["active"]
    first = rotate_credentials(resource.pk, requested_by="test")
    assert rotate_credentials(resource.pk, requested_by="test", revoke_now=True).pk == first.pk
    run_operations(resource)
    former.refresh_from_db()
    assert former.state == "revoked"


def test_a_leak_that_becomes_known_when_the_overlap_has_begun_ends_it(resource: Resource) -> None:
    [former] = by_state(resource)["active"]
    operation = rotate_credentials(resource.pk, requested_by="test")
    operations.claim(operation.pk)
    for step in lifecycle.steps_of(operation):
        step.run(operation)  # all but the end of the operation
    former.refresh_from_db()
    assert former.retires_at
    assert former.retires_at > timezone.now() + timedelta(minutes=5)
    rotate_credentials(resource.pk, requested_by="test", revoke_now=True)
    former.refresh_from_db()
    assert former.retires_at <= timezone.now()


def test_a_rotation_that_heroku_refuses_brings_the_former_back(
    resource: Resource, heroku: FakeHeroku
) -> None:
    [former] = by_state(resource)["active"]
    before = dict(heroku.config[str(resource.uuid)])
    heroku.answer_next("PATCH", ".*/config", 422, {"id": "invalid_params"})
    operation = rotate_credentials(resource.pk, requested_by="test")
    operations.run(operation.pk)
    operation.refresh_from_db()
    assert operation.state == "failed"
    found = by_state(resource)
    assert [credential.pk for credential in found["active"]] == [former.pk]
    assert found["active"][0].retires_at is None
    assert len(found["revoked"]) == 1
    assert all_services()[resource.service].config_vars(resource) == before
    assert resource.audit_events.filter(event="rotation.failed").exists()


def test_a_revoke_now_that_heroku_refuses_leaves_the_resource_with_a_credential(
    resource: Resource, heroku: FakeHeroku
) -> None:
    heroku.answer_next("PATCH", ".*/config", 422, {"id": "invalid_params"})
    operation = rotate_credentials(resource.pk, requested_by="test", revoke_now=True)
    operations.run(operation.pk)
    operation.refresh_from_db()
    assert operation.state == "failed"
    found = by_state(resource)
    assert (len(found["active"]), len(found["retiring"]), len(found["revoked"])) == (1, 0, 1)
    partner = Partner(resource.service)
    told = partner.post(provision_body(resource.service, uuid=str(resource.uuid)))
    assert told.json()["config"][secret_var(resource)] == found["active"][0].get_sealed("secret")
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    assert heroku.config[str(resource.uuid)] == all_services()[resource.service].config_vars(
        Resource.objects.get(pk=resource.pk)
    )


def test_what_was_let_in_outside_is_shut_out_after_a_failure(
    ready: Any, heroku: FakeHeroku, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = ready("kafkacluster")
    ran: list[str] = []

    def step(name: str) -> Step:
        return Step(name, lambda operation: ran.append(f"{operation.kind}: {name}"))

    service = type(all_services()["kafkacluster"])
    monkeypatch.setattr(service, "install_credential_steps", lambda self: (step("install"),))
    monkeypatch.setattr(service, "remove_credential_steps", lambda self: (step("remove"),))
    heroku.answer_next("PATCH", ".*/config", 422, {"id": "invalid_params"})
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    assert ran == ["rotation: install", "revocation: remove"]


@pytest.mark.parametrize("state", ["provisioning", "failed", "deprovisioning", "deprovisioned"])
def test_a_resource_that_is_not_provisioned_is_refused(kafka: Partner, state: str) -> None:
    resource = kafka.provisioned()
    if state in ("failed", "deprovisioning"):
        Resource.objects.filter(pk=resource.pk).update(state=state, log_input_url=None)
    if state == "deprovisioned":
        kafka.delete(resource.uuid)
        run_operations(resource)
    before = Operation.objects.count()
    with pytest.raises(Refusal, match="once the resource is provisioned"):
        rotate_credentials(resource.pk, requested_by="test")
    assert Operation.objects.count() == before


def test_a_service_without_credentials_refuses(ready: Any) -> None:
    with pytest.raises(Refusal, match="no credentials to rotate"):
        rotate_credentials(ready("mobiloud").pk, requested_by="test")


def test_without_access_to_heroku_nothing_is_rotated(resource: Resource) -> None:
    PlatformAccess.objects.filter(resource=resource).update(state="lost")
    with pytest.raises(Refusal, match="contact support"):
        rotate_credentials(resource.pk, requested_by="test")
    assert len(by_state(resource)["active"]) == 1
    assert not resource.operations.filter(kind="rotation").exists()


def test_a_rotation_waits_for_the_grant(inference: Partner, heroku: FakeHeroku) -> None:
    from provisioning import access

    resource = inference.provisioned()
    operation = rotate_credentials(resource.pk, requested_by="test")
    operations.run(operation.pk)
    operation.refresh_from_db()
    assert operation.state == "pending"
    heroku.know(resource.uuid, plan="inference:nova-lite")
    access.exchange_grant(resource.access.pk)
    run_operations(resource)
    operation.refresh_from_db()
    assert operation.state == "succeeded"


def test_each_kafka_password_is_on_the_mechanism_that_the_former_is_not(ready: Any) -> None:
    resource = ready("kafkacluster")
    kinds = [by_state(resource)["active"][0].kind]
    for _ in range(2):
        rotate_credentials(resource.pk, requested_by="test")
        run_operations(resource)
        kinds.append(by_state(resource)["active"][0].kind)
    assert kinds == ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-512"]


def test_a_step_that_fails_for_a_while_issues_no_further_credential(
    resource: Resource, heroku: FakeHeroku, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning import platform_api

    original = platform_api.write_config
    left = [Fault("x")] * 4

    def sometimes(*args: Any) -> None:
        if left:
            raise left.pop()
        original(*args)

    monkeypatch.setattr(platform_api, "write_config", sometimes)
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    assert Credential.objects.filter(resource=resource).count() == 2
