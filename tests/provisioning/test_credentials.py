"""Credentials of customers: their form, and finding the one that is presented."""

import base64
import hmac
import re
import secrets
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from provisioning import credentials
from provisioning.models import Credential, Operation, Resource, new_public_id
from provisioning.rotation import rotate_credentials
from provisioning.services import all_services
from tests.support.partner import Partner, run_operations


def found(presented: str) -> Credential | None:
    """Look a presented key up as a gateway does."""
    public_id = credentials.key_public_id(presented, prefix="inf-")
    return credentials.find_credential(presented, public_id=public_id) if public_id else None


@pytest.fixture
def resource(inference: Partner) -> Resource:
    """A resource with a key."""
    return inference.provisioned()


@pytest.fixture
def key(resource: Resource) -> str:
    """Its key."""
    secret = resource.credentials.get().get_sealed("secret")
    assert secret
    return secret


def test_a_key_has_prefix_public_part_randomness_and_checksum() -> None:
    public_id = new_public_id()
    key = credentials.new_key(prefix="inf-", public_id=public_id)
    assert re.fullmatch(r"inf-[0-9a-f]{12}[0-9A-Za-z]{30}[0-9A-Za-z]{6}", key)
    assert key[4:16] == public_id
    assert credentials.key_public_id(key, prefix="inf-") == public_id


def test_keys_differ_in_their_random_part_and_use_every_digit() -> None:
    keys = [credentials.new_key(prefix="inf-", public_id="0" * 12) for _ in range(300)]
    assert len(set(keys)) == 300
    assert len({digit for key in keys for digit in key[16:46]}) == 62


def test_the_checksum_is_crc32_in_base_62_so_that_scanners_can_know_it() -> None:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    key = credentials.new_key(prefix="inf-", public_id="0" * 12)
    number = 0
    for digit in key[-6:]:
        number = number * 62 + alphabet.index(digit)
    assert number == zlib.crc32(key[:-6].encode())


def test_any_mistyped_character_is_noticed_without_a_look_up() -> None:
    key = credentials.new_key(prefix="inf-", public_id=new_public_id())
    for position in range(len(key)):
        other = "x" if key[position] != "x" else "y"
        assert credentials.key_public_id(key[:position] + other + key[position + 1 :], prefix="inf-") is None


@pytest.mark.parametrize(
    "text", ["", "inf-", "x" * 52, "inf-" + "0" * 48, "inf-" + "é" * 48, "INF-" + "0" * 48]
)
def test_what_is_no_key_has_no_public_part(text: str) -> None:
    assert credentials.key_public_id(text, prefix="inf-") is None


def test_a_key_is_found_by_its_whole_text(resource: Resource, key: str) -> None:
    credential = found(key)
    assert credential
    assert credential.resource == resource


def test_another_secret_with_the_same_public_part_is_not(resource: Resource, key: str) -> None:
    public_id = key[4:16]
    forged = credentials.new_key(prefix="inf-", public_id=public_id)
    assert found(forged) is None
    assert credentials.find_credential(key + "x", public_id=public_id) is None
    assert credentials.find_credential("", public_id=public_id) is None
    assert credentials.find_credential(key, public_id="0" * 12) is None


def test_the_digest_is_compared_in_constant_time(
    resource: Resource, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def watching(a: Any, b: Any) -> bool:
        compared.append((a, b))
        return original(a, b)

    public_id = key[4:16]
    monkeypatch.setattr(hmac, "compare_digest", watching)
    credentials.find_credential("wrong", public_id=public_id)
    assert [(len(a), len(b)) for a, b in compared] == [(32, 32)]


def test_the_database_holds_a_digest_that_needs_the_pepper(resource: Resource, key: str) -> None:
    import hashlib

    digest = bytes(resource.credentials.get().digest)
    assert len(digest) == 32
    assert digest != hashlib.sha256(key.encode()).digest()
    assert digest == credentials.secret_digest(key, version=1)


def test_a_replaced_key_works_until_its_time_and_a_revoked_one_never(ready: Any) -> None:
    resource = ready("inference")
    former = resource.credentials.get().get_sealed("secret")
    rotate_credentials(resource.pk, requested_by="test")
    run_operations(resource)
    new = Credential.objects.get(resource=resource, state="active").get_sealed("secret")
    assert found(former)
    assert found(new or "")
    retiring = Credential.objects.filter(resource=resource, state="retiring")
    retiring.update(retires_at=timezone.now() + timedelta(seconds=5))
    assert found(former)
    retiring.update(retires_at=timezone.now() - timedelta(microseconds=1))
    assert found(former) is None  # its time counts, not the sweeper's
    credentials.revoke(resource)
    assert found(former) is None
    assert found(new or "")


def test_no_key_works_after_the_deprovision(inference: Partner, resource: Resource, key: str) -> None:
    assert found(key)
    inference.delete(resource.uuid)
    assert found(key) is None


def test_keys_of_a_former_pepper_work_until_that_pepper_is_dropped(
    inference: Partner, resource: Resource, key: str, settings: Settings
) -> None:
    new_pepper = f"2:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    settings.PEPPERS = (new_pepper, *settings.PEPPERS)
    assert found(key)
    newer = inference.provisioned().credentials.get()
    assert newer.pepper_version == 2
    assert found(newer.get_sealed("secret") or "")
    settings.PEPPERS = (new_pepper,)
    assert found(key) is None
    assert found(newer.get_sealed("secret") or "")


def test_an_operation_issues_one_credential_however_often_it_runs(resource: Resource) -> None:
    operation = Operation.objects.create(resource=resource, kind="rotation")
    first = credentials.issue_credential(operation)
    second = credentials.issue_credential(operation)
    assert first == second
    states = sorted(resource.credentials.values_list("state", flat=True))
    assert states == ["active", "retiring"]
    assert resource.audit_events.filter(event="credential.issued").count() == 2


def test_the_audit_names_credentials_by_their_public_part_only(resource: Resource, key: str) -> None:
    credentials.revoke_all(resource)
    for event in resource.audit_events.all():
        assert key not in str(event.detail)
    assert resource.audit_events.get(event="credential.revoked").detail == {"credentials": [key[4:16]]}


def test_revoking_what_is_revoked_does_nothing(resource: Resource) -> None:
    assert credentials.revoke_all(resource) == 1
    assert credentials.revoke_all(resource) == 0
    assert resource.audit_events.filter(event="credential.revoked").count() == 1


def test_a_service_without_credentials_generates_none(mobiloud: Partner) -> None:
    resource = mobiloud.provisioned()
    assert not resource.credentials.exists()
    with pytest.raises(TypeError):
        all_services()["mobiloud"].generate_secret(resource)
