"""The namespace as a customer's program uses it, and its limits."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from examples.keyvalue.models import Entry
from provisioning.models import Resource
from provisioning.services import service_of
from tests.support.partner import Partner, run_operations
from tests.support.sso import log_in

pytestmark = pytest.mark.django_db(transaction=True)
New = Callable[..., Resource]


def calls(resource: Resource) -> Callable[..., Any]:
    """What a program does with the config vars."""
    config = service_of(resource).config_vars(resource)
    path = config["KEYVALUE_URL"].removeprefix("http://testserver")

    def call(method: str, key: str, value: bytes = b"") -> Any:
        client = Client(headers={"Authorization": f"Bearer {config['KEYVALUE_KEY']}"})
        return client.generic(method, path + key, value, content_type="application/octet-stream")

    return call


def test_a_value_is_put_got_replaced_and_deleted(ready: New) -> None:
    call = calls(ready("keyvalue"))
    assert call("GET", "greeting").status_code == 404
    for value in (b"hello", b"\x00\xff"):
        assert call("PUT", "greeting", value).status_code == 204
        assert call("GET", "greeting").content == value
    assert [call("DELETE", "greeting").status_code for _ in range(2)] == [204, 404]


def test_nobody_sees_another_one_s_entries_and_no_key_means_no_answer(ready: New) -> None:
    mine, other = calls(ready("keyvalue")), calls(ready("keyvalue"))
    mine("PUT", "secret", b"mine")
    assert other("GET", "secret").status_code == 404
    for header in ({}, {"Authorization": "Bearer kv-nonsense"}):
        assert Client(headers=header).get("/keyvalue/v1/secret").status_code == 401


def test_the_plan_s_limits_hold_also_for_many_at_once_and_a_downgrade_has_to_fit(ready: New) -> None:
    resource = ready("keyvalue", plan="basic")
    Partner("keyvalue").put(resource.uuid, "free")
    run_operations(resource)
    call = calls(resource)
    assert call("PUT", "large", b"x" * 1_025).status_code == 422

    def put(number: int) -> int:
        try:
            return int(call("PUT", f"key-{number}", b"x").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(put, range(120)))
    assert sorted(answered) == [204] * 100 + [422] * 20
    assert Entry.objects.filter(resource=resource).count() == 100

    Partner("keyvalue").put(resource.uuid, "basic")
    run_operations(resource)
    assert call("PUT", "one-more", b"x").status_code == 204
    refused = Partner("keyvalue").put(resource.uuid, "free")
    assert (refused.status_code, "101 entries" in refused.json()["message"]) == (422, True)


def test_the_dashboard_shows_what_is_used_and_a_removal_deletes_it(ready: New, client: Client) -> None:
    resource = ready("keyvalue")
    call = calls(resource)
    call("PUT", "key", b"value")
    assert log_in(client, resource).status_code == 302
    page = client.get(f"/keyvalue/{resource.uuid}/").content.decode()
    assert "KEYVALUE_URL" in page
    assert "Entries" in page
    Partner("keyvalue").delete(resource.uuid)
    run_operations(resource)
    assert not Entry.objects.filter(resource=resource).exists()
    assert call("GET", "key").status_code == 401
