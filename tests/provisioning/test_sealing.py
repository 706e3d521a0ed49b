"""Secrets at rest: sealed to their place, under keys that can be replaced."""

import base64
import secrets
import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import Settings

from provisioning import sealing
from provisioning.models import Credential, PlatformAccess, Resource
from provisioning.sealing import KeyRing, SealingError, seal, unseal
from tests.support.partner import Partner, at_once


def key(version: int) -> str:
    """A fresh key as the environment writes it."""
    return f"{version}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


@pytest.mark.parametrize("text", ["", "x", "pässwört \N{ROCKET}", "x" * 10_000])
def test_what_was_sealed_opens_in_its_place(text: str) -> None:
    assert unseal(seal(text, place="t:1:f"), place="t:1:f") == text


def test_the_same_text_is_sealed_differently_each_time() -> None:
    sealed = {seal("same", place="t:1:f") for _ in range(50)}
    assert len(sealed) == 50
    assert not [value for value in sealed if b"same" in value]


@pytest.mark.parametrize("place", ["t:2:f", "t:1:g", "u:1:f", ""])
def test_a_value_moved_to_another_place_does_not_open(place: str) -> None:
    with pytest.raises(SealingError, match="does not belong"):
        unseal(seal("secret-text", place="t:1:f"), place=place)


def test_a_value_with_any_bit_changed_does_not_open() -> None:
    sealed = seal("secret-text", place="t:1:f")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealingError) as caught:
            unseal(bytes(altered), place="t:1:f")
        assert "secret-text" not in str(caught.value)


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x01short", b"\x00" * 40, b"\xff" * 40])
def test_what_is_no_sealed_value_does_not_open(value: bytes) -> None:
    with pytest.raises(SealingError):
        unseal(value, place="t:1:f")


def test_a_version_without_its_key_does_not_open(settings: Settings) -> None:
    sealed = seal("text", place="t:1:f")
    settings.SEALING_KEYS = (key(7),)
    with pytest.raises(SealingError, match="no sealing key of that version"):
        unseal(sealed, place="t:1:f")


def test_another_key_under_the_same_version_does_not_open(settings: Settings) -> None:
    sealed = seal("text", place="t:1:f")
    settings.SEALING_KEYS = (key(1),)
    with pytest.raises(SealingError):
        unseal(sealed, place="t:1:f")


@pytest.mark.parametrize(
    "entries",
    [
        [],
        ["1"],
        ["1:"],
        ["1:not-base64!"],
        ["x:" + key(1)[2:]],
        ["0:" + key(1)[2:]],
        ["256:" + key(1)[2:]],
        ["1:" + base64.b64encode(b"short").decode()],
        ["1:" + key(1)[2:], "1:" + key(1)[2:]],
    ],
)
def test_a_key_ring_that_cannot_be_read_says_so_without_the_key(entries: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        KeyRing(entries)
    for entry in entries:
        encoded = entry.partition(":")[2]
        assert len(encoded) < 5 or encoded not in str(caught.value)


def test_a_sealed_value_copied_to_another_row_or_column_does_not_open(inference: Partner) -> None:
    first, second = inference.provisioned(), inference.provisioned()
    Resource.objects.filter(pk=second.pk).update(log_input_url=first.log_input_url)
    second.refresh_from_db()
    with pytest.raises(SealingError):
        second.get_sealed("log_input_url")
    second.access.access_token = second.access.grant_code
    with pytest.raises(SealingError):
        second.access.get_sealed("access_token")


def all_values(models: list[Any]) -> list[str | None]:
    """Every sealed value of the models, opened."""
    columns = sealing.sealed_columns()
    return [
        row.get_sealed(name)
        for model in models
        for row in model.objects.order_by("pk")
        for name in columns[model]
    ]


MODELS = [Resource, PlatformAccess, Credential]


def test_every_sealed_column_is_found() -> None:
    found = {model.__name__: sorted(names) for model, names in sealing.sealed_columns().items()}
    assert found["Resource"] == ["log_input_url"]
    assert found["PlatformAccess"] == ["access_token", "grant_code", "refresh_token"]
    assert found["Credential"] == ["secret"]


def test_resealing_moves_everything_to_the_new_key_after_which_the_former_can_go(
    ready: Any, inference: Partner, kafka: Partner, settings: Settings
) -> None:
    ready("inference")
    inference.provisioned()
    kafka.provisioned()
    inference.delete(inference.provisioned().uuid)
    before = all_values(MODELS)
    former = settings.SEALING_KEYS
    new = key(2)
    settings.SEALING_KEYS = (new, *former)
    assert all_values(MODELS) == before
    out = StringIO()
    call_command("reseal", stdout=out)
    moved = sum(value is not None for value in before)
    assert out.getvalue().strip() == f"{moved} values moved to the current key"
    settings.SEALING_KEYS = (new,)
    assert all_values(MODELS) == before
    assert sealing.reseal_all() == 0


@pytest.mark.django_db(transaction=True)
def test_resealing_while_rows_change_loses_nothing(
    ready: Any, inference: Partner, settings: Settings
) -> None:
    resources = [ready("inference") for _ in range(12)]
    former = settings.SEALING_KEYS
    settings.SEALING_KEYS = (key(2), *former)
    stop = threading.Event()
    refreshed: dict[int, str] = {}

    def change() -> int:
        number = 0
        while not stop.is_set() and number < 200:
            resource = resources[number % 6]
            row = PlatformAccess.objects.get(resource=resource)
            token = f"HRKU-{number}"
            row.set_sealed(access_token=token)
            PlatformAccess.objects.filter(pk=row.pk).update(access_token=row.access_token)
            refreshed[resource.pk] = token
            number += 1
        for resource in resources[6:9]:
            assert inference.delete(resource.uuid).status_code == 204
        connections.close_all()
        return number

    def reseal() -> int:
        moved = sum(sealing.reseal_all(batch=3) for _ in range(3))
        stop.set()
        return moved

    _, moved = at_once([change, reseal])
    assert moved > 0
    sealing.reseal_all()
    for pk, token in refreshed.items():
        assert PlatformAccess.objects.get(resource_id=pk).get_sealed("access_token") == token
    for model, columns in sealing.sealed_columns().items():
        for row in model._default_manager.all():
            for column in columns:
                value = getattr(row, column)
                assert value is None or bytes(value)[0] == 2
                row.get_sealed(column)


@pytest.mark.django_db(transaction=True)
def test_a_value_that_changes_while_its_row_is_resealed_is_not_set_back(
    ready: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes between the reading of the row and its writing."""
    resource = ready("inference")
    settings.SEALING_KEYS = (key(2), *settings.SEALING_KEYS)
    original = sealing.SealingModel.set_sealed
    threads: list[threading.Thread] = []

    def change() -> None:
        row = PlatformAccess(resource_id=resource.pk)
        original(row, access_token="HRKU-newer")
        PlatformAccess.objects.filter(resource=resource).update(access_token=row.access_token)
        connections.close_all()

    def meanwhile(self: sealing.SealingModel, **values: str | None) -> None:
        if isinstance(self, PlatformAccess) and not threads:
            threads.append(threading.Thread(target=change))
            threads[0].start()
            threads[0].join(timeout=0.5)
        original(self, **values)

    monkeypatch.setattr(sealing.SealingModel, "set_sealed", meanwhile)
    sealing.reseal_all()
    threads[0].join(timeout=20)
    assert PlatformAccess.objects.get(resource=resource).get_sealed("access_token") == "HRKU-newer"


def test_no_column_of_any_table_holds_a_secret_in_plain(ready: Any, inference: Partner) -> None:
    waiting = inference.provisioned()
    live = ready("kafkacluster")
    values = [value for value in all_values(MODELS) if value]
    assert len(values) >= 5
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" AS t')  # noqa: S608 - the name is Postgres's own
            for (row,) in cursor.fetchall():
                for value in values:
                    assert value not in row, table
                    assert value.encode().hex() not in row, table
    assert waiting.pk != live.pk
