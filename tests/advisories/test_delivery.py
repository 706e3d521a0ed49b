"""Who gets which mail, once each; and what follows: latecomers, lost mails, reminders, all-clear, rotation."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from advisories import customer, delivery, drafting, following, rotation
from advisories.models import Advisory, AdvisoryState, Affected, Delivery, Purpose, Version
from advisories.progress import COLUMNS, evidence, progress_of
from mail import outbox, retention, sending, settling
from mail.models import Mail, MailState, Pace
from provisioning import audit
from provisioning.models import Resource
from provisioning.services import Refusal
from tests.advisories.conftest import owner
from tests.support.mailbox import Provider
from tests.support.partner import Partner, run_operations

pytestmark = pytest.mark.django_db


def recipients() -> list[str]:
    return sorted(Mail.objects.filter(kind="advisory").values_list("to", flat=True))


def test_each_person_gets_one_mail_that_lists_their_resources_and_how_to_go_on(
    resource: Resource, other: Resource, sent: Callable[..., Advisory], provider: Provider
) -> None:
    Resource.objects.filter(pk=resource.pk).update(name="inference-one", app_name="acme-shop")
    for one in (resource, other):
        owner(one)
    owner(other, "Owner@Example.com", source="security")
    owner(other, "bob@example.com")
    Partner("mobiloud").provisioned()
    advisory = sent()
    sending.deliver()
    assert dict(provider.counts()) == {"owner@example.com": 1, "bob@example.com": 1}
    [mail] = provider.mails("owner@example.com")
    for text in (mail.text("plain"), mail.text("html")):
        assert "inference-one" in text
        assert "acme-shop" in text
        assert str(other.name) in text
        assert "heroku addons:open inference" in text
        assert "2026-12-01" in text
        assert "cannot be unsubscribed" in text
        assert "sso/login" not in text
        for credential in resource.credentials.all():
            assert (credential.get_sealed("secret") or "") not in text
    assert mail.subject.startswith("[High] Security notice ADW-")
    assert advisory.affected.count() == 2


def test_sending_again_and_carrying_on_again_mails_nobody_twice(
    resource: Resource, approved: Callable[..., Version], olga: User, provider: Provider
) -> None:
    owner(resource)
    version = approved()
    for _ in range(3):
        delivery.send(version.pk, operator=olga)
        delivery.carry_on(version.advisory_id)
        following.follow(version.advisory_id)
        sending.deliver()
    assert provider.counts() == {"owner@example.com": 1}
    advisory = Advisory.objects.get()
    assert advisory.state == AdvisoryState.PUBLISHED
    assert Delivery.objects.count() == 1


def test_a_resource_that_comes_into_scope_later_is_added_marked_and_told(
    resource: Resource, sent: Callable[..., Advisory], provider: Provider
) -> None:
    owner(resource)
    advisory = sent()
    late = Partner("inference").provisioned()
    owner(late)
    owner(late, "new@example.com")
    following.follow(advisory.pk)
    sending.deliver()
    assert advisory.affected.get(resource=late).is_late
    assert provider.counts() == {"owner@example.com": 2, "new@example.com": 1}
    newest = provider.mails("owner@example.com")[0]
    assert str(late.name) in newest.text("plain")
    following.follow(advisory.pk)
    sending.deliver()
    assert len(provider.mails()) == 3


def test_somebody_named_later_is_told_too(resource: Resource, sent: Callable[..., Advisory]) -> None:
    owner(resource)
    advisory = sent()
    Affected.objects.update(people_read_at=timezone.now() - timedelta(minutes=1))
    owner(resource, "new@example.com", source="collaborator")
    following.follow(advisory.pk)
    following.follow(advisory.pk)
    assert recipients() == ["new@example.com", "owner@example.com"]


def test_a_mail_that_comes_back_goes_to_the_next_contact_and_at_the_end_the_operator_sees_it(
    resource: Resource, sent: Callable[..., Advisory], provider: Provider
) -> None:
    provider.misbehave(unknown_addresses=["owner@example.com", "former@example.com"])
    owner(resource)
    event = audit.event("dashboard.opened", resource=resource, actor="former@example.com")
    event.at = timezone.now() - timedelta(days=200)
    event.save()
    advisory = sent()
    sending.deliver()
    assert recipients() == ["owner@example.com"]
    following.follow(advisory.pk)
    sending.deliver()
    assert recipients() == ["former@example.com", "owner@example.com"]
    following.follow(advisory.pk)
    assert advisory.affected.get().is_unreached
    assert set(Mail.objects.values_list("state", flat=True)) == {MailState.BOUNCED}


def test_the_silent_are_reminded_after_a_day_three_and_seven_and_those_who_answered_are_not(
    resource: Resource, other: Resource, sent: Callable[..., Advisory], provider: Provider
) -> None:
    owner(resource)
    owner(other, "bob@example.com")
    advisory = sent()
    sending.deliver()
    customer.answer(other, number=advisory.number, actor="bob@example.com", mitigated=False)
    for hours, expected in ((23, 0), (25, 1), (73, 2), (169, 3), (400, 3)):
        Affected.objects.update(told_at=timezone.now() - timedelta(hours=hours))
        for _ in range(2):
            following.follow(advisory.pk)
        assert Delivery.objects.filter(occasion__startswith="reminder").count() == expected
    sending.deliver()
    assert provider.counts() == {"owner@example.com": 4, "bob@example.com": 1}
    assert provider.mails("owner@example.com")[0].subject.startswith("[High] Reminder")


def test_the_all_clear_goes_to_everybody_who_was_told_and_ends_it(
    resource: Resource, sent: Callable[..., Advisory], olga: User, rita: User, provider: Provider
) -> None:
    owner(resource)
    advisory = sent()
    sending.deliver()
    following.follow(advisory.pk)
    version = drafting.begin_version(advisory.pk, purpose=Purpose.ALL_CLEAR, author=olga)
    drafting.edit(version.pk, author=olga, said={"change_note": "All fixed."}, about={})
    drafting.submit(version.pk, author=olga)
    drafting.review(version.pk, reviewer=rita, approved=True)
    delivery.send(version.pk, operator=olga)
    delivery.carry_on(advisory.pk)
    sending.deliver()
    delivery.carry_on(advisory.pk)
    advisory.refresh_from_db()
    assert (advisory.state, customer.open_advisories(resource)) == (AdvisoryState.RESOLVED, [])
    assert provider.mails()[0].subject.startswith("All clear ADW-")
    assert provider.counts() == {"owner@example.com": 2}


def test_forced_rotation_reaches_every_affected_resource_once_and_mitigates_it(
    ready: Callable[..., Resource], sent: Callable[..., Advisory], olga: User, rita: User
) -> None:
    resources = [ready("inference"), ready("inference")]
    advisory = sent(about={"remedy_is_rotation": True})
    with pytest.raises(Refusal):
        rotation.force_rotation(advisory.pk, operator=olga, reason=" ")
    assert rotation.force_rotation(advisory.pk, operator=olga, reason="Keys leaked") == 2
    assert rotation.force_rotation(advisory.pk, operator=rita, reason="Again") == 0
    while rotation.carry_out(advisory.pk):
        pass
    for one in resources:
        assert one.operations.filter(kind="rotation").count() == 1
        run_operations(one)
        assert one.credentials.filter(state="active").count() == 1
        assert one.credentials.filter(state="retiring").count() == 1  # valid through the overlap
    following.follow(advisory.pk)
    assert advisory.affected.filter(mitigated_by="credentials were rotated").count() == 2


def test_a_resource_that_cannot_rotate_is_told_to_the_operator(
    plans: None, sent: Callable[..., Advisory], olga: User
) -> None:
    Partner("mobiloud").provisioned()
    advisory = sent(about={"scope": {"services": ["mobiloud"]}})
    rotation.force_rotation(advisory.pk, operator=olga, reason="Keys leaked")
    rotation.carry_out_all()
    assert "no credentials" in advisory.affected.get().rotation_problem


def test_the_evidence_tells_each_mail_and_resource_and_no_formula(
    resource: Resource, other: Resource, sent: Callable[..., Advisory], provider: Provider
) -> None:
    owner(resource)
    Resource.objects.filter(pk=resource.pk).update(app_name="=HYPERLINK(1)")
    advisory = sent()
    sending.deliver()
    settling.read_feed()
    customer.answer(resource, number=advisory.number, actor="ada@example.com", mitigated=True)
    lines = [line.strip().split(",") for line in evidence(advisory)]
    assert tuple(lines[0]) == COLUMNS
    told = dict(zip(COLUMNS, lines[1], strict=True))
    assert (told["recipient"], told["mitigated_by"]) == ("owner@example.com", "ada@example.com")
    assert told["app"] == "'=HYPERLINK(1)"
    assert lines[2][2] == "nobody to write to"
    numbers = progress_of(advisory, advisory.versions.get())
    assert (numbers.sent_share, numbers.affected, numbers.mitigated_share) == (100, 2, 50)


def test_a_test_mail_goes_to_the_operator_alone(
    resource: Resource, approved: Callable[..., Version], olga: User, provider: Provider
) -> None:
    owner(resource)
    version = approved()
    delivery.send_test(version.pk, operator=olga, to="olga@example.com")
    delivery.send_test(version.pk, operator=olga, to="olga@example.com")
    sending.deliver()
    assert provider.counts() == {"olga@example.com": 2}
    assert provider.mails()[0].subject.startswith("[Test]")
    assert not Delivery.objects.exists()
    assert Pace.objects.exists()


def test_a_dry_run_tells_how_many_would_be_mailed_and_writes_nothing(
    resource: Resource, other: Resource, ready: Callable[..., Resource], approved: Callable[..., Version]
) -> None:
    ready("inference")
    owner(resource)
    owner(other, "Owner@example.com")
    owner(other, "bob@example.com")
    Mail.objects.all().delete()
    bounced = outbox.post(key="former", to="BOB@example.com", subject="x", text="x")
    Mail.objects.filter(pk=bounced.pk).update(state=MailState.BOUNCED, settled_at=timezone.now())
    found = delivery.dry_run(approved().advisory)
    assert found == delivery.DryRun(resources=3, people=2, without_people=1, came_back=1)
    assert not Affected.objects.exists()
    assert Mail.objects.count() == 1


def test_the_rows_of_an_advisory_s_mails_are_kept_as_evidence_when_their_words_are_gone(
    resource: Resource, sent: Callable[..., Advisory], provider: Provider
) -> None:
    owner(resource)
    advisory = sent()
    sending.deliver()
    Mail.objects.update(created_at=timezone.now() - timedelta(days=5000))
    assert retention.purge() == {"texts": 1, "mails": 0, "contacts": 0}
    assert "owner@example.com" in "".join(evidence(advisory))


def test_mitigation_is_noted_once_and_by_whom(resource: Resource, sent: Callable[..., Advisory]) -> None:
    advisory = sent()
    assert customer.answer(resource, number=advisory.number, actor="ada@example.com", mitigated=False)
    assert not customer.answer(resource, number=advisory.number, actor="bob@example.com", mitigated=False)
    assert advisory.affected.get().acknowledged_by == "ada@example.com"
    with pytest.raises(Refusal):
        customer.answer(resource, number="ADW-1999-0001", actor="x", mitigated=True)


def test_people_of_thousands_of_resources_cost_few_statements(
    plans: None, sent: Callable[..., Advisory], django_assert_max_num_queries: Any
) -> None:
    resources = [Partner("inference").provisioned() for _ in range(12)]
    for number, one in enumerate(resources):
        owner(one, f"user{number}@example.com")
    with django_assert_max_num_queries(160):  # most of them the draft's and the review's
        sent()
    assert Mail.objects.filter(kind="advisory").count() == 12
