"""Webhooks of a resource: who may subscribe, what is told, signed, ordered and repeated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from sandbox.webhooks import signature
from tests.sandbox.fake_provider import Received
from tests.sandbox.support import Client, Service, eventually

EVERYTHING = ["api:addon", "api:addon-attachment", "api:app", "api:collaborator"]


def subscribe(service: Service, partner: Client, addon: dict[str, Any], **changes: Any) -> Any:
    """Create a subscription at the provider's hook address."""
    url = service.provider.url(service.slug, "/hooks")
    body = {"url": url, "level": "sync", "include": EVERYTHING, "secret": "hook-secret-01", **changes}
    return partner.call("POST", f"/addons/{addon['id']}/webhooks", body)


def hooks(service: Service) -> list[Received]:
    """The deliveries the provider got."""
    return [call for call in list(service.provider.received) if call.path == f"/{service.slug}/hooks"]


def told(service: Service) -> list[tuple[str, str]]:
    """What they were about."""
    return [(json.loads(call.body)["resource"], json.loads(call.body)["action"]) for call in hooks(service)]


def test_signatures_match_the_published_example() -> None:
    raw = b'{"action":"update","resource":"addon"}'
    assert signature(raw, "hook-secret-01") == "QmtVAN9q+476BjUK8DCBDbT69Z2DFZ3w5SZrrtd3ogY="


def test_changes_are_told_in_order_and_signed(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    answer = subscribe(service, service.partner(), addon, authorization="Bearer inbound")
    assert answer.status_code == 201
    assert "Heroku-Webhook-Secret" not in answer.headers
    assert "hook-secret-01" not in answer.text
    path = f"/apps/{app}/addons/{addon['id']}"
    service.customer.ok("PATCH", path, {"plan": f"{service.slug}:basic"})
    service.customer.ok("PATCH", f"/apps/{app}", {"name": f"{app}-x"})
    service.customer.ok("POST", f"/apps/{app}-x/collaborators", {"user": "hook@example.com"})
    service.customer.ok("POST", "/addon-attachments", {"addon": addon["name"], "app": f"{app}-x"})
    service.customer.ok("DELETE", f"/apps/{app}-x/addons/{addon['id']}")
    eventually(lambda: len(hooks(service)) == 5)
    assert told(service) == [
        ("addon", "update"),
        ("app", "update"),
        ("collaborator", "create"),
        ("addon-attachment", "create"),
        ("addon", "destroy"),
    ]
    for call in hooks(service):
        digest = hmac.new(b"hook-secret-01", call.body, hashlib.sha256).digest()
        assert call.headers["heroku-webhook-hmac-sha256"] == base64.b64encode(digest).decode()
        assert call.headers["authorization"] == "Bearer inbound"
    first = json.loads(hooks(service)[0].body)
    assert first["data"]["plan"]["name"] == f"{service.slug}:basic"
    assert first["webhook_metadata"]["event"]["include"] == "api:addon"
    assert first["actor"]["email"] == "developer@example.com"


@pytest.mark.parametrize(("level", "attempts"), [("sync", 3), ("notify", 1)])
def test_failed_deliveries_are_repeated_with_the_same_event(
    service: Service, level: str, attempts: int
) -> None:
    app = service.app()
    addon = service.created(app)
    subscribe(service, service.partner(), addon, level=level)
    service.conduct.script["HOOK"] = [500, 503]
    service.customer.ok("PATCH", f"/apps/{app}", {"name": f"{app}-x"})
    eventually(lambda: len(hooks(service)) == attempts, seconds=12)
    time.sleep(0.6)
    assert len(hooks(service)) == attempts
    assert len({json.loads(call.body)["webhook_metadata"]["event"]["id"] for call in hooks(service)}) == 1
    assert (
        len({json.loads(call.body)["webhook_metadata"]["attempt"]["id"] for call in hooks(service)})
        == attempts
    )


def test_a_secret_made_by_heroku_is_shown_once(service: Service) -> None:
    addon = service.created()
    partner = service.partner()
    made = subscribe(service, partner, addon, secret=None)
    secret = made.headers["Heroku-Webhook-Secret"]
    assert len(secret) >= 32
    path = f"/addons/{addon['id']}/webhooks"
    assert secret not in partner.call("GET", path).text
    assert partner.ok("GET", f"{path}/{made.json()['id']}") == made.json()
    assert partner.ok("PATCH", f"{path}/{made.json()['id']}", {"include": ["api:app"]})["include"] == [
        "api:app"
    ]
    partner.ok("DELETE", f"{path}/{made.json()['id']}")
    assert partner.ok("GET", path) == []
    assert partner.call("GET", f"{path}/{made.json()['id']}").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://x"},
        {"url": None},
        {"level": "often"},
        {"include": []},
        {"include": ["api:dyno"]},
        {"secret": 3},
    ],
)
def test_malformed_subscriptions_are_refused(service: Service, change: dict[str, Any]) -> None:
    addon = service.created()
    assert subscribe(service, service.partner(), addon, **change).status_code == 422


def test_only_the_partner_may_subscribe_and_only_what_was_asked_for_is_told(service: Service) -> None:
    app = service.app()
    addon = service.created(app)
    assert subscribe(service, service.customer, addon).status_code == 403
    subscribe(service, service.partner(), addon, include=["api:addon"])
    service.customer.ok("PATCH", f"/apps/{app}", {"name": f"{app}-x"})
    service.customer.ok("PATCH", f"/apps/{app}-x/addons/{addon['id']}", {"name": f"{service.slug}-renamed"})
    eventually(lambda: hooks(service))
    assert told(service) == [("addon", "update")]
