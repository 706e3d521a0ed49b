"""Who may call the Partner API: exactly Heroku, with the pair of the service it calls about."""

import uuid
from typing import Any

import pytest
from django.conf import settings as django_settings
from pydantic import SecretStr
from pytest_django import DjangoAssertNumQueries, Settings

from addon.env import PartnerSecrets
from provisioning.models import Resource
from provisioning.partner_secrets import partner_secrets
from tests.support.partner import COLLECTION, VENDOR, Partner, basic, provision_body, row_counts

PASSWORD = partner_secrets("inference").passwords[0]
WRONG = {
    "missing": None,
    "empty": "",
    "another scheme": f"Bearer {PASSWORD}",
    "no value": "Basic",
    "not base64": "Basic ???",
    "not UTF-8": "Basic /////w==",
    "no colon": "Basic aW5mZXJlbmNl",
    "wrong password": basic("inference", "x" * 43),
    "wrong user": basic("inferenc", PASSWORD),
    "user in capitals": basic("INFERENCE", PASSWORD),
    "empty password": basic("inference", ""),
    "password with more behind it": basic("inference", PASSWORD + "x"),
    "start of the password": basic("inference", PASSWORD[:-1]),
    "colon moved": basic(f"inference:{PASSWORD[:3]}", PASSWORD[3:]),
    "another service's password": basic("inference", partner_secrets("kafkacluster").passwords[0]),
    "another service's user": basic("kafkacluster", PASSWORD),
    "text beyond ASCII": basic("inférence", "pässwört"),
}


def calls(partner: Partner, uuid: object, authorization: str | None) -> list[Any]:
    """Every verb of the Partner API, once."""
    return [
        partner.post(provision_body("inference", uuid=str(uuid)), authorization=authorization),
        partner.put(uuid, "nova-pro", authorization=authorization),
        partner.delete(uuid, authorization=authorization),
        partner.call("GET", f"{COLLECTION}/{uuid}", authorization=authorization),
    ]


@pytest.mark.parametrize("authorization", WRONG.values(), ids=WRONG.keys())
def test_a_call_without_a_right_pair_is_answered_401_before_any_query(
    inference: Partner, authorization: str | None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        answers = calls(inference, uuid.uuid4(), authorization)
    for answer in answers:
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith('Basic realm="')
        assert answer["Content-Type"] == VENDOR
        assert answer.json()["message"]


def test_a_wrong_pair_on_a_deleted_resource_is_401_and_not_410(
    inference: Partner, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    resource = inference.provisioned()
    inference.delete(resource.uuid)
    with django_assert_num_queries(0):
        answers = calls(inference, resource.uuid, basic("inference", "wrong"))
    assert [answer.status_code for answer in answers] == [401] * 4


def test_a_refused_call_changes_nothing(inference: Partner) -> None:
    resource = inference.provisioned()
    before = row_counts()
    calls(inference, resource.uuid, basic("inference", "wrong"))
    calls(inference, uuid.uuid4(), None)
    assert row_counts() == before
    assert Resource.objects.get(pk=resource.pk).state == "provisioned"


def test_a_large_or_broken_body_is_not_even_read_without_credentials(inference: Partner) -> None:
    for body in (b"x" * 2_000_000, b"{", b"\xff"):
        assert inference.post(body, authorization=None).status_code == 401


def test_both_passwords_are_valid_while_the_secret_is_rotated(inference: Partner, settings: Settings) -> None:
    former, new = "former-password-of-inference", "new-password-of-inference"
    settings.PARTNER_SECRETS = {
        **django_settings.PARTNER_SECRETS,
        "inference": PartnerSecrets(
            passwords=SecretStr(f"{new}, {former}"),
            sso_salts=SecretStr("s" * 20),
            oauth_client_secrets=SecretStr("o" * 20),
        ),
    }
    for password, expected in (
        (new, 200),
        (former, 200),
        (PASSWORD, 401),
        (f"{new}, {former}", 401),
        ("", 401),
    ):
        answer = inference.post(provision_body("inference"), authorization=basic("inference", password))
        assert answer.status_code == expected


def test_a_staging_copy_answers_to_its_own_id(inference: Partner, settings: Settings) -> None:
    settings.PARTNER_SECRETS = {
        **django_settings.PARTNER_SECRETS,
        "inference": PartnerSecrets(
            manifest_id="inference-staging",
            passwords=SecretStr(PASSWORD),
            sso_salts=SecretStr("s" * 20),
            oauth_client_secrets=SecretStr("o" * 20),
        ),
    }
    body = provision_body("inference")
    assert inference.post(body, authorization=basic("inference", PASSWORD)).status_code == 401
    assert inference.post(body, authorization=basic("inference-staging", PASSWORD)).status_code == 200


def test_the_scheme_is_read_without_regard_to_case(inference: Partner) -> None:
    header = "bAsIc" + basic("inference", PASSWORD).removeprefix("Basic")
    assert inference.post(provision_body("inference"), authorization=header).status_code == 200


def test_the_pair_decides_the_service(inference: Partner, kafka: Partner, mobiloud: Partner) -> None:
    made = {partner.slug: partner.provisioned().service for partner in (inference, kafka, mobiloud)}
    assert made == {slug: slug for slug in made}


def test_every_password_is_compared_whatever_matched_before(
    inference: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hmac

    from provisioning import partner_auth

    compared = []
    original = hmac.compare_digest

    def counting(a: bytes, b: bytes) -> bool:
        compared.append(len(a))
        return original(a, b)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    numbers = set()
    for pair in (("inference", PASSWORD), ("mobiloud", "wrong"), ("nobody", "x")):
        compared.clear()
        partner_auth.service_of_pair(*pair)
        numbers.add(tuple(compared))
    assert numbers == {(32, 32, 32)}
