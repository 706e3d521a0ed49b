"""Reconciliation: each difference is found, what is safe is mended, and a resource that is gone is only reported."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from provisioning.models import Heartbeat, Operation, Plan, PlatformAccess, Resource
from provisioning.reconcile import Report, reconcile_all, value_digest
from provisioning.services import Refusal, all_services
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, row_counts, run_operations


def found(report: Report) -> list[tuple[str, str, str, bool]]:
    """What a report says, without the resource."""
    return [(each.what, each.ours, each.herokus, each.fixed) for each in report.differences]


def test_resources_that_agree_are_counted_and_nothing_is_written(ready: Any, heroku: FakeHeroku) -> None:
    made = [ready(slug) for slug in all_services()]
    heroku.calls.clear()
    before = row_counts()
    report = reconcile_all(fix=True)
    assert (report.checked, report.differences, report.unreachable) == (3, [], [])
    assert {call.method for call in heroku.calls} == {"GET"}
    after = row_counts()
    assert after.pop("provisioning.Heartbeat") == 1
    before.pop("provisioning.Heartbeat")
    assert after == before
    assert Heartbeat.objects.filter(name="reconcile").exists()
    assert {Resource.objects.get(pk=each.pk).app_name for each in made} == {"customer-app"}


def test_names_that_changed_at_heroku_are_taken_over(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("inference")
    heroku.addons[str(resource.uuid)]["name"] = "renamed-add-on"
    heroku.addons[str(resource.uuid)]["app"] = {"id": "x", "name": "renamed-app"}
    assert not reconcile_all(fix=False).differences
    resource.refresh_from_db()
    assert (resource.name, resource.app_name, resource.app_id) == ("renamed-add-on", "renamed-app", "x")


def test_config_vars_that_differ_are_told_by_digest_and_pushed(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("inference")
    config = heroku.config[str(resource.uuid)]
    wanted = dict(config)
    config.pop("INFERENCE_URL")
    config["INFERENCE_KEY"] = "someone-changed-it"
    config["STRANGE"] = "x"
    expected = [
        (
            "config var INFERENCE_KEY",
            value_digest(wanted["INFERENCE_KEY"]),
            value_digest("someone-changed-it"),
        ),
        ("config var INFERENCE_URL", value_digest(wanted["INFERENCE_URL"]), "absent"),
        ("config var STRANGE", "absent", value_digest("x")),
    ]
    assert found(reconcile_all(fix=False)) == [(*each, False) for each in expected]
    assert not Operation.objects.filter(kind="config_push").exists()
    report = reconcile_all(fix=True)
    assert found(report) == [(*each, True) for each in expected]
    assert wanted["INFERENCE_KEY"] not in report.as_json()
    run_operations(resource)
    assert resource.operations.filter(kind="config_push").count() == 1
    assert heroku.config[str(resource.uuid)] == wanted
    assert not reconcile_all(fix=False).differences


def test_heroku_s_plan_is_followed_where_the_service_accepts_it(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("kafkacluster")
    heroku.addons[str(resource.uuid)]["plan"]["name"] = "kafkacluster:basic-0"
    assert found(reconcile_all(fix=False)) == [("plan", "free", "basic-0", False)]
    assert found(reconcile_all(fix=True)) == [("plan", "free", "basic-0", True)]
    resource.refresh_from_db()
    assert resource.plan == Plan.objects.get(service="kafkacluster", slug="basic-0")
    assert resource.audit_events.get(event="plan_change.accepted").actor == "reconcile"
    run_operations(resource)
    assert not reconcile_all(fix=False).differences


def test_a_plan_that_the_service_refuses_stays_open_with_the_reason(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("inference")
    for plan in ("inference:cohere-rerank-3-5", "inference:unknown", "inference:", ""):
        heroku.addons[str(resource.uuid)]["plan"]["name"] = plan
        [difference] = reconcile_all(fix=True).differences
        assert (difference.what, difference.fixed) == ("plan", False)
        assert difference.note
    resource.refresh_from_db()
    assert resource.plan
    assert resource.plan.slug == "nova-lite"


def test_a_provision_that_heroku_still_waits_for_is_finished(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("kafkacluster")
    heroku.addons[str(resource.uuid)]["state"] = "provisioning"
    assert found(reconcile_all(fix=False)) == [("state", "provisioned", "provisioning", False)]
    assert found(reconcile_all(fix=True)) == [("state", "provisioned", "provisioning", True)]
    assert heroku.addons[str(resource.uuid)]["state"] == "provisioned"


@pytest.mark.parametrize(
    ("slug", "state"), [("inference", "provisioning"), ("kafkacluster", "deprovisioned")]
)
def test_other_states_are_only_reported(ready: Any, heroku: FakeHeroku, slug: str, state: str) -> None:
    resource = ready(slug)
    heroku.addons[str(resource.uuid)]["state"] = state
    heroku.calls.clear()
    assert found(reconcile_all(fix=True)) == [("state", "provisioned", state, False)]
    assert {call.method for call in heroku.calls} == {"GET"}


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_resource_that_heroku_does_not_know_is_only_reported(
    ready: Any, heroku: FakeHeroku, status: int
) -> None:
    resource = ready("inference")
    heroku.answer_next("GET", "/addons/.*", status, {"id": "gone"}, times=9)
    before = row_counts()
    assert found(reconcile_all(fix=True)) == [("existence", "provisioned", "unknown to Heroku", False)]
    resource.refresh_from_db()
    assert resource.state == "provisioned"
    after = row_counts()
    after.pop("provisioning.Heartbeat")
    before.pop("provisioning.Heartbeat")
    assert after == before


@pytest.mark.parametrize("body", [b"<html>", b"", [], {"state": None}, {"plan": None, "app": None}])
def test_a_heroku_that_answers_nonsense_ends_nothing(ready: Any, heroku: FakeHeroku, body: Any) -> None:
    ready("inference")
    other = ready("kafkacluster")
    heroku.answer_next("GET", "/addons/[^/]*", 200, body)
    report = reconcile_all(fix=False)
    assert report.checked == 2
    assert len(report.unreachable) + len(report.differences) >= 1
    assert str(other.uuid) not in report.as_json()


@pytest.mark.parametrize("config", [{}, [1], [{"name": "X"}], [{"value": "x"}], "text"])
def test_config_vars_in_a_strange_form_end_nothing(ready: Any, heroku: FakeHeroku, config: Any) -> None:
    ready("inference")
    heroku.answer_next("GET", "/addons/.*/config", 200, config)
    report = reconcile_all(fix=False)
    assert report.checked == 1
    assert len(report.unreachable) + len(report.differences) >= 1


def test_resources_that_cannot_be_compared_are_named_and_the_others_compared(
    ready: Any, inference: Partner, heroku: FakeHeroku
) -> None:
    lost, down, fine = (ready("inference") for _ in range(3))
    PlatformAccess.objects.filter(resource=lost).update(state="lost")
    heroku.answer_next("GET", f"/addons/{down.uuid}", 503, times=9)
    heroku.config[str(fine.uuid)].pop("INFERENCE_URL")
    report = reconcile_all(fix=False)
    assert report.checked == 3
    assert len(report.unreachable) == 2
    assert str(lost.uuid) in report.unreachable[0]
    assert str(down.uuid) in report.unreachable[1]
    assert [each.resource for each in report.differences] == [str(fine.uuid)]


def test_a_refresh_of_another_worker_is_waited_for(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("inference")
    PlatformAccess.objects.filter(resource=resource).update(
        token_expires_at=timezone.now() - timedelta(seconds=1),
        lease_until=timezone.now() + timedelta(seconds=0.6),
    )
    report = reconcile_all(fix=False)
    assert (report.differences, report.unreachable) == ([], [])


def test_only_live_resources_of_the_chosen_service_are_compared(
    ready: Any, inference: Partner, kafka: Partner
) -> None:
    ready("inference")
    ready("kafkacluster")
    inference.delete(ready("inference").uuid)
    assert reconcile_all(fix=False, service="inference").checked == 1
    assert reconcile_all(fix=False).checked == 2


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `manage.py reconcile`."""
    out = StringIO()
    try:
        call_command("reconcile", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def test_the_command_s_exit_code_says_whether_something_is_left(ready: Any, heroku: FakeHeroku) -> None:
    resource = ready("inference")
    assert run() == (0, "1 compared, 0 differences\n")
    secret = heroku.config[str(resource.uuid)]["INFERENCE_KEY"]
    heroku.config[str(resource.uuid)]["INFERENCE_KEY"] = "other-value"
    code, text = run()
    assert code == 1
    assert f"inference {resource.uuid}: config var INFERENCE_KEY: ours {value_digest(secret)}" in text
    assert secret not in text
    assert "other-value" not in text
    code, text = run("--json")
    assert code == 1
    assert json.loads(text)["differences"][0]["what"] == "config var INFERENCE_KEY"
    code, text = run("--fix")
    assert code == 0
    assert "(mended)" in text
    run_operations(resource)
    assert run()[0] == 0
    heroku.answer_next("GET", "/addons/.*", 503)
    code, text = run()
    assert code == 1
    assert "not compared" in text


def test_a_refusal_s_reason_is_printed(
    ready: Any, heroku: FakeHeroku, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = ready("kafkacluster")

    def refuse(*_: object) -> None:
        raise Refusal("Too many topics for this plan.")

    monkeypatch.setattr(type(all_services()["kafkacluster"]), "check_plan_change", refuse)
    heroku.addons[str(resource.uuid)]["plan"]["name"] = "kafkacluster:starter"
    code, text = run("--fix")
    assert code == 1
    assert "(Too many topics for this plan.)" in text
