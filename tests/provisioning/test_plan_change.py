"""Plan change: accepted from the answer on, applied after it where the service needs to."""

from itertools import pairwise
from typing import Any

import pytest

from provisioning.models import Operation, PlanPeriod, Resource
from provisioning.services import Refusal, all_services
from tests.support.partner import Partner, row_counts, run_operations


def periods(resource: Resource) -> list[tuple[str, bool]]:
    """The plans of a resource in order, each with whether it is open; they follow each other without a gap."""
    rows = list(
        PlanPeriod.objects.filter(resource=resource).select_related("plan").order_by("starts_at", "pk")
    )
    for former, later in pairwise(rows):
        assert former.ends_at == later.starts_at
    return [(row.plan.slug, row.ends_at is None) for row in rows]


def test_an_in_request_service_answers_with_the_new_config_vars(inference: Partner) -> None:
    resource = inference.provisioned()
    answer = inference.put(resource.uuid, "nova-pro")
    assert answer.status_code == 200
    assert answer.json()["config"]["INFERENCE_MODEL_ID"] == "nova-pro"
    assert "Amazon Nova Pro" in answer.json()["message"]
    resource.refresh_from_db()
    assert resource.plan
    assert resource.plan.slug == "nova-pro"
    assert periods(resource) == [("nova-lite", False), ("nova-pro", True)]


def test_the_credential_stays_the_same(inference: Partner) -> None:
    resource = inference.provisioned()
    before = list(resource.credentials.values())
    inference.put(resource.uuid, "nova-pro")
    assert list(resource.credentials.values()) == before


def test_an_asynchronous_service_answers_202_and_200_once_it_is_applied(ready: Any, kafka: Partner) -> None:
    resource = ready("kafkacluster")
    answer = kafka.put(resource.uuid, "basic-0")
    assert answer.status_code == 202
    assert "config" not in answer.json()
    assert kafka.put(resource.uuid, "basic-0").status_code == 202
    assert resource.operations.filter(kind="plan_change").count() == 1
    run_operations(resource)
    assert resource.operations.get(kind="plan_change").state == "succeeded"
    again = kafka.put(resource.uuid, "basic-0")
    assert again.status_code == 200
    assert set(again.json()["config"]) == set(all_services()["kafkacluster"].config_var_names)
    assert periods(resource) == [("free", False), ("basic-0", True)]


def test_the_price_of_a_period_is_that_of_its_plan_when_it_began(ready: Any, kafka: Partner) -> None:
    resource = ready("kafkacluster")
    kafka.put(resource.uuid, "basic-0")
    assert [period.price_cents for period in resource.plan_periods.all()] == [0, 2_000]


def test_the_present_plan_again_is_no_change_but_is_noted(partner: Partner) -> None:
    resource = partner.provisioned()
    assert resource.plan
    before = row_counts()
    answer = partner.put(resource.uuid, resource.plan.slug)
    assert answer.status_code == 200
    after = row_counts()
    assert after.pop("provisioning.AuditEvent") == before.pop("provisioning.AuditEvent") + 1
    assert after == before
    event = resource.audit_events.first()
    assert event
    assert (event.event, event.actor) == ("plan_change.same_plan", "heroku")
    assert periods(resource) == [(resource.plan.slug, True)]


def test_an_accepted_change_is_in_the_audit(inference: Partner) -> None:
    resource = inference.provisioned()
    inference.put(resource.uuid, "nova-pro")
    event = resource.audit_events.get(event="plan_change.accepted")
    assert event.detail == {"former": "nova-lite", "plan": "nova-pro"}
    assert event.actor == "heroku"


REFUSED = {
    "unknown plan": ({}, "gpt-99", "'gpt-99' is not a plan of Inference"),
    "another kind of model": (
        {},
        "cohere-rerank-3-5",
        "'nova-lite' is a chat model and 'cohere-rerank-3-5' a rerank",
    ),
    "not in this region": (
        {"region": "eu"},
        "minimax-m2",
        "not offered in region 'eu', where this resource is",
    ),
}


@pytest.mark.parametrize(("fields", "plan", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_change_says_why_and_changes_nothing(
    inference: Partner, fields: dict[str, str], plan: str, said: str
) -> None:
    resource = inference.provisioned(**fields)
    before = row_counts()
    answer = inference.put(resource.uuid, plan)
    assert answer.status_code == 422
    assert said in answer.json()["message"]
    assert row_counts() == before
    assert periods(resource) == [("nova-lite", True)]


def test_a_service_may_refuse_by_what_the_resource_uses(
    ready: Any, kafka: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, resource: Resource, plan: object) -> None:
        raise Refusal("You have 7 topics, and the plan allows 5.", code="topics")

    resource = ready("kafkacluster")
    monkeypatch.setattr(type(all_services()["kafkacluster"]), "check_plan_change", refuse)
    before = row_counts()
    answer = kafka.put(resource.uuid, "starter")
    assert (answer.status_code, answer.json()["message"]) == (
        422,
        "You have 7 topics, and the plan allows 5.",
    )
    assert row_counts() == before


def test_a_change_while_provisioning_is_refused_with_what_to_do(kafka: Partner) -> None:
    resource = kafka.provisioned()
    before = row_counts()
    answer = kafka.put(resource.uuid, "starter")
    assert answer.status_code == 422
    assert "once it is ready" in answer.json()["message"]
    assert row_counts() == before


def test_the_plan_asked_for_at_the_provision_is_no_change_while_provisioning(kafka: Partner) -> None:
    resource = kafka.provisioned(plan="starter")
    answer = kafka.put(resource.uuid, "starter")
    assert answer.status_code == 200
    assert "config" not in answer.json()


def test_a_second_change_waits_for_the_first_one(ready: Any, kafka: Partner) -> None:
    resource = ready("kafkacluster")
    kafka.put(resource.uuid, "starter")
    before = row_counts()
    answer = kafka.put(resource.uuid, "basic-0")
    assert answer.status_code == 422
    assert "Try again in a minute" in answer.json()["message"]
    assert row_counts() == before
    run_operations(resource)
    assert kafka.put(resource.uuid, "basic-0").status_code == 202
    assert periods(resource) == [("free", False), ("starter", False), ("basic-0", True)]


def test_a_failed_resource_cannot_change(kafka: Partner) -> None:
    resource = kafka.provisioned()
    Operation.objects.filter(resource=resource).delete()
    Resource.objects.filter(pk=resource.pk).update(state="failed")
    before = row_counts()
    assert kafka.put(resource.uuid, "starter").status_code == 422
    assert row_counts() == before


def test_a_change_after_the_deprovision_is_gone(partner: Partner) -> None:
    resource = partner.provisioned()
    assert resource.plan
    partner.delete(resource.uuid)
    before = row_counts()
    assert partner.put(resource.uuid, resource.plan.slug).status_code == 410
    run_operations(resource)
    assert partner.put(resource.uuid, resource.plan.slug).status_code == 410
    assert row_counts()["provisioning.PlanPeriod"] == before["provisioning.PlanPeriod"]


def test_a_fault_in_the_change_leaves_the_former_plan(
    inference: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = inference.provisioned()
    before = row_counts()

    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(type(all_services()["inference"]), "config_vars", broken)
    assert inference.put(resource.uuid, "nova-pro").status_code == 500
    assert row_counts() == before
    resource = Resource.objects.get(pk=resource.pk)
    assert resource.plan
    assert resource.plan.slug == "nova-lite"
    assert periods(resource) == [("nova-lite", True)]


def test_there_and_back_again_leaves_three_periods(inference: Partner) -> None:
    resource = inference.provisioned()
    for plan in ("nova-pro", "nova-lite"):
        assert inference.put(resource.uuid, plan).status_code == 200
    assert [slug for slug, _ in periods(resource)] == ["nova-lite", "nova-pro", "nova-lite"]
