"""Revealing and rotating: who may, what is kept of it, and what happens twice or too late."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from provisioning.models import AuditEvent, Credential, Operation, PlatformAccess, Resource
from provisioning.services import all_services
from sso import config_vars
from tests.support.partner import Partner, at_once, run_operations
from tests.support.sso import EMAIL, dashboard_path

pytestmark = pytest.mark.django_db
Opened = Callable[..., Client]
Ready = Callable[..., Resource]


def reveal(browser: Client, resource: Resource, name: str = "INFERENCE_KEY") -> Any:
    return browser.post(f"/dashboard/{resource.uuid}/reveal", {"name": name})


def rotate(browser: Client, resource: Resource, **fields: str) -> Any:
    active = resource.credentials.filter(state="active").first()
    named = {"replaces": active.public_id if active else "", **fields}
    return browser.post(f"/dashboard/{resource.uuid}/rotate", named)


def rotations(resource: Resource) -> int:
    return Operation.objects.filter(resource=resource, kind="rotation").count()


def test_a_member_reveals_a_secret_and_the_audit_keeps_who(resource: Resource, opened: Opened) -> None:
    answer = reveal(opened(resource), resource)
    assert answer.status_code == 200
    key = all_services()["inference"].config_vars(resource)["INFERENCE_KEY"]
    assert answer.json() == {"name": "INFERENCE_KEY", "value": key}
    assert "no-store" in answer["Cache-Control"]
    event = AuditEvent.objects.get(event="config_vars.revealed")
    assert (event.actor, event.detail) == (EMAIL, {"names": ["INFERENCE_KEY"]})


@pytest.mark.parametrize("name", ["", "INFERENCE_URL", "SECRET_KEY", "inference_key"])
def test_only_the_services_own_secrets_can_be_revealed(resource: Resource, opened: Opened, name: str) -> None:
    answer = reveal(opened(resource), resource, name)
    assert answer.status_code == 404
    assert answer.json()["id"] == "config_var_unknown"
    assert not AuditEvent.objects.filter(event="config_vars.revealed").exists()


def test_a_viewer_can_neither_reveal_nor_rotate_and_is_told_why(
    resource: Resource, opened: Opened, viewer_form: dict[str, Any]
) -> None:
    browser = opened(resource, **viewer_form)
    for answer in (reveal(browser, resource), rotate(browser, resource)):
        assert answer.status_code == 403
        assert answer.json()["id"] == "identity_needed"
    page = browser.get(dashboard_path(resource)).content.decode()
    assert "Heroku did not say who you are" in page
    assert "data-reveal>" not in page
    assert "rotate-dialog" not in page
    assert rotations(resource) == 0


def test_every_action_needs_the_pages_csrf_token(resource: Resource, opened: Opened) -> None:
    browser = opened(resource, Client(enforce_csrf_checks=True))
    for path in ("reveal", "rotate"):
        answer = browser.post(f"/dashboard/{resource.uuid}/{path}", {"name": "INFERENCE_KEY"})
        assert answer.status_code == 403
        assert answer.json()["id"] == "page_expired"
    refused = browser.post(f"/sso/logout/{resource.uuid}")
    assert refused.status_code == 403
    assert "expired" in refused.content.decode()
    page = browser.get(dashboard_path(resource)).content.decode()
    token = page.split('name="csrf-token" content="')[1].split('"')[0]
    allowed = browser.post(
        f"/dashboard/{resource.uuid}/reveal", {"name": "INFERENCE_KEY"}, headers={"X-CSRFToken": token}
    )
    assert allowed.status_code == 200


def test_scripts_get_their_errors_as_json(resource: Resource) -> None:
    stranger = Client()
    assert reveal(stranger, resource).json()["id"] == "session_needed"
    assert stranger.get(f"/dashboard/{resource.uuid}/reveal").json()["id"] == "method_not_allowed"
    assert stranger.get(f"/dashboard/{resource.uuid}/rotate").status_code == 405
    assert stranger.get(f"/dashboard/{resource.uuid}/nothing").json()["id"] == "not_found"


def test_a_secret_cannot_be_revealed_with_another_resources_session(
    resource: Resource, other: Resource, opened: Opened
) -> None:
    assert reveal(opened(resource), other).status_code == 401


def test_revealing_after_a_deprovision_is_told_so(resource: Resource, opened: Opened) -> None:
    browser = opened(resource)
    Partner("inference").delete(resource.uuid)
    answer = reveal(browser, resource)
    assert (answer.status_code, answer.json()["id"]) == (410, "resource_ended")


def test_a_deprovision_between_look_and_reveal_is_told_so_too(
    resource: Resource, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sso import views

    real = config_vars.reveal_config_var

    def overtaken(resource_id: int, *, name: str, actor: str) -> str:
        Partner("inference").delete(resource.uuid)
        return real(resource_id, name=name, actor=actor)

    monkeypatch.setattr(views, "reveal_config_var", overtaken)
    answer = reveal(opened(resource), resource)
    assert (answer.status_code, answer.json()["id"]) == (410, "resource_ended")
    assert not AuditEvent.objects.filter(event="config_vars.revealed").exists()


def test_a_rotation_is_started_followed_and_ends_with_both_credentials_valid(
    ready: Ready, opened: Opened
) -> None:
    resource = ready("inference")
    browser = opened(resource)
    answer = rotate(browser, resource)
    assert answer.status_code == 202
    operation = answer.json()["operation"]
    assert (answer.json()["started"], operation["finished"]) == (True, False)
    running = browser.get(dashboard_path(resource)).content.decode()
    assert "Rotation under way" in running
    assert "rotate-dialog" not in running
    run_operations(resource)
    ended = browser.get(f"/dashboard/{resource.uuid}/operations/{operation['id']}").json()
    assert (ended["state"], {step["state"] for step in ended["steps"]}) == ("succeeded", {"done"})
    page = browser.get(dashboard_path(resource)).content.decode()
    for credential in Credential.objects.filter(resource=resource):
        assert credential.public_id in page
    assert "Retiring" in page
    # Django keeps a number and its unit together with a space that does not break.
    assert "ends <time" in page


def test_revoking_now_leaves_one_credential(ready: Ready, opened: Opened) -> None:
    resource = ready("inference")
    rotate(opened(resource), resource, revoke_now="yes")
    run_operations(resource)
    assert sorted(resource.credentials.values_list("state", flat=True)) == ["active", "revoked"]


def test_a_double_click_rotates_once(ready: Ready, opened: Opened) -> None:
    resource = ready("inference")
    browser = opened(resource)
    first, second = rotate(browser, resource), rotate(browser, resource)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["operation"]["id"] == second.json()["operation"]["id"]
    assert rotations(resource) == 1
    assert AuditEvent.objects.filter(event="rotation.requested").count() == 1


def test_a_second_click_that_comes_after_the_rotation_ended_rotates_nothing(
    ready: Ready, opened: Opened
) -> None:
    resource = ready("inference")
    browser = opened(resource)
    seen = resource.credentials.get().public_id
    first = rotate(browser, resource, replaces=seen)
    run_operations(resource)
    second = rotate(browser, resource, replaces=seen)
    assert second.status_code == 200
    assert second.json()["operation"]["id"] == first.json()["operation"]["id"]
    assert second.json()["operation"]["state"] == "succeeded"
    assert rotations(resource) == 1


def test_a_page_that_names_a_credential_which_never_was_is_outdated(ready: Ready, opened: Opened) -> None:
    resource = ready("inference")
    answer = rotate(opened(resource), resource, replaces="000000000000")
    assert (answer.status_code, answer.json()["id"]) == (409, "page_outdated")
    assert rotations(resource) == 0


@pytest.mark.django_db(transaction=True)
def test_clicks_at_the_same_instant_rotate_once(ready: Ready, opened: Opened) -> None:
    resource = ready("inference")
    browsers = [opened(resource) for _ in range(4)]
    answers = at_once([lambda browser=browser: rotate(browser, resource) for browser in browsers])  # type: ignore[misc]
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert rotations(resource) == 1


def test_a_service_without_credentials_says_why_there_is_nothing_to_rotate(
    ready: Ready, opened: Opened
) -> None:
    resource = ready("mobiloud")
    browser = opened(resource)
    assert "Nothing to rotate" in browser.get(dashboard_path(resource)).content.decode()
    answer = rotate(browser, resource)
    assert (answer.status_code, answer.json()["id"]) == (409, "nothing_to_rotate")


def test_a_rotation_that_heroku_cannot_be_told_of_is_refused_in_words(
    resource: Resource, opened: Opened
) -> None:
    PlatformAccess.objects.update(state="lost", grant_code=None)
    answer = rotate(opened(resource), resource)
    assert (answer.status_code, answer.json()["id"]) == (409, "no_access")
    assert "contact support" in answer.json()["message"]


@pytest.mark.parametrize(
    ("revoke_now", "words"), [("", "Nothing has changed"), ("yes", "former credentials may have ended")]
)
def test_a_failed_rotation_says_what_has_changed(
    ready: Ready, opened: Opened, revoke_now: str, words: str
) -> None:
    resource = ready("inference")
    browser = opened(resource)
    number = rotate(browser, resource, revoke_now=revoke_now).json()["operation"]["id"]
    Operation.objects.filter(pk=number).update(
        state="failed", finished_at=timezone.now() - timedelta(seconds=1), last_error="KeyError: internal"
    )
    told = browser.get(f"/dashboard/{resource.uuid}/operations/{number}").json()
    assert words in told["message"]
    assert "KeyError" not in str(told)
