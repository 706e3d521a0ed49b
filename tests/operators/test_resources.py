"""What an operator sees of resources and operations, and does to them without SQL or a shell."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from operators.models import Event
from operators.roles import Role
from provisioning.models import Credential, HerokuCall, Operation, Plan, Resource
from provisioning.rotation import rotate_credentials
from provisioning.states import OperationState
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, run_operations

SignedIn = Callable[..., Client]


def page(client: Client, address: str) -> str:
    """What a page says."""
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.content.decode()


def test_a_resource_is_found_by_uuid_and_by_the_beginning_of_its_app_s_name(
    plans: None, signed_in: SignedIn
) -> None:
    first, second = Partner("inference").provisioned(), Partner("kafkacluster").provisioned()
    Resource.objects.filter(pk=first.pk).update(app_name="shop-front")
    Resource.objects.filter(pk=second.pk).update(app_name="ledger")
    client, address = signed_in(Role.SUPPORT), "/admin/provisioning/resource/"
    for term in (str(first.uuid), "shop", "Shop-Fr", first.uuid.hex):
        found = page(client, f"{address}?q={term}")
        assert str(first.uuid) in found, term
        assert str(second.uuid) not in found, term
    assert str(second.uuid) in page(client, f"{address}?service=kafkacluster")
    assert str(first.uuid) not in page(client, f"{address}?service=kafkacluster")
    answer = client.get(f"{address}{first.pk}/change/")
    assert answer["Location"] == f"/admin/resources/{first.uuid}/"


def test_the_timeline_tells_operations_audit_calls_and_operators_without_secrets(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn
) -> None:
    resource = ready("kafkacluster")
    assert HerokuCall.objects.filter(resource=resource, method="PATCH", status=200).exists()
    secret = resource.access.get_sealed("access_token")
    assert secret
    told = page(signed_in(Role.SUPPORT), f"/admin/resources/{resource.uuid}/")
    for part in ("resource.provisioned", "PATCH /addons/", "Provision #", "Granted"):
        assert part in told, part
    assert secret not in told
    assert secret not in json.dumps([*HerokuCall.objects.values("path", "error")])
    only = page(
        signed_in(Role.SUPPORT, username="sue"), f"/admin/resources/{resource.uuid}/?kind=Heroku%20call"
    )
    assert "PATCH /addons/" in only
    assert "resource.provisioned" not in only


def test_a_call_that_heroku_did_not_answer_is_told_too(
    ready: Callable[..., Resource], heroku: FakeHeroku, settings: Any
) -> None:
    from provisioning import platform_api
    from provisioning.services import Fault

    resource = ready("inference")
    settings.HEROKU_API_URL = "http://127.0.0.1:9"
    with pytest.raises(Fault):
        platform_api.read_addon(resource)
    last = HerokuCall.objects.filter(resource=resource).latest("pk")
    assert (last.status, last.error) == (0, "ConnectionError")


def stuck(heroku: FakeHeroku, ready: Callable[..., Resource]) -> Operation:
    """A rotation whose config push fails, waiting for its next try."""
    resource = ready("inference")
    operation = rotate_credentials(resource.pk, requested_by="test")
    Operation.objects.filter(pk=operation.pk).update(
        step="push config vars",
        attempt=3,
        last_error="PATCH /addons: 503",
        next_attempt_at=timezone.now() + timedelta(minutes=5),
    )
    return Operation.objects.get(pk=operation.pk)


def test_an_operator_retries_an_operation_now(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn, woken: Any
) -> None:
    operation = stuck(heroku, ready)
    client = signed_in(Role.OPERATOR)
    assert "PATCH /addons: 503" in page(client, f"/admin/operations/{operation.pk}/")
    client.post(f"/admin/operations/{operation.pk}/retry/")
    operation.refresh_from_db()
    assert operation.next_attempt_at <= timezone.now()
    assert Event.objects.get(action="operation.retry").name == "olga"


def test_a_cancelled_rotation_gives_the_former_credential_back(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn
) -> None:
    resource = ready("inference")
    former = Credential.objects.get(resource=resource, state="active")
    operation = rotate_credentials(resource.pk, requested_by="test")
    client, address = signed_in(Role.OPERATOR), f"/admin/operations/{operation.pk}/cancel/"
    client.post(address, {"reason": "  "})
    operation.refresh_from_db()
    assert operation.state == OperationState.PENDING
    client.post(address, {"reason": "the customer asked us not to"})
    operation.refresh_from_db()
    assert operation.state == OperationState.FAILED
    assert Credential.objects.get(resource=resource, state="active").pk == former.pk
    told = Event.objects.get(action="operation.cancel")
    assert (told.reason, told.before, told.after) == (
        "the customer asked us not to",
        {"state": "pending", "step": ""},
        {"state": "failed", "step": ""},
    )
    client.post(address, {"reason": "again"})
    assert Event.objects.filter(action="operation.cancel").count() == 1


def test_a_removal_cannot_be_cancelled(plans: None, signed_in: SignedIn) -> None:
    partner = Partner("kafkacluster")
    resource = partner.provisioned()
    partner.call("DELETE", f"/heroku/resources/{resource.uuid}")
    operation = Operation.objects.get(resource=resource, kind="deprovision")
    client = signed_in(Role.OPERATOR)
    answer = client.post(f"/admin/operations/{operation.pk}/cancel/", {"reason": "mistake"}, follow=True)
    assert "cannot be cancelled" in answer.content.decode()
    operation.refresh_from_db()
    assert operation.state in ("pending", "running")


def test_a_step_is_skipped_only_from_where_the_operator_saw_it_and_not_under_a_worker(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn
) -> None:
    operation = stuck(heroku, ready)
    client, address = signed_in(Role.OPERATOR), f"/admin/operations/{operation.pk}/skip/"
    client.post(address, {"reason": "done by hand", "step": "issue credential"})
    operation.refresh_from_db()
    assert operation.step == "push config vars"
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() + timedelta(seconds=30))
    client.post(address, {"reason": "done by hand", "step": "push config vars"})
    operation.refresh_from_db()
    assert operation.step == "push config vars"
    Operation.objects.filter(pk=operation.pk).update(lease_until=None)
    client.post(address, {"reason": "done by hand", "step": "push config vars"})
    operation.refresh_from_db()
    assert (operation.step, operation.attempt) == ("retire replaced credentials", 0)
    client.post(address, {"reason": "that too", "step": "retire replaced credentials"})
    operation.refresh_from_db()
    assert operation.state == OperationState.SUCCEEDED
    assert operation.resource.audit_events.filter(event="operation.step_skipped").count() == 2


def test_support_looks_at_operations_and_changes_none(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn
) -> None:
    operation = stuck(heroku, ready)
    client = signed_in(Role.SUPPORT)
    assert "Retry now" not in page(client, f"/admin/operations/{operation.pk}/")
    for name in ("retry", "cancel", "skip"):
        assert client.post(f"/admin/operations/{operation.pk}/{name}/", {"reason": "x"}).status_code == 403, (
            name
        )
    assert (
        not Event.objects.filter(action__startswith="operation.").exclude(action="operation.created").exists()
    )


def test_an_operator_rotates_with_a_reason_and_support_may_not(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn
) -> None:
    resource = ready("inference")
    address = f"/admin/resources/{resource.uuid}/rotate/"
    support, operator = signed_in(Role.SUPPORT, username="sue"), signed_in(Role.OPERATOR)
    support.post(address, {"reason": "x"})
    operator.post(address, {"reason": ""})
    assert not Operation.objects.filter(resource=resource, kind="rotation").exists()
    operator.post(address, {"reason": "leaked in a ticket"})
    started = Operation.objects.get(resource=resource, kind="rotation")
    assert started.requested_by == "operator olga"
    assert Event.objects.get(action="resource.rotate").resource == resource


def test_comparing_with_heroku_mends_what_differs(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn
) -> None:
    resource = ready("inference")
    heroku.config[str(resource.uuid)] = {}
    client = signed_in(Role.SUPPORT)
    answer = client.post(
        f"/admin/resources/{resource.uuid}/reconcile/", {"reason": "customer asked"}, follow=True
    )
    assert "mended" in answer.content.decode()
    run_operations(resource)
    assert heroku.config[str(resource.uuid)]


@pytest.fixture
def many(plans: None) -> None:
    """A hundred thousand resources, each with an operation."""
    plan = Plan.objects.get(service="inference", slug="nova-lite")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO provisioning_resource
                   (uuid, service, plan_id, state, name, region, options, request, app_id, app_name)
            SELECT gen_random_uuid(), 'inference', %s,
                   CASE WHEN n %% 1000 = 0 THEN 'failed' ELSE 'provisioned' END,
                   'add-on-' || n, 'us', '{}', '{}', '', 'app-' || md5(n::text)
              FROM generate_series(1, 100000) AS n
            """,
            [plan.pk],
        )
        cursor.execute(
            """
            INSERT INTO provisioning_operation
                   (resource_id, kind, state, parameters, step, attempt, last_error, message, requested_by,
                    correlation_id, finished_at)
            SELECT id, 'provision', 'succeeded', '{}', '', 0, '', '', 'heroku', md5(id::text), now()
              FROM provisioning_resource
            """
        )
        cursor.execute("ANALYZE provisioning_resource; ANALYZE provisioning_operation")


def plan_nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    """A query plan's nodes, flat."""
    return [node, *(each for child in node.get("Plans", []) for each in plan_nodes(child))]


def test_lists_stay_quick_with_a_hundred_thousand_resources(many: None, signed_in: SignedIn) -> None:
    some = Resource.objects.order_by("pk")[500]
    client = signed_in(Role.OPERATOR)
    addresses = [
        f"/admin/provisioning/resource/{query}"
        for query in ("", f"?q={some.uuid}", f"?q={some.app_name[:12]}", "?state__exact=failed", "?p=3")
    ] + [
        f"/admin/provisioning/operation/{query}"
        for query in (
            "",
            f"?q={uuid.uuid4()}",
            "?state__exact=failed",
            "?q=app-zz",
            "?state__exact=succeeded",
        )
    ]
    for address in [*addresses, "/admin/"]:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address).status_code == 200
        assert len(asked) <= 25, address
        for query in asked.captured_queries:
            text = query["sql"]
            if not text.startswith("SELECT") or "provisioning_" not in text:
                continue
            assert "COUNT(" not in text, (address, text)
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + text)
                found = cursor.fetchone()[0][0]
            for node in plan_nodes(found["Plan"]):
                read = node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
                assert read <= 20_000, (address, text, node)


def test_security_exports_and_erases_a_customer_s_data(
    ready: Callable[..., Resource], heroku: FakeHeroku, signed_in: SignedIn
) -> None:
    resource = ready("inference")
    client, address = signed_in(Role.SECURITY), f"/admin/resources/{resource.uuid}/"
    assert "do-erase" not in page(client, address)
    assert client.post(f"{address}export/", {"reason": ""}).status_code == 302
    answer = client.post(f"{address}export/", {"reason": "the customer asked"})
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert lines[0]["row"]["uuid"] == str(resource.uuid)
    assert Event.objects.get(action="resource.exported").reason == "the customer asked"
    Partner("inference").delete(resource.uuid)
    run_operations(resource)
    assert "do-erase" in page(client, address)
    told = client.post(f"{address}erase/", {"reason": "the customer asked"}, follow=True).content.decode()
    assert "Erased" in told
    resource.refresh_from_db()
    assert resource.name == ""
    support = signed_in(Role.SUPPORT, username="sue")
    assert "do-erase" not in page(support, address)
    assert support.post(f"{address}export/", {"reason": "curious"}).status_code == 403
