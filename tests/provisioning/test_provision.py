"""Provision: what Heroku is answered, what is kept, and that a refusal leaves nothing."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from provisioning import access
from provisioning.models import Credential, Operation, Plan, PlanPeriod, Resource
from provisioning.rotation import rotate_credentials
from provisioning.services import Step, all_services
from provisioning.steps import ISSUE_CREDENTIAL
from tests.provisioning.conftest import RecordedWakeups
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, give_up_provision, provision_body, row_counts, run_operations


def test_a_service_that_provisions_in_the_request_answers_200_with_its_config_vars(
    inference: Partner,
) -> None:
    body = provision_body("inference")
    answer = inference.post(body)
    assert answer.status_code == 200
    told = answer.json()
    assert set(told) == {"id", "config", "message"}
    assert told["id"] == body["uuid"]
    assert told["config"]["INFERENCE_MODEL_ID"] == body["plan"]
    assert told["config"]["INFERENCE_KEY"].startswith("inf-")
    assert told["message"] == all_services()["inference"].provisioned_message


def test_a_service_that_provisions_afterwards_answers_202_without_config(kafka: Partner) -> None:
    body = provision_body("kafkacluster")
    answer = kafka.post(body)
    assert answer.status_code == 202
    assert answer.json() == {
        "id": body["uuid"],
        "message": all_services()["kafkacluster"].provisioning_message,
    }


def test_all_of_a_new_resource_is_written_by_one_statement(partner: Partner) -> None:
    written = []

    def note(execute: Callable[..., Any], statement: str, *rest: Any) -> Any:
        if "INSERT" in statement or "UPDATE" in statement:
            written.append(statement)
        return execute(statement, *rest)

    with connection.execute_wrapper(note):
        assert partner.post(provision_body(partner.slug)).status_code < 300
    assert len(written) == 1


def test_a_step_of_the_request_that_fails_leaves_nothing(
    inference: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(operation: Operation) -> None:
        assert operation.resource.credentials.exists()
        raise RuntimeError("a step that fails")

    steps = (ISSUE_CREDENTIAL, Step("a step of its own", fail))
    monkeypatch.setattr(type(all_services()["inference"]), "provision_steps", lambda _: steps)
    before = row_counts()
    assert inference.post(provision_body("inference")).status_code == 500
    assert row_counts() == before


def test_an_in_request_resource_is_whole_when_it_is_seen(inference: Partner) -> None:
    resource = inference.provisioned()
    assert resource.state == "provisioned"
    assert resource.provisioned_at is not None
    operation = resource.operations.get()
    assert (operation.kind, operation.state) == ("provision", "succeeded")
    assert operation.finished_at is not None
    assert resource.credentials.get().state == "active"


def test_a_provision_writes_what_billing_and_operators_need(partner: Partner) -> None:
    resource = partner.provisioned(region="amazon-web-services::eu-west-1", name="acme-cubic-1")
    assert resource.plan
    period = resource.plan_periods.get()
    assert (period.plan, period.price_cents, period.ends_at) == (
        resource.plan,
        resource.plan.price_cents,
        None,
    )
    assert abs(period.starts_at - timezone.now()) < timedelta(seconds=30)
    assert (resource.region, resource.name, resource.service) == ("eu", "acme-cubic-1", partner.slug)
    first = resource.audit_events.last()
    assert first
    assert (first.event, first.actor) == (f"resource.{resource.state}", "heroku")
    assert first.detail["plan"] == resource.plan.slug


def test_the_grant_is_kept_sealed_and_its_exchange_is_woken_on_commit(
    partner: Partner, woken: RecordedWakeups, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        resource = partner.provisioned(oauth_grant={"code": "5b0f9f64-made-up"})
    assert resource.access.get_sealed("grant_code") == "5b0f9f64-made-up"
    assert woken.rows("provisioning.exchange_grant") == [resource.access.pk]
    assert [queue for name, _, queue, _ in woken.sent if "grant" in name] == ["grants"]


def test_only_an_operation_that_has_work_left_is_woken(
    inference: Partner, kafka: Partner, woken: RecordedWakeups, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        inference.provisioned()
        resource = kafka.provisioned()
    assert woken.rows("provisioning.run_operation") == [resource.operations.get().pk]


def test_heroku_s_request_is_kept_without_its_secrets(inference: Partner) -> None:
    planted = "pl4nted-secret-of-the-customer"
    body = provision_body(
        "inference",
        oauth_grant={"code": planted},
        log_input_url=f"https://token:{planted}@1.us.logplex.io/logs",
        log_drain_token=planted,
        logplex_token=planted,
        options={"password": planted, "shown": "x"},
        api_token=planted,
        nested={"client_secret": planted, "list": [{"password": planted}]},
        callback_url=f"https://user:{planted}@api.heroku.com/addons/1",
        new_field="kept for later",
    )
    inference.post(body)
    kept = Resource.objects.get(uuid=body["uuid"]).request
    assert kept["new_field"] == "kept for later"
    assert kept["plan"] == body["plan"]
    assert planted not in str(kept)


def test_a_repeat_is_answered_as_the_first_time(partner: Partner) -> None:
    body = provision_body(partner.slug)
    first = partner.post(body)
    before = row_counts()
    again = partner.post(body)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert row_counts() == before


def test_a_repeat_after_the_work_is_done_gets_the_config_vars(kafka: Partner, heroku: FakeHeroku) -> None:
    body = provision_body("kafkacluster")
    assert kafka.post(body).status_code == 202
    resource = Resource.objects.get(uuid=body["uuid"])
    heroku.know(body["uuid"], plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    run_operations(resource)
    again = kafka.post(body)
    assert again.status_code == 200
    assert again.json()["config"] == heroku.config[body["uuid"]]


def test_a_repeat_after_a_rotation_gets_the_values_of_now(ready: Any, inference: Partner) -> None:
    resource = ready("inference")
    body = provision_body("inference", uuid=str(resource.uuid))
    first = inference.post(body).json()["config"]
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    second = inference.post(body).json()["config"]
    assert second["INFERENCE_KEY"] != first["INFERENCE_KEY"]
    assert second == inference.post(body).json()["config"]
    active = Credential.objects.get(resource=resource, state="active")
    assert active.get_sealed("secret") == second["INFERENCE_KEY"]


def test_the_first_request_stands_when_a_repeat_asks_for_something_else(inference: Partner) -> None:
    body = provision_body("inference")
    first = inference.post(body)
    before = row_counts()
    other = {
        **body,
        "plan": "nova-pro",
        "region": "amazon-web-services::eu-west-1",
        "name": "renamed",
        "options": {"x": "y"},
        "log_input_url": "https://token:other@1.us.logplex.io/logs",
    }
    again = inference.post(other)
    assert (again.status_code, again.json()) == (200, first.json())
    assert inference.post({**body, "plan": "no-such-plan", "region": "mars"}).json() == first.json()
    resource = Resource.objects.get(uuid=body["uuid"])
    assert resource.plan
    assert (resource.plan.slug, resource.region, resource.name) == (body["plan"], "us", body["name"])
    assert resource.get_sealed("log_input_url") == body["log_input_url"]
    assert row_counts() == before


def test_a_newer_grant_is_kept_while_none_was_exchanged(inference: Partner) -> None:
    resource = inference.provisioned(oauth_grant={"code": "first-code"})
    body = provision_body("inference", uuid=str(resource.uuid), oauth_grant={"code": "newer-code"})
    inference.post(body)
    resource.access.refresh_from_db()
    assert resource.access.get_sealed("grant_code") == "newer-code"
    inference.post({**body, "oauth_grant": None})
    resource.access.refresh_from_db()
    assert resource.access.get_sealed("grant_code") == "newer-code"


def test_a_newer_grant_brings_lost_access_back(inference: Partner, heroku: FakeHeroku) -> None:
    resource = inference.provisioned(oauth_grant=None)
    assert resource.access.state == "lost"
    inference.post(provision_body("inference", uuid=str(resource.uuid)))
    access.exchange_grant(resource.access.pk)
    assert access.state_of(resource) == "granted"


def test_a_newer_grant_is_left_alone_once_there_are_tokens(inference: Partner, heroku: FakeHeroku) -> None:
    resource = inference.provisioned()
    access.exchange_grant(resource.access.pk)
    before = type(resource.access).objects.filter(resource=resource).values().get()
    inference.post(provision_body("inference", uuid=str(resource.uuid)))
    assert type(resource.access).objects.filter(resource=resource).values().get() == before


def test_after_the_deprovision_a_repeat_is_gone_for_good(partner: Partner) -> None:
    body = provision_body(partner.slug)
    partner.post(body)
    partner.delete(body["uuid"])
    before = row_counts()
    assert [partner.post(body).status_code for _ in range(2)] == [410, 410]
    resource = Resource.objects.get(uuid=body["uuid"])
    run_operations(resource)
    assert partner.post(body).status_code == 410
    assert row_counts()["provisioning.Resource"] == before["provisioning.Resource"]


def test_a_failed_provision_is_refused_with_what_to_do(kafka: Partner, heroku: FakeHeroku) -> None:
    body = provision_body("kafkacluster", oauth_grant=None)
    kafka.post(body)
    resource = Resource.objects.get(uuid=body["uuid"])
    give_up_provision(resource)
    answer = kafka.post(body)
    assert answer.status_code == 422
    assert "remove the add-on and add it again" in answer.json()["message"]


REFUSED = {
    "unknown plan": (
        "inference",
        {"plan": "gpt-99"},
        "'gpt-99' is not a plan of Inference. Choose one of: nova-lite,",
    ),
    "plan of another service": ("inference", {"plan": "basic-0"}, "'basic-0' is not a plan"),
    "plan with the service's name": (
        "kafkacluster",
        {"plan": "kafkacluster:free"},
        "is not a plan of KafkaCluster",
    ),
    "unknown region": (
        "kafkacluster",
        {"region": "amazon-web-services::mars-1"},
        "'mars-1'. It is available in: us, eu",
    ),
    "region not sold": (
        "mobiloud",
        {"region": "amazon-web-services::ap-northeast-1"},
        "not offered in region 'tokyo'",
    ),
    "region without this plan": (
        "inference",
        {"plan": "qwen3-235b", "region": "eu"},
        "It is available in: us.",
    ),
    "bad option": (
        "mobiloud",
        {"options": {"website": "javascript:alert(1)"}},
        "The option 'website' has to be",
    ),
    "option with a password": ("mobiloud", {"options": {"website": "https://a:b@example.com"}}, "'website'"),
    "option that is an object": (
        "kafkacluster",
        {"options": {"x": {"y": 1}}},
        "The option 'x' has to be a text",
    ),
    "too many options": ("inference", {"options": {str(n): "x" for n in range(51)}}, "At most 50 options"),
    "very long option": ("inference", {"options": {"x": "y" * 2001}}, "The option 'x'"),
    "very long plan": ("inference", {"plan": "p" * 199}, f"'{'p' * 60}…' is not a plan"),
    "very long region": ("inference", {"region": "r" * 199}, f"'{'r' * 60}…'"),
}


@pytest.mark.parametrize(("slug", "fields", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_provision_says_why_and_leaves_nothing_in_any_table(
    plans: None, slug: str, fields: dict[str, Any], said: str, django_capture_on_commit_callbacks: Any
) -> None:
    before = row_counts()
    body = provision_body(slug, **fields)
    with django_capture_on_commit_callbacks() as callbacks:
        answer = Partner(slug).post(body)
    assert answer.status_code == 422
    assert said in answer.json()["message"]
    assert answer.json()["id"]
    assert row_counts() == before
    assert not callbacks
    # Nothing stands in the way of a right request with the same uuid.
    assert Partner(slug).post(provision_body(slug, uuid=body["uuid"])).status_code in (200, 202)


def test_a_withdrawn_plan_is_not_sold_but_kept_by_those_who_have_it(inference: Partner) -> None:
    resource = inference.provisioned(plan="nova-pro")
    Plan.objects.filter(service="inference", slug="nova-pro").update(withdrawn_at=timezone.now())
    before = row_counts()
    refused = inference.post(provision_body("inference", plan="nova-pro"))
    assert refused.status_code == 422
    assert "not offered any more" in refused.json()["message"]
    assert "nova-pro" not in refused.json()["message"].partition("Choose")[2]
    assert row_counts() == before
    assert inference.post(provision_body("inference", uuid=str(resource.uuid))).status_code == 200
    assert inference.put(resource.uuid, "nova-pro").status_code == 200


def test_a_fault_in_a_service_s_step_leaves_nothing(
    inference: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("generator out of order")

    before = row_counts()
    monkeypatch.setattr(type(all_services()["inference"]), "generate_secret", broken)
    body = provision_body("inference")
    assert inference.post(body).status_code == 500
    assert row_counts() == before
    monkeypatch.undo()
    assert inference.post(body).status_code == 200


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("amazon-web-services::us-east-1", "us"),
        ("amazon-web-services::eu-west-1", "eu"),
        ("us", "us"),
        ("eu", "eu"),
        ("virginia", "us"),
        ("dublin", "eu"),
        ("", "us"),
        (None, "us"),
    ],
)
def test_regions_are_known_by_every_name_that_heroku_uses(
    inference: Partner, asked: str | None, stored: str
) -> None:
    assert inference.provisioned(region=asked).region == stored


@pytest.mark.parametrize(("given", "kept"), [(True, True), ("true", True), (17, True), (None, False)])
def test_switches_come_as_texts_or_as_they_are(mobiloud: Partner, given: Any, kept: bool) -> None:
    answer = mobiloud.post(provision_body("mobiloud", options={"website": given}))
    assert answer.status_code == (422 if kept else 200)  # none of them is an address; null counts as absent


def test_accepted_options_are_kept_and_unknown_ones_ignored(mobiloud: Partner) -> None:
    resource = mobiloud.provisioned(options={"website": "https://shop.example.com/x", "colour": "red"})
    assert resource.options == {"website": "https://shop.example.com/x"}


def test_a_uuid_of_another_service_neither_exists_nor_can_be_made(inference: Partner, kafka: Partner) -> None:
    resource = inference.provisioned()
    before = row_counts()
    answer = kafka.post(provision_body("kafkacluster", uuid=str(resource.uuid)))
    assert answer.status_code == 422
    assert kafka.put(resource.uuid, "starter").status_code == 404
    assert kafka.delete(resource.uuid).status_code == 404
    assert row_counts() == before
    resource.refresh_from_db()
    assert (resource.state, resource.service) == ("provisioned", "inference")
    secret = resource.credentials.get().get_sealed("secret")
    assert secret
    for told in (answer, kafka.put(resource.uuid, "starter")):
        assert "inference" not in told.content.decode().lower()
        assert secret not in told.content.decode()


def test_an_answer_holds_the_secrets_of_its_own_resource_only(inference: Partner, kafka: Partner) -> None:
    others = [inference.provisioned() for _ in range(3)]
    secrets = {str(other.credentials.get().get_sealed("secret")) for other in others}
    mine = inference.post(provision_body("inference"))
    text = mine.content.decode() + inference.put(mine.json()["id"], "nova-pro").content.decode()
    text += inference.put(mine.json()["id"], "gpt-99").content.decode()
    text += kafka.post(provision_body("kafkacluster")).content.decode()
    assert not [secret for secret in secrets if secret in text]


def test_two_resources_share_no_secret_and_no_name(inference: Partner) -> None:
    first, second = (inference.post(provision_body("inference")).json()["config"] for _ in range(2))
    assert first["INFERENCE_KEY"] != second["INFERENCE_KEY"]
    assert Credential.objects.count() == 2


def test_nothing_is_left_active_of_an_in_request_provision(inference: Partner) -> None:
    inference.provisioned()
    assert not Operation.objects.filter(state__in=["pending", "running"]).exists()
    assert PlanPeriod.objects.filter(ends_at=None).count() == 1


def test_a_uuid_that_was_never_seen_is_not_found_for_a_plan_change(partner: Partner) -> None:
    before = row_counts()
    assert partner.put(uuid.uuid4(), "free").status_code == 404
    assert row_counts() == before
