"""Calls at the same instant, in real threads with real transactions."""

import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.db import connections

from provisioning import access
from provisioning.catalogue import sync_plans
from provisioning.models import Credential, Plan, PlanPeriod, Resource
from provisioning.rotation import rotate_credentials
from provisioning.services import all_services
from tests.support.partner import Partner, at_once, provision_body, row_counts, run_operations

pytestmark = pytest.mark.django_db(transaction=True)


def test_32_deliveries_of_one_request_make_one_resource(partner: Partner) -> None:
    body = provision_body(partner.slug)
    answers = at_once([lambda: partner.post(body)] * 32)
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert answers[0].status_code in (200, 202)
    counts = row_counts()
    assert counts["provisioning.Resource"] == 1
    assert counts["provisioning.PlanPeriod"] == 1
    assert counts["provisioning.PlatformAccess"] == 1
    assert counts["provisioning.Operation"] == 1
    assert counts["provisioning.Credential"] == (1 if partner.slug == "inference" else 0)
    assert counts["provisioning.AuditEvent"] == (2 if partner.slug == "inference" else 1)


def test_deliveries_that_differ_make_the_one_that_was_first(inference: Partner) -> None:
    uuid_ = str(uuid.uuid4())
    bodies = [provision_body("inference", uuid=uuid_, plan=plan) for plan in ("nova-lite", "nova-pro") * 6]
    answers = at_once([lambda body=body: inference.post(body) for body in bodies])  # type: ignore[misc]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    resource = Resource.objects.get()
    assert resource.plan
    assert answers[0].json()["config"]["INFERENCE_MODEL_ID"] == resource.plan.slug
    assert PlanPeriod.objects.get().plan == resource.plan


def test_one_uuid_for_two_services_at_once_belongs_to_one_of_them(
    inference: Partner, mobiloud: Partner
) -> None:
    for _ in range(5):
        uuid_ = str(uuid.uuid4())
        answers = at_once(
            [
                lambda: inference.post(provision_body("inference", uuid=uuid_)),  # noqa: B023
                lambda: mobiloud.post(provision_body("mobiloud", uuid=uuid_)),  # noqa: B023
            ]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 422]
        winner = "inference" if answers[0].status_code == 200 else "mobiloud"
        assert Resource.objects.get(uuid=uuid_).service == winner


@pytest.mark.parametrize("slug", ["inference", "kafkacluster"])
def test_a_removal_and_a_provision_at_once_never_leave_a_live_resource(plans: None, slug: str) -> None:
    partner = Partner(slug)
    seen = set()
    for round_number in range(25):
        body = provision_body(slug)

        def removal(body: dict[str, Any] = body, delay: float = (round_number % 5) * 0.003) -> Any:
            time.sleep(delay)
            return partner.delete(body["uuid"])

        posted, deleted, repeated = at_once(
            [lambda b=body: partner.post(b), removal, lambda b=body: partner.post(b)]  # type: ignore[misc]
        )
        seen.add((posted.status_code, deleted.status_code))
        resource = Resource.objects.get(uuid=body["uuid"])
        assert {posted.status_code, repeated.status_code} <= {200, 202, 410}
        assert deleted.status_code in (204, 410)
        assert resource.state in ("deprovisioning", "deprovisioned")
        assert not Credential.objects.filter(resource=resource).exclude(state="revoked").exists()
        assert not PlanPeriod.objects.filter(resource=resource, ends_at=None).exists()
        assert partner.post(body).status_code == 410
        run_operations(resource)
        resource.refresh_from_db()
        assert resource.state == "deprovisioned"
    assert {deleted for _, deleted in seen} <= {204, 410}


def test_a_repeat_that_meets_a_removal_is_answered_before_or_after_it(
    inference: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal begins after the repeat has looked at the resource, and before it reads the config vars."""
    resource = inference.provisioned()
    original = access.renew_grant
    removals: list[Any] = []

    def remove() -> None:
        removals.append(inference.delete(resource.uuid).status_code)
        connections.close_all()

    def and_then_the_removal(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        thread = threading.Thread(target=remove)
        thread.start()
        thread.join(timeout=0.5)
        removals.append(thread)

    monkeypatch.setattr(access, "renew_grant", and_then_the_removal)
    answer = inference.post(provision_body("inference", uuid=str(resource.uuid)))
    assert answer.status_code in (200, 410)
    next(entry for entry in removals if isinstance(entry, threading.Thread)).join(timeout=20)
    assert 204 in removals


def test_removals_at_once_are_one_removal(partner: Partner) -> None:
    resource = partner.provisioned()
    answers = at_once([lambda: partner.delete(resource.uuid)] * 8)
    assert sorted(answer.status_code for answer in answers) == [204] + [410] * 7
    assert resource.operations.filter(kind="deprovision").count() == 1


def test_removals_of_an_unknown_uuid_at_once_leave_one_tombstone(inference: Partner) -> None:
    unknown = uuid.uuid4()
    answers = at_once([lambda: inference.delete(unknown)] * 8)
    assert {answer.status_code for answer in answers} == {410}
    assert Resource.objects.get(uuid=unknown).state == "deprovisioned"


def check_periods(resource: Resource) -> None:
    """One open period, on the resource's plan; the others follow each other without gap or overlap."""
    rows = list(PlanPeriod.objects.filter(resource=resource).order_by("starts_at", "pk"))
    for former, later in pairwise(rows):
        assert former.ends_at == later.starts_at
        assert former.plan_id != later.plan_id
    assert [row.ends_at is None for row in rows] == [False] * (len(rows) - 1) + [True]
    resource.refresh_from_db()
    assert rows[-1].plan_id == resource.plan_id


def test_plan_changes_at_once_follow_each_other(inference: Partner) -> None:
    resource = inference.provisioned()
    plans = ["nova-pro", "nova-2-lite", "qwen3-235b", "kimi-k2-thinking"] * 3
    answers = at_once([lambda p=plan: inference.put(resource.uuid, p) for plan in plans])  # type: ignore[misc]
    assert {answer.status_code for answer in answers} == {200}
    check_periods(resource)
    for plan, answer in zip(plans, answers, strict=True):
        assert answer.json()["config"]["INFERENCE_MODEL_ID"] == plan


def test_of_two_asynchronous_plan_changes_at_once_one_is_made(ready: Any, kafka: Partner) -> None:
    resource = ready("kafkacluster")
    answers = at_once(
        [lambda: kafka.put(resource.uuid, "starter"), lambda: kafka.put(resource.uuid, "basic-0")]
    )
    assert sorted(answer.status_code for answer in answers) == [202, 422]
    check_periods(resource)
    assert resource.operations.filter(kind="plan_change").count() == 1


def test_a_plan_change_and_a_removal_at_once_end_removed(inference: Partner) -> None:
    for _ in range(8):
        resource = inference.provisioned()
        changed, deleted = at_once(
            [
                lambda r=resource: inference.put(r.uuid, "nova-pro"),  # type: ignore[misc]
                lambda r=resource: inference.delete(r.uuid),  # type: ignore[misc]
            ]
        )
        assert changed.status_code in (200, 410)
        assert deleted.status_code == 204
        assert not PlanPeriod.objects.filter(resource=resource, ends_at=None).exists()


def test_rotations_asked_for_at_once_are_one(ready: Any) -> None:
    resource = ready("inference")

    def rotate() -> int:
        return rotate_credentials(resource.pk, requested_by="test").pk

    assert len(set(at_once([rotate] * 8))) == 1
    run_operations(resource)
    assert Credential.objects.filter(resource=resource, state="active").count() == 1
    assert Credential.objects.filter(resource=resource).count() == 2


def test_a_rotation_and_a_removal_at_once_leave_no_credential(ready: Any, inference: Partner) -> None:
    for _ in range(5):
        resource = ready("inference")
        rotate_credentials(resource.pk, requested_by="test")
        calls: list[Callable[[], Any]] = [
            partial(run_operations, resource),
            partial(inference.delete, resource.uuid),
        ]
        at_once(calls)
        run_operations(resource)
        assert not Credential.objects.filter(resource=resource).exclude(state="revoked", secret=None).exists()


def test_repeats_while_credentials_are_rotated_always_show_one_that_is_valid(
    ready: Any, inference: Partner
) -> None:
    resource = ready("inference")
    body = provision_body("inference", uuid=str(resource.uuid))

    def rotate() -> list[Any]:
        for _ in range(3):
            rotate_credentials(resource.pk, requested_by="test")
            run_operations(resource)
        return []

    def repeat() -> list[Any]:
        return [inference.post(body) for _ in range(15)]

    answers = [answer for found in at_once([rotate, repeat, repeat]) for answer in found]
    assert {answer.status_code for answer in answers} == {200}
    shown = {answer.json()["config"]["INFERENCE_KEY"] for answer in answers}
    held = {row.get_sealed("secret") for row in Credential.objects.filter(resource=resource)}
    assert shown <= held
    assert len(held) == 4


def test_two_releases_that_load_the_plans_at_once_load_them_once(plans: None) -> None:
    Plan.objects.all().delete()
    services = list(all_services().values())
    results = at_once([lambda: sync_plans(services)] * 4)
    assert sorted(len(result.created) for result in results) == [0, 0, 0, 24]
    assert Plan.objects.count() == 24
