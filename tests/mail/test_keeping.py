"""What operators and Prometheus see of the outbox, and what is deleted when."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mail import retention
from mail.metrics import MailCollector
from mail.models import Contact, Mail, MailEvent, MailState
from operators.roles import Role
from provisioning.models import Resource
from tests.mail.test_sending import write
from tests.support.operators import operator_client

pytestmark = pytest.mark.django_db

LIST = "/admin/mail/mail/"


def aged(name: str, *, days: float, state: MailState = MailState.DELIVERED) -> Mail:
    """A mail that was posted so long ago."""
    mail, at = write(name), timezone.now() - timedelta(days=days)
    Mail.objects.filter(pk=mail.pk).update(created_at=at, state=state, settled_at=at)
    return mail


def told(name: str) -> dict[tuple[str, ...], float]:
    """One metric's values by its labels' values."""
    families: Iterable[Any] = MailCollector().collect()
    [family] = [one for one in families if one.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_prometheus_is_told_what_waits_how_long_and_what_became_of_the_last_day_s_mails() -> None:
    assert told("addonworks_mail_oldest_waiting_seconds") == {(): 0.0}
    aged("late", days=0.5, state=MailState.QUEUED)
    aged("lost", days=0.1, state=MailState.SENDING)
    aged("back", days=0.1, state=MailState.BOUNCED)
    aged("before", days=1.5, state=MailState.FAILED)
    assert told("addonworks_mail_waiting") == {("queued",): 1, ("sending",): 1}
    assert 43_000 < told("addonworks_mail_oldest_waiting_seconds")[()] < 44_000
    assert told("addonworks_mails_of_the_last_day") == {
        ("notice", "queued"): 1,
        ("notice", "sending"): 1,
        ("notice", "bounced"): 1,
    }


def test_words_go_first_rows_later_and_what_waits_stays(settings: Any) -> None:
    settings.MAIL_TEXT_DAYS, settings.MAIL_RETENTION_DAYS = 90, 400
    fresh, wordless, old = aged("fresh", days=89), aged("wordless", days=91), aged("old", days=401)
    waiting = aged("waiting", days=401, state=MailState.QUEUED)
    MailEvent.objects.create(event_id="1", mail=old, kind="delivered", at=timezone.now())
    assert retention.purge() == {"texts": 2, "mails": 1, "contacts": 0}
    rows = dict(Mail.objects.values_list("pk", "text"))
    assert rows.keys() == {fresh.pk, wordless.pk, waiting.pk}
    assert (rows[wordless.pk], bool(rows[fresh.pk]), bool(rows[waiting.pk])) == ("", True, True)
    assert not MailEvent.objects.exists()
    assert retention.purge() == {"texts": 0, "mails": 0, "contacts": 0}


def test_contacts_go_long_after_they_left_or_their_resource_was_removed(
    ready: Callable[..., Resource], settings: Any
) -> None:
    settings.MAIL_RETENTION_DAYS = 400
    here, gone = ready("inference"), ready("inference")
    long_ago = timezone.now() - timedelta(days=401)
    Contact.objects.create(resource=here, email="here@example.com", source="owner")
    Contact.objects.create(resource=here, email="left@example.com", source="owner", left_at=long_ago)
    Contact.objects.create(resource=gone, email="gone@example.com", source="owner")
    Resource.objects.filter(pk=gone.pk).update(deprovisioned_at=long_ago)
    assert retention.purge()["contacts"] == 2
    assert [contact.email for contact in Contact.objects.all()] == ["here@example.com"]


def test_support_finds_mails_by_address_app_key_message_id_and_state(ready: Callable[..., Resource]) -> None:
    resource = ready("inference")
    Resource.objects.filter(pk=resource.pk).update(app_name="shop")
    Contact.objects.create(resource=resource, email="Bob@Example.com", source="owner")
    ada, bob = write("ada", subject="For Ada"), write("bob", subject="For Bob")
    aged("carl", days=1, state=MailState.BOUNCED)
    support = operator_client(Role.SUPPORT)

    def found(query: str) -> set[str]:
        page = support.get(f"{LIST}?{query}").content.decode()
        return {name for name in ("ada", "bob", "carl") if f"{name}@example.com" in page.lower()}

    assert found("") == {"ada", "bob", "carl"}
    assert found("q=ADA@example.com") == {"ada"}
    assert found("q=shop") == {"bob"}
    assert found("q=test:carl") == {"carl"}
    assert found(f"q={ada.message_id.strip('<>')}") == {"ada"}
    assert found("state__exact=bounced") == {"carl"}
    page = support.get(f"{LIST}{bob.pk}/change/").content.decode()
    assert "Ümläut" in page
    assert support.post(f"{LIST}{bob.pk}/change/", {"subject": "x"}).status_code == 403
    assert support.post(f"{LIST}{bob.pk}/delete/").status_code == 403


def test_the_list_of_mails_costs_few_queries_and_is_not_for_every_role() -> None:
    for number in range(30):
        write(f"user{number}")
    support = operator_client(Role.SUPPORT)
    support.get(LIST)
    with CaptureQueriesContext(connection) as queries:
        assert support.get(LIST).status_code == 200
    assert len(queries) < 15
    finance = operator_client(Role.FINANCE, username="flora")
    assert finance.get(LIST).status_code in (302, 403)
    assert b"user1@" not in finance.get(LIST, follow=True).content
