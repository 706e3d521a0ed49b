"""Planted secrets: they are put everywhere they may come in, and looked for everywhere people and machines read."""

import io
import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from provisioning import access, operations, platform_api
from provisioning.masking import MASK, mask_text, mask_value
from provisioning.models import AuditEvent, Credential, Operation, PlatformAccess, Resource
from provisioning.partner_secrets import partner_secrets
from provisioning.rotation import rotate_credentials
from provisioning.services import all_services
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, loaded_handler, provision_body, run_operations

PLANTED = {
    "grant": "pl4nted-grant-c0de",
    "log_token": "t.9f0e6a1c-0000-4000-8000-1234567890ab",
    "drain_token": "d.5ad9c3de-0000-4000-8000-1234567890ab",
    "option": "pl4nted-option-passw0rd",
}


def planted_body(slug: str) -> dict[str, Any]:
    """A request with a secret in every field that may carry one."""
    return provision_body(
        slug,
        oauth_grant={"code": PLANTED["grant"], "type": "authorization_code"},
        log_input_url=f"https://token:{PLANTED['log_token']}@1.us.logplex.io/logs",
        log_drain_token=PLANTED["drain_token"],
        options={"password": PLANTED["option"], "api_key": PLANTED["option"]},
    )


def live_secrets() -> set[str]:
    """Every secret that is stored or configured now."""
    found = set(PLANTED.values())
    for credential in Credential.objects.all():
        found.add(credential.get_sealed("secret") or "")
    for row in PlatformAccess.objects.all():
        found |= {row.get_sealed(name) or "" for name in ("grant_code", "access_token", "refresh_token")}
    for slug in all_services():
        secrets = partner_secrets(slug)
        found |= {*secrets.passwords, *secrets.sso_salts, *secrets.oauth_client_secrets}
    return found - {""}


def whole_life(slug: str, heroku: FakeHeroku) -> set[str]:
    """Every kind of operation, with faults in between; returns the secrets there ever were."""
    partner = Partner(slug)
    body = planted_body(slug)
    seen = set()
    assert partner.post(body).status_code in (200, 202)
    resource = Resource.objects.get(uuid=body["uuid"])
    seen |= live_secrets()
    partner.post(body)
    partner.post({**body, "plan": "no-such-plan", "uuid": "x"})
    assert resource.plan
    heroku.know(resource.uuid, plan=f"{slug}:{resource.plan.slug}", state="provisioning")
    heroku.answer_next("POST", "/oauth/token", 400, {"id": "x", "message": PLANTED["grant"]})
    access.exchange_grant(resource.access.pk)
    PlatformAccess.objects.update(next_attempt_at=resource.created_at)
    access.exchange_grant(resource.access.pk)
    seen |= live_secrets()
    token = resource.access.__class__.objects.get(resource=resource).get_sealed("access_token")
    for status in (500, 429, 401):
        heroku.answer_next("GET", "/addons/.*", status, {"id": token, "message": token})
    run_operations(resource)
    seen |= live_secrets()
    other = next(plan.slug for plan in all_services()[slug].plans if plan.slug != resource.plan.slug)
    partner.put(resource.uuid, other)
    run_operations(resource)
    if all_services()[slug].issues_credentials:
        heroku.answer_next("PATCH", "/addons/.*", 422, {"id": "x", "message": "refused"})
        for revoke_now in (False, True, False):
            rotate_credentials(resource.pk, requested_by="test", revoke_now=revoke_now)
            run_operations(resource)
            seen |= live_secrets()
    heroku.scripts.clear()
    heroku.addons[str(resource.uuid)]["state"] = "provisioned"
    heroku.config[str(resource.uuid)] = {"OTHER": "x"}
    call_command("reconcile", "--fix", stdout=StringIO())
    run_operations(resource)
    call_command("reseal", stdout=StringIO())
    seen |= live_secrets()
    return seen


@pytest.mark.parametrize("slug", ["inference", "kafkacluster", "mobiloud"])
def test_no_secret_reaches_a_log_line_an_audit_event_an_error_or_an_admin_page(
    plans: None,
    heroku: FakeHeroku,
    slug: str,
    written: io.StringIO,
    admin_client: Client,
) -> None:
    secrets = whole_life(slug, heroku)
    live = Resource.objects.get()
    Partner(slug).provisioned()
    assert len(secrets) >= 10
    texts = {"log": written.getvalue()}
    texts["audit"] = json.dumps([*AuditEvent.objects.values("event", "actor", "detail", "correlation_id")])
    texts["operations"] = json.dumps(
        [*Operation.objects.values("last_error", "message", "parameters", "requested_by")]
    )
    texts["access"] = json.dumps([*PlatformAccess.objects.values("last_error")])
    texts["resources"] = json.dumps([*Resource.objects.values("request", "options", "name")])
    for arguments in (["manifest", slug], ["sweep"], ["sync_plans"], ["reconcile", "--json"]):
        out = StringIO()
        try:
            call_command(*arguments, stdout=out)
        except Exception as error:  # noqa: BLE001 - also the text of an error counts
            out.write(str(error))
        texts[" ".join(arguments)] = out.getvalue()
    admin_client.handler = loaded_handler()
    for model in ("plan", "resource", "operation", "planperiod", "auditevent"):
        page = admin_client.get(f"/admin/provisioning/{model}/")
        assert page.status_code == 200
        texts[f"admin {model}"] = page.content.decode()
        for row in {
            "resource": [live],
            "operation": live.operations.all(),
            "auditevent": live.audit_events.all(),
        }.get(model, []):
            page = admin_client.get(f"/admin/provisioning/{model}/{row.pk}/change/", follow=True)
            assert page.status_code == 200
            texts[f"admin {model} {row.pk}"] = page.content.decode()
    assert "operation.succeeded" in texts["log"]
    assert str(live.uuid) in texts["admin resource"]
    for where, text in texts.items():
        for secret in secrets:
            assert secret not in text, where


def test_a_crash_with_a_secret_in_its_text_is_logged_without_it(
    kafka: Partner, heroku: FakeHeroku, monkeypatch: pytest.MonkeyPatch, written: io.StringIO
) -> None:
    resource = kafka.provisioned()
    heroku.know(resource.uuid, plan="kafkacluster:free", state="provisioning")
    access.exchange_grant(resource.access.pk)
    token = PlatformAccess.objects.get(resource=resource).get_sealed("access_token")

    def broken(*_: Any) -> None:
        raise RuntimeError(f"Authorization: Bearer {token} to https://user:passw0rd-x@broker")

    monkeypatch.setattr(platform_api, "read_config", broken)
    operations.run(resource.operations.get().pk)
    log = written.getvalue()
    assert "operation.step_crashed" in log
    assert token
    for text in (log, resource.operations.get().last_error):
        assert MASK in text
        assert token not in text
        assert "passw0rd-x" not in text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Basic aW5mZXJlbmNlOnNlY3JldA==", f"Authorization: Basic {MASK}"),
        ("Bearer abcdefgh12345678.x_y-z", f"Bearer {MASK}"),
        ("key inf-0123456789ab-cdef used", f"key {MASK} used"),
        ("HRKU-8c1d0c5e-0000-4000-8000-5f1c1a2b3c4d", MASK),
        (
            "https://token:t.9f0e6a1c-0000-4000-8000-1234567890ab@1.us.logplex.io",
            f"https://{MASK}@1.us.logplex.io",
        ),
        ("drain d.5ad9c3de-0000-4000-8000-1234567890ab.", f"drain {MASK}."),
        ("redis://:passw0rd@127.0.0.1:6379/0", f"redis://{MASK}@127.0.0.1:6379/0"),
        ("postgresql://user:p%40ss@host/db", f"postgresql://{MASK}@host/db"),
        ("nothing to hide at https://example.com/a:b@c", "nothing to hide at https://example.com/a:b@c"),
    ],
)
def test_telling_texts_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Authorization",
        "client_secret",
        "access_token",
        "sso_salt",
        "oauth_grant",
        "cookie",
        "api_key",
    ],
)
def test_values_under_telling_names_are_masked_at_any_depth(name: str) -> None:
    shown = mask_value({"a": [{"b": {name: "hidden-value"}}], "plan": "starter"})
    assert "hidden-value" not in str(shown)
    assert shown["plan"] == "starter"


def test_what_is_nested_under_a_telling_name_is_masked_too() -> None:
    assert "hidden" not in str(mask_value({"oauth_grant": {"code": "hidden", "x": ["hidden-too"]}}))
    assert "hidden" not in str(mask_value({"secrets": ["hidden"]}))
