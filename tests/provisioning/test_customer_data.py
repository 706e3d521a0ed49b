"""Handing out what is held about one customer, and erasing it: all of theirs, nothing of others', no secret."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mail.models import Contact
from provisioning import customer_data, retention
from provisioning.models import AuditEvent, HerokuCall, PlanPeriod, Resource
from sso.models import DashboardSession
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, row_counts, run_operations


def run(*arguments: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture(params=["inference", "kafkacluster", "mobiloud"])
def resource(request: pytest.FixtureRequest, ready: Callable[..., Resource], heroku: FakeHeroku) -> Resource:
    """One with a person's traces on it."""
    made = ready(request.param)
    Resource.objects.filter(pk=made.pk).update(app_name="ada-s-shop")
    Contact.objects.create(resource=made, email="ada@example.com", source="owner")
    DashboardSession.objects.create(
        token_digest="d" * 64,
        resource=made,
        role="member",
        user_id="u1",
        email="ada@example.com",
        last_seen_at=timezone.now(),
        expires_at=timezone.now(),
    )
    return made


def removed(resource: Resource) -> None:
    """Let Heroku remove it, and the worker be through."""
    Partner(resource.service).delete(resource.uuid)
    run_operations(resource)


def test_an_export_holds_every_row_of_the_resource_and_no_secret(resource: Resource) -> None:
    other = Partner("inference").provisioned()
    lines = [json.loads(line) for line in run("export_data", str(resource.uuid)).splitlines()]
    tables = {line["table"] for line in lines}
    assert lines[0]["row"]["app_name"] == "ada-s-shop"
    assert tables >= {
        "provisioning.Resource",
        "provisioning.Operation",
        "provisioning.PlanPeriod",
        "provisioning.AuditEvent",
        "mail.Contact",
        "sso.DashboardSession",
    }
    text = json.dumps(lines)
    assert str(other.uuid) not in text
    for credential in resource.credentials.all():
        assert str(credential.get_sealed("secret")) not in text
    assert str(resource.access.get_sealed("access_token")) not in text
    assert "d" * 64 not in text
    own = [line for line in lines if line["table"] == "provisioning.AuditEvent"]
    assert len(own) == AuditEvent.objects.filter(resource=resource).count()
    counts = json.loads(run("export_data", str(resource.uuid), "--dry-run", "--json"))["rows"]
    assert counts["mail.Contact"] == 1


def test_only_a_removed_add_on_is_erased(resource: Resource) -> None:
    before = row_counts()
    with pytest.raises(CommandError, match="removed"):
        run("erase_data", str(resource.uuid))
    assert row_counts() == before


def test_erasing_takes_what_names_people_and_leaves_the_bills(resource: Resource) -> None:
    removed(resource)
    before = row_counts()
    would = json.loads(run("erase_data", str(resource.uuid), "--dry-run", "--json"))
    assert would["erased"]["mail.Contact"] == 1
    assert row_counts() == before
    assert json.loads(run("erase_data", str(resource.uuid), "--json"))["erased"] == would["erased"]
    for model in (Contact, DashboardSession, HerokuCall):
        assert not model._default_manager.filter(resource=resource).exists()
    assert PlanPeriod.objects.filter(resource=resource).exists()
    resource.refresh_from_db()
    assert (resource.app_name, resource.name, resource.request) == ("", "", {})
    kept = [row for row in customer_data.export(resource) if row.table != "provisioning.AuditEvent"]
    text = json.dumps([row.values for row in kept], default=str)
    assert "ada-s-shop" not in text
    assert "ada@example.com" not in text
    run("erase_data", str(resource.uuid))
    told = AuditEvent.objects.filter(resource=resource, event="customer_data.erased")
    assert told.count() == 2


def test_a_purge_tries_without_doing_and_tells_each_job(inference: Partner, monkeypatch: Any) -> None:
    resource = inference.provisioned()
    old = HerokuCall.objects.create(resource=resource, method="GET", path="/x", status=200, milliseconds=1)
    HerokuCall.objects.filter(pk=old.pk).update(at="2020-01-01T00:00Z")
    would = json.loads(run("purge", "--dry-run", "--json"))
    assert (would["deleted"]["calls to Heroku"], would["dry_run"]) == (1, True)
    assert HerokuCall.objects.filter(pk=old.pk).exists()
    assert "1 calls to Heroku deleted" in run("purge")
    assert not HerokuCall.objects.filter(pk=old.pk).exists()
    assert set(retention._purges) >= {"dashboard sessions", "used login tokens", "Kafka rates"}
