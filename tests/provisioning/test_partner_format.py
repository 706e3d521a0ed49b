"""What Heroku may send, and what it is answered: media types, bodies that do not fit, and errors without a secret."""

import json
import uuid
from typing import Any

import pytest
from django.db import DatabaseError, connection

from provisioning import resources
from provisioning.models import Resource
from tests.support.partner import COLLECTION, VENDOR, Partner, provision_body, row_counts

ACCEPTS = [
    VENDOR,
    "application/vnd.heroku-addons+json",
    "application/vnd.heroku-addons+json;version=3",
    "application/vnd.heroku-addons+json; version=4",
    "application/json",
    "*/*",
    "text/html,application/xhtml+xml;q=0.9",
    "",
    "nonsense",
    "application/json; q=0",
    ";;;///,,",
]
CONTENT_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    VENDOR,
    "application/vnd.heroku-addons+json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "nonsense",
    "",
]


@pytest.mark.parametrize("accept", ACCEPTS, ids=range(len(ACCEPTS)))
def test_every_accept_header_gets_the_vendor_type(inference: Partner, accept: str) -> None:
    headers = {"Accept": accept}
    body = provision_body("inference")
    made = inference.post(body, headers=headers)
    changed = inference.put(body["uuid"], "nova-pro", headers=headers)
    refused = inference.put(body["uuid"], "no-such-plan", headers=headers)
    gone = inference.delete(body["uuid"], headers=headers)
    again = inference.delete(body["uuid"], headers=headers)
    assert [a.status_code for a in (made, changed, refused, gone, again)] == [200, 200, 422, 204, 410]
    assert {a["Content-Type"] for a in (made, changed, refused, again)} == {VENDOR}


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_the_body_is_read_as_json_whatever_its_content_type_says(
    inference: Partner, content_type: str
) -> None:
    body = provision_body("inference")
    assert inference.post(body, content_type=content_type).status_code == 200
    assert inference.put(body["uuid"], "nova-pro", content_type=content_type).status_code == 200
    assert inference.delete(body["uuid"], content_type=content_type).status_code == 204


def test_a_204_has_no_body(inference: Partner) -> None:
    answer = inference.delete(inference.provisioned().uuid)
    assert (answer.status_code, answer.content) == (204, b"")


def test_another_method_is_refused_with_those_that_work(inference: Partner) -> None:
    for method, path, allowed in (
        ("GET", COLLECTION, "POST"),
        ("PATCH", f"{COLLECTION}/{uuid.uuid4()}", "PUT, DELETE"),
    ):
        answer = inference.call(method, path)
        assert answer.status_code == 405
        assert set(allowed.split(", ")) <= set(answer["Allow"].split(", "))
        assert answer["Content-Type"] == VENDOR
        assert answer.json()["message"]


def test_an_unknown_address_beside_the_api_is_answered_in_json(inference: Partner) -> None:
    answer = inference.call("POST", "/heroku/elsewhere")
    assert answer.status_code == 404
    assert answer.json()["message"]


def test_the_body_of_the_old_checker_is_accepted(partner: Partner) -> None:
    body = {
        "heroku_id": "app1234@kensa.heroku.com",
        "plan": provision_body(partner.slug)["plan"],
        "callback_url": "http://localhost:7779/callback/999",
        "logplex_token": None,
        "region": "amazon-web-services::us-east-1",
        "options": {},
        "uuid": str(uuid.uuid4()),
        "log_drain_token": "d0a1b2c3",
    }
    answer = partner.post(body, headers={"Accept": "application/json"})
    assert answer.status_code in (200, 202)
    assert answer.json()["id"] == body["uuid"]
    change = {"plan": body["plan"], "heroku_id": body["heroku_id"], "uuid": body["uuid"]}
    assert partner.call("PUT", f"{COLLECTION}/{body['uuid']}", change).status_code in (200, 202)
    assert partner.delete(body["uuid"]).status_code == 204


def test_only_uuid_and_plan_are_needed(partner: Partner) -> None:
    whole = provision_body(partner.slug)
    answer = partner.post({"uuid": whole["uuid"], "plan": whole["plan"]})
    assert answer.status_code in (200, 202)
    resource = Resource.objects.get(uuid=whole["uuid"])
    assert resource.region == "us"
    assert resource.access.state == "lost"


@pytest.mark.parametrize("value", [None, [], "", 0, True, 1.5, ["x"], {"x": {"y": 1}}], ids=str)
def test_optional_fields_of_any_form_are_tolerated(inference: Partner, value: Any) -> None:
    body = provision_body("inference")
    for name in ("name", "callback_url", "oauth_grant", "log_input_url", "log_drain_token", "a_new_field"):
        body[name] = value
    body["options"] = value if isinstance(value, dict | None) and value != {"x": {"y": 1}} else None
    assert inference.post(body).status_code == 200


@pytest.mark.parametrize(
    ("expires_at", "stored"),
    [
        ("2016-03-03T18:01:31-0800", "2016-03-04T02:01:31+00:00"),
        ("2016-03-03T18:01:31-08:00", "2016-03-04T02:01:31+00:00"),
        ("2016-03-03T18:01:31Z", "2016-03-03T18:01:31+00:00"),
        ("2016-03-03T18:01:31.123+0000", "2016-03-03T18:01:31.123000+00:00"),
        ("2016-03-03T18:01:31", "2016-03-03T18:01:31+00:00"),
    ],
)
def test_the_end_of_the_grant_is_read_with_any_offset(
    inference: Partner, expires_at: str, stored: str
) -> None:
    grant = {"code": "c0de-c0de", "type": "authorization_code", "expires_at": expires_at}
    access = inference.provisioned(oauth_grant=grant).access
    assert access.grant_expires_at is not None
    assert access.grant_expires_at.isoformat() == stored


@pytest.mark.parametrize(
    "expires_at",
    [
        "tomorrow",
        "",
        None,
        12,
        "0001-01-01T00:00:00+1400",
        "9999-12-31T23:59:59-1200",
        "2016-13-45T99:99:99Z",
        {},
    ],
)
def test_an_unreadable_end_of_the_grant_counts_as_five_minutes(inference: Partner, expires_at: Any) -> None:
    resource = inference.provisioned(oauth_grant={"code": "c0de-c0de", "expires_at": expires_at})
    access = type(resource.access).objects.get(resource=resource)
    assert access.grant_expires_at is not None
    assert 290 < (access.grant_expires_at - resource.created_at).total_seconds() < 310


BAD_BODIES = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"plan": "\xff"}',
    "a list": b"[]",
    "a text": b'"uuid"',
    "null": b"null",
    "a number": b"17",
    "an endless number": b"1" * 10_000,
    "form fields": b"plan=nova-lite&uuid=1",
    "deep nesting": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep lists": b"[" * 200_000,
    "UTF-16": '{"plan": "nova-lite"}'.encode("utf-16-le")[:-1],
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_body_that_is_no_json_object_is_refused_and_leaves_nothing(inference: Partner, body: bytes) -> None:
    resource = inference.provisioned()
    before = row_counts()
    for method, path in (("POST", COLLECTION), ("PUT", f"{COLLECTION}/{resource.uuid}")):
        answer = inference.call(method, path, body)
        assert answer.status_code == 422
        assert answer["Content-Type"] == VENDOR
        assert answer.json()["message"].startswith("The request body")
    assert row_counts() == before


@pytest.mark.parametrize(
    "value", [None, "", 17, [], {}, True, "not-a-uuid", "3f1c9a52-0b7e-4d7e-9d5b-2a8f6c41e7a"]
)
def test_a_provision_without_a_uuid_is_refused(inference: Partner, value: Any) -> None:
    before = row_counts()
    answer = inference.post({**provision_body("inference"), "uuid": value})
    assert answer.status_code == 422
    assert "uuid" in answer.json()["message"]
    assert row_counts() == before


@pytest.mark.parametrize("value", [None, "", 17, [], {}, True, "x" * 201, "nova\0lite"])
def test_a_call_without_a_plan_is_refused(inference: Partner, value: Any) -> None:
    resource = inference.provisioned()
    before = row_counts()
    for answer in (
        inference.post({**provision_body("inference"), "plan": value}),
        inference.put(resource.uuid, value),
    ):
        assert answer.status_code == 422
        assert "plan" in answer.json()["message"]
    assert row_counts() == before


@pytest.mark.parametrize(
    "path", ["1", "not-a-uuid", "%00", "..", "3f1c9a52-0b7e-4d7e-9d5b-2a8f6c41e7a", "x" * 3000]
)
def test_a_path_that_is_no_uuid_is_not_found(inference: Partner, path: str) -> None:
    before = row_counts()
    assert inference.put(path, "nova-pro").status_code == 404
    assert inference.delete(path).status_code == 404
    assert row_counts() == before


def test_the_uuid_is_the_same_in_any_spelling(inference: Partner) -> None:
    body = provision_body("inference")
    first = inference.post(body)
    again = inference.post({**body, "uuid": body["uuid"].upper()})
    assert first.json() == again.json()
    assert first.json()["id"] == body["uuid"]
    assert inference.delete(body["uuid"].upper()).status_code == 204


def test_a_body_that_is_too_large_is_413(inference: Partner) -> None:
    before = row_counts()
    answer = inference.post({**provision_body("inference"), "name": "x" * 1_100_000})
    assert answer.status_code == 413
    assert answer["Content-Type"] == VENDOR
    assert answer.json()["message"]
    assert row_counts() == before


def test_nesting_of_every_depth_is_answered(inference: Partner) -> None:
    """What reads the body and what stores it have limits of their own; none of them may be met unprepared."""
    for depth in (1, 20, 49, 50, 51, *range(200, 1100, 75), 50_000):
        nested = "[" * depth + "]" * depth
        raw = json.dumps(provision_body("inference"))[:-1] + f', "new": {nested}}}'
        assert inference.post(raw.encode()).status_code == (200 if depth <= 50 else 422), depth


# What JSON can say and Postgres cannot store.
AWKWARD = {
    "NUL": r'"a\u0000b"',
    "half a surrogate pair": r'"a\ud800b"',
    "surrogates the wrong way round": r'"\udc00\ud800"',
    "NaN": "NaN",
    "infinity": "-Infinity",
    "a number beyond every range": "1e999",
    "a very long number": "1" * 4000,
    "a list of them": r'["a\u0000b\ud800", NaN]',
    "emoji": '"\N{ROCKET}\\ud83d\\ude80"',
    "very long": '"' + "x" * 100_000 + '"',
}


AWKWARD_FIELDS = [
    "name",
    "region",
    "oauth_grant",
    "log_input_url",
    "options",
    "unknown",
    "nested",
    "key",
    "plan",
]


@pytest.mark.parametrize("field", AWKWARD_FIELDS)
def test_text_that_postgres_cannot_store_never_fails_the_call(mobiloud: Partner, field: str) -> None:
    for value in AWKWARD.values():
        check_awkward_value(mobiloud, field, value)


def check_awkward_value(mobiloud: Partner, field: str, value: str) -> None:
    """Provision with `value` in `field`; what was accepted has to live and end like any other resource."""
    fields = {name: json.dumps(item) for name, item in provision_body("mobiloud").items()}
    if field == "options":
        fields["options"] = '{"website": ' + value + ', "other": ' + value + "}"
    elif field == "oauth_grant":
        fields["oauth_grant"] = '{"code": ' + value + "}"
    elif field == "nested":
        fields["nested"] = '{"x": {"y": [' + value + "]}}"
    else:
        fields[field] = value
    members = [f'"{name}": {item}' for name, item in fields.items()]
    if field == "key":
        members = [
            *members[:-1],
            f"{value if value.startswith(chr(34)) else chr(34) + value[:50] + chr(34)}: 1",
        ]
        members = [member for member in members if not member.startswith("[")]
    answer = mobiloud.post(("{" + ",".join(members) + "}").encode())
    assert answer.status_code in (200, 422), answer.content
    assert answer["Content-Type"] == VENDOR
    if answer.status_code == 200:
        # It is stored in a form that every later reader can read.
        resource = Resource.objects.get(uuid=json.loads(fields["uuid"]))
        json.dumps(resource.request).encode()
        assert mobiloud.delete(resource.uuid).status_code == 204


@pytest.mark.parametrize(
    "error", [DatabaseError("secret-dsn"), RuntimeError("secret-text"), KeyError("secret-key")]
)
def test_a_fault_of_ours_never_shows_its_text(
    inference: Partner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise error

    for name in ("provision", "change_plan", "deprovision"):
        monkeypatch.setattr(resources, name, broken)
    some = uuid.uuid4()
    for answer in (
        inference.post(provision_body("inference")),
        inference.put(some, "nova-pro"),
        inference.delete(some),
    ):
        assert answer.status_code == 500
        assert answer["Content-Type"] == VENDOR
        assert "secret" not in answer.content.decode()
        assert "try again" in answer.json()["message"]
        assert answer["X-Request-Id"]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_midway_leaves_nothing(inference: Partner) -> None:
    """What a provision writes last fails in Postgres itself."""
    before = row_counts()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE provisioning_credential ADD CONSTRAINT planted CHECK (false) NOT VALID")
    try:
        answer = inference.post(provision_body("inference"))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE provisioning_credential DROP CONSTRAINT planted")
    assert answer.status_code == 500
    assert "planted" not in answer.content.decode()
    assert answer["Content-Type"] == VENDOR
    assert row_counts() == before


def test_the_correlation_id_of_heroku_comes_back_and_is_in_the_audit(inference: Partner) -> None:
    body = provision_body("inference")
    answer = inference.post(body, headers={"X-Request-Id": "0a1b2c3d-made-up-request"})
    assert answer["X-Request-Id"] == "0a1b2c3d-made-up-request"
    resource = Resource.objects.get(uuid=body["uuid"])
    assert {event.correlation_id for event in resource.audit_events.all()} == {"0a1b2c3d-made-up-request"}
    assert resource.operations.get().correlation_id == "0a1b2c3d-made-up-request"
