"""Whom to write to: what Heroku says, who came through the door, and whom the customer named."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mail import contacts, contacts_reading
from mail.models import Contact, ContactReading, Mail
from provisioning import audit
from provisioning.models import Resource
from provisioning.services import Refusal
from tests.sso.conftest import moments, opened, other, viewer_form
from tests.support.heroku import FakeHeroku
from tests.support.sso import EMAIL

__all__ = ["moments", "opened", "other", "viewer_form"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def heroku_people(heroku: FakeHeroku, ready: Callable[..., Resource]) -> Callable[..., Resource]:
    """A resource whose app has these people at Heroku, until it is called again."""

    def make(resource: Resource | None = None, **people: Any) -> Resource:
        resource = resource or ready("inference")
        app = {"owner": {"email": people.get("owner", "owner@example.com")}, "team": people.get("team")}
        members = [
            {"role": role, "user": {"email": email}}
            for email, role in people.get("collaborators", {}).items()
        ]
        heroku.scripts.clear()
        heroku.answer_next("GET", "/apps/app-1", 200, app, times=0)
        heroku.answer_next("GET", "/apps/app-1/collaborators", 200, members, times=0)
        Resource.objects.filter(pk=resource.pk).update(app_id="app-1")
        return Resource.objects.get(pk=resource.pk)

    return make


def addresses(resource: Resource) -> list[str]:
    return [person.email for person in contacts.people(resource)]


def test_owner_and_collaborators_come_from_heroku_and_leave_with_it(
    heroku_people: Callable[..., Resource],
) -> None:
    resource = heroku_people(collaborators={"owner@example.com": "owner", "bob@example.com": "collaborator"})
    assert contacts_reading.read_contacts(resource)
    assert addresses(resource) == ["owner@example.com", "bob@example.com"]
    heroku_people(resource, collaborators={"eve@example.com": "collaborator"}, owner="new@example.com")
    assert contacts_reading.read_contacts(resource)
    assert addresses(resource) == ["new@example.com", "eve@example.com"]
    assert Contact.objects.filter(left_at=None).count() == 2


def test_a_new_add_on_s_app_is_found_and_its_name_kept_for_those_who_are_written_to(
    heroku_people: Callable[..., Resource], heroku: FakeHeroku
) -> None:
    resource = heroku_people()
    heroku.scripts.clear()
    heroku.answer_next("GET", "/apps/app-1", 200, {"id": "app-1", "name": "renamed-shop"})
    heroku.answer_next("GET", "/apps/app-1/collaborators", 200, [])
    addon = {"name": "inference-flat-1", "app": {"id": "app-1", "name": "shop"}}
    heroku.answer_next("GET", f"/addons/{resource.uuid}", 200, addon)
    Resource.objects.filter(pk=resource.pk).update(app_id="", app_name="", name="")
    assert contacts_reading.read_contacts(Resource.objects.get(pk=resource.pk))
    resource.refresh_from_db()
    assert (resource.name, resource.app_id, resource.app_name) == (
        "inference-flat-1",
        "app-1",
        "renamed-shop",
    )
    heroku.answer_next("GET", f"/addons/{resource.uuid}", 200, {"name": "inference-flat-1"})
    Resource.objects.filter(pk=resource.pk).update(app_id="")
    assert not contacts_reading.read_contacts(Resource.objects.get(pk=resource.pk))
    assert "which app" in ContactReading.objects.get(resource=resource).last_error


def test_the_made_up_owner_of_a_team_s_app_is_not_written_to(heroku_people: Callable[..., Resource]) -> None:
    resource = heroku_people(owner="acme@herokumanager.com", collaborators={"bob@example.com": "admin"})
    contacts_reading.read_contacts(resource)
    assert addresses(resource) == ["bob@example.com"]


def test_when_heroku_does_not_answer_the_people_stay_and_it_is_asked_again(
    heroku: FakeHeroku, heroku_people: Callable[..., Resource]
) -> None:
    resource = heroku_people()
    contacts_reading.read_contacts(resource)
    heroku.scripts.clear()
    heroku.answer_next("GET", "/apps/app-1", 503)
    assert not contacts_reading.read_contacts(resource)
    assert addresses(resource) == ["owner@example.com"]
    reading = ContactReading.objects.get()
    assert "503" in reading.last_error
    assert timezone.now() < reading.next_attempt_at <= timezone.now() + timedelta(minutes=5)


def test_each_resource_is_read_once_a_day_or_sooner_when_asked(
    heroku: FakeHeroku, heroku_people: Callable[..., Resource]
) -> None:
    resource = heroku_people()
    assert contacts_reading.read_due() == 1
    assert contacts_reading.read_due() == 0
    assert contacts_reading.ask_soon([resource.pk], older_than=timedelta(hours=1)) == 0
    assert contacts_reading.ask_soon([resource.pk], older_than=timedelta(0)) == 1
    assert contacts_reading.read_due() == 1
    assert ContactReading.objects.get().next_attempt_at > timezone.now() + timedelta(hours=23)


def test_people_are_listed_once_security_contacts_first_recent_users_last(resource: Resource) -> None:
    for email in ("Owner@example.com", "eve@example.com"):
        audit.record("dashboard.opened", resource=resource, actor=email)
    audit.record("dashboard.opened", resource=resource, actor="viewer")
    Contact.objects.create(resource=resource, email="owner@example.com", source="owner")
    contacts.add_security_contact(resource, email="security@example.com", actor=EMAIL)
    listed = contacts.people(resource)
    assert [(person.email, person.reasons) for person in listed] == [
        ("security@example.com", ("security",)),
        ("owner@example.com", ("owner", "sso")),
        ("eve@example.com", ("sso",)),
    ]
    assert contacts.people_of([resource.pk, 0])[0] == []
    assert len(contacts.people(resource, users_within=timedelta(0))) == 2


def test_a_customer_names_security_contacts_who_are_told(
    resource: Resource, opened: Callable[..., Client]
) -> None:
    browser = opened(resource)
    page = f"/contacts/{resource.uuid}/"
    assert b"None named" in browser.get(page).content
    for _ in range(2):
        answer = browser.post(f"/dashboard/{resource.uuid}/contacts", {"email": " Team@example.com "})
        assert answer.json()["url"] == page
    [row] = contacts.security_contacts(resource)
    assert (row.email, row.added_by) == ("Team@example.com", EMAIL)
    mail = Mail.objects.get(to="Team@example.com")
    assert EMAIL in mail.text
    assert "sso/login" not in mail.text
    assert "Team@example.com" in browser.get(page).content.decode()
    browser.post(f"/dashboard/{resource.uuid}/contacts/{row.pk}/remove")
    assert contacts.security_contacts(resource) == []
    browser.post(f"/dashboard/{resource.uuid}/contacts", {"email": "team@example.com"})
    assert Mail.objects.filter(to__iexact="team@example.com").count() == 2
    assert Contact.objects.count() == 1


@pytest.mark.parametrize("email", ["", "nobody", "a@herokumanager.com", "a@example.com\nBcc: b@example.com"])
def test_what_is_no_address_is_refused_with_a_reason(
    resource: Resource, opened: Callable[..., Client], email: str
) -> None:
    answer = opened(resource).post(f"/dashboard/{resource.uuid}/contacts", {"email": email})
    assert (answer.status_code, answer.json()["id"]) == (422, "not_an_address")
    assert not Contact.objects.exists()


def test_there_is_a_limit_to_security_contacts(resource: Resource) -> None:
    for number in range(contacts.SECURITY_CONTACTS_MOST):
        contacts.add_security_contact(resource, email=f"s{number}@example.com", actor=EMAIL)
    with pytest.raises(Refusal):
        contacts.add_security_contact(resource, email="more@example.com", actor=EMAIL)


def test_viewers_and_other_resources_people_change_nothing(
    resource: Resource, other: Resource, opened: Callable[..., Client], viewer_form: dict[str, None]
) -> None:
    row = contacts.add_security_contact(resource, email="s@example.com", actor=EMAIL)
    viewer = opened(resource, **viewer_form)
    assert viewer.get(f"/contacts/{resource.uuid}/").status_code == 200
    assert viewer.post(f"/dashboard/{resource.uuid}/contacts", {"email": "x@example.com"}).status_code == 403
    stranger = opened(other)
    assert stranger.get(f"/contacts/{resource.uuid}/").status_code == 401
    stranger.post(f"/dashboard/{other.uuid}/contacts/{row.pk}/remove")
    assert len(contacts.security_contacts(resource)) == 1
