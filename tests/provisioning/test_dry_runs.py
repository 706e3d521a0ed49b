"""A dry run tells what would be done, and does nothing."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from provisioning.models import Operation, Plan, Resource
from provisioning.sealing import KeyRing
from tests.support.partner import Partner, row_counts


def told(*arguments: str) -> Any:
    """What a command prints as JSON."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return json.loads(out.getvalue())


def test_a_rotation_is_only_tried(inference: Partner) -> None:
    resource = inference.provisioned()
    before = row_counts()
    assert told("rotate_credentials", str(resource.uuid), "--dry-run", "--json") == {
        "operation": None,
        "dry_run": True,
    }
    assert row_counts() == before
    number = told("rotate_credentials", str(resource.uuid), "--json")["operation"]
    assert Operation.objects.get(pk=number).kind == "rotation"


def test_resealing_is_only_counted(inference: Partner, settings: Settings) -> None:
    inference.provisioned()
    former = settings.SEALING_KEYS
    version = max(KeyRing(former).keys) + 1
    settings.SEALING_KEYS = (f"{version}:{former[0].partition(':')[2][:-4]}AAA=", *former)
    row = Resource.objects.exclude(log_input_url=None).get()
    sealed = bytes(row.log_input_url)
    counted = told("reseal", "--dry-run", "--json")["moved"]
    assert counted >= 1
    row.refresh_from_db()
    assert bytes(row.log_input_url) == sealed
    assert told("reseal", "--json")["moved"] == counted
    assert told("reseal", "--json")["moved"] == 0


@pytest.mark.usefixtures("plans")
def test_plans_tell_their_changes_as_json() -> None:
    Plan.objects.filter(service="mobiloud", slug="elite").update(price_cents=1)
    assert told("sync_plans", "--dry-run", "--json")["changed"] == ["mobiloud:elite"]
    assert Plan.objects.get(service="mobiloud", slug="elite").price_cents == 1
    assert told("sync_plans", "--json")["changed"] == ["mobiloud:elite"]
    assert told("sync_plans", "--json")["changed"] == []
