"""Heroku's side of the Partner API, for tests: a client per service, request bodies, and calls at the same instant."""

import base64
import json
import threading
import uuid as uuids
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from django.apps import apps
from django.db import connections
from django.test import Client
from django.test.client import ClientHandler
from django.utils import timezone

from provisioning import operations, sweep
from provisioning.models import HerokuCall, Operation, Resource
from provisioning.partner_secrets import partner_secrets
from provisioning.states import ACTIVE_OPERATION_STATES

VENDOR = "application/vnd.heroku-addons+json; version=3"
COLLECTION = "/heroku/resources"
T = TypeVar("T")


def basic(user: str, password: str) -> str:
    """An Authorization header of the Basic scheme."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@cache
def loaded_handler() -> ClientHandler:
    """The whole middleware chain, loaded once: WhiteNoise looks at every static file when it is."""
    handler = ClientHandler()
    handler.load_middleware()
    return handler


class Partner:
    """Calls the Partner API as Heroku does for one service. Keyword arguments change one thing about a call."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.authorization: str | None = basic(slug, partner_secrets(slug).passwords[0])

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        authorization: str | None = "its own",
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Send one request; bytes go as they are, any other `body` as JSON. Errors are answers, not raised."""
        sent = {"Accept": VENDOR, **(headers or {})}
        given = self.authorization if authorization == "its own" else authorization
        if given is not None:
            sent["Authorization"] = given
        raw = body if isinstance(body, bytes) else (b"" if body is None else json.dumps(body).encode())
        client = Client(raise_request_exception=False)
        client.handler = loaded_handler()
        return client.generic(method, path, raw, content_type=content_type, headers=sent)

    def post(self, body: Any, **changes: Any) -> Any:
        """Provision."""
        return self.call("POST", COLLECTION, body, **changes)

    def put(self, uuid: object, plan: Any, **changes: Any) -> Any:
        """Change the plan."""
        return self.call("PUT", f"{COLLECTION}/{uuid}", {"plan": plan}, **changes)

    def delete(self, uuid: object, **changes: Any) -> Any:
        """Deprovision."""
        return self.call("DELETE", f"{COLLECTION}/{uuid}", **changes)

    def provisioned(self, **fields: Any) -> Resource:
        """Provision a resource that has to be accepted, and return its row."""
        body = provision_body(self.slug, **fields)
        answer = self.post(body)
        assert answer.status_code in (200, 202), answer.content
        return Resource.objects.get(uuid=body["uuid"])


def provision_body(slug: str, **fields: Any) -> dict[str, Any]:
    """A v3 provision request for the service's default plan, with a uuid of its own; None leaves a field out."""
    from provisioning.services import all_services

    uuid = str(uuids.uuid4())
    default = next(plan.slug for plan in all_services()[slug].plans if plan.default)
    body: dict[str, Any] = {
        "uuid": uuid,
        "name": f"{slug}-cubic-10231",
        "plan": default,
        "region": "amazon-web-services::us-east-1",
        "callback_url": f"https://api.heroku.com/addons/{uuid}",
        "oauth_grant": {
            "code": str(uuids.uuid4()),
            "type": "authorization_code",
            "expires_at": "2099-01-01T00:05:00-0800",
        },
        "options": {},
        "log_input_url": f"https://token:t.{uuids.uuid4()}@1.us.logplex.io/logs",
    }
    body.update(fields)
    return {name: value for name, value in body.items() if value is not None}


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """Run every call in a thread of its own, all let go at one instant; their results in order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        gate.wait(timeout=20)
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=300) for future in [pool.submit(run, call) for call in calls]]


def row_counts() -> dict[str, int]:
    """How many rows each table of ours has, but for the note of calls to Heroku, which tells of reading too."""
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if not model._meta.label.startswith(("auth.", "contenttypes.", "admin.", "sessions."))
        and model is not HerokuCall
    }


def give_up_provision(resource: Resource) -> None:
    """Let the provision of `resource` be as old as our patience, and the sweeper come by."""
    resource.operations.filter(kind="provision").update(created_at=timezone.now() - sweep.GIVE_UP_AFTER)
    sweep.sweep()


def run_operations(resource: Resource, *, rounds: int = 30) -> None:
    """Play the worker until no operation of the resource is left, without waiting for the times between tries."""
    active = Operation.objects.filter(resource=resource, state__in=ACTIVE_OPERATION_STATES).order_by("pk")
    for _ in range(rounds):
        first = active.first()
        if first is None:
            return
        active.update(next_attempt_at=timezone.now())
        operations.run(first.pk)
    raise AssertionError(f"still active: {active.get().step}: {active.get().last_error}")
