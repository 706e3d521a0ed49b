"""An operator looks at a customer's dashboard: with a reason, told in both audits, and unable to change anything."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from operators.models import Event
from operators.roles import Role
from provisioning.models import AuditEvent, Operation, Resource
from sso.models import DashboardSession
from tests.support.operators import operator_client


def looking(resource: Resource, *roles: Role) -> Client:
    """A browser in which an operator has opened the dashboard."""
    client = operator_client(*(roles or (Role.SUPPORT,)))
    client.post(f"/admin/resources/{resource.uuid}/dashboard/", {"reason": "ticket 4711"})
    return client


def test_an_operator_sees_the_dashboard_and_both_audits_tell(resource: Resource) -> None:
    client = looking(resource)
    page = client.get(f"/inference/{resource.uuid}/")
    assert page.status_code == 200
    assert "as operator olga" in page.content.decode()
    assert Event.objects.get(action="dashboard.opened").reason == "ticket 4711"
    assert AuditEvent.objects.filter(
        event="dashboard.opened", actor="operator olga", resource=resource
    ).exists()
    session = DashboardSession.objects.get(resource=resource)
    assert (session.expires_at - session.created_at).total_seconds() <= 3_600


def test_no_reason_or_the_wrong_role_opens_nothing(resource: Resource) -> None:
    client = operator_client(Role.SUPPORT)
    client.post(f"/admin/resources/{resource.uuid}/dashboard/", {"reason": " "})
    finance = operator_client(Role.FINANCE, username="fay")
    assert finance.post(f"/admin/resources/{resource.uuid}/dashboard/", {"reason": "x"}).status_code == 403
    assert not DashboardSession.objects.exists()


def addresses(resource: Resource) -> list[str]:
    """Every address that takes a resource's uuid and nothing else, under which dashboards live."""
    found: list[str] = []

    def walk(patterns: list[URLPattern | URLResolver], beginning: str) -> None:
        for each in patterns:
            text = beginning + str(each.pattern)
            if isinstance(each, URLResolver):
                if not text.startswith("admin"):
                    walk(each.url_patterns, text)
            elif (
                "<uuid:uuid>" in text
                and text.count("<") == 1
                and not text.startswith(("admin", "heroku", "sso/"))
            ):
                found.append("/" + text.replace("<uuid:uuid>", str(resource.uuid)))

    walk(get_resolver().url_patterns, "")
    return found


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_every_write_of_a_read_only_session_is_refused(resource: Resource, method: str) -> None:
    client = looking(resource)
    asked = addresses(resource)
    assert f"/dashboard/{resource.uuid}/rotate" in asked
    assert f"/dashboard/{resource.uuid}/reveal" in asked
    for address in asked:
        answer = getattr(client, method)(address, {}, content_type="application/json")
        assert answer.status_code in (403, 404, 405), (address, answer.status_code)
    assert not Operation.objects.filter(resource=resource, kind="rotation").exists()
    assert not AuditEvent.objects.filter(event="config_vars.revealed").exists()


def test_a_read_only_session_ends_with_its_log_out(resource: Resource, opened: Callable[..., Client]) -> None:
    client = looking(resource)
    client.post(f"/sso/logout/{resource.uuid}")
    assert client.get(f"/inference/{resource.uuid}/").status_code == 401
