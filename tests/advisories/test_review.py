"""Writing and reviewing: nothing leaves without a second operator, and nothing changes after that."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError

from advisories import delivery, drafting
from advisories.models import Advisory, AdvisoryState, Purpose, Version, VersionState
from advisories.severity import rate
from operators.models import Event
from provisioning.services import Refusal
from tests.advisories.conftest import SAID

pytestmark = pytest.mark.django_db


def draft(olga: User) -> Version:
    about = {"kind": "exposure", "scope": {"services": ["inference"]}}
    return drafting.create_advisory(author=olga, said=SAID, about=about).versions.get()


def test_numbers_are_a_series_and_the_vector_gives_score_and_severity(olga: User) -> None:
    first, second = draft(olga), draft(olga)
    assert [int(one.advisory.number[-4:]) for one in (first, second)] == [1, 2]
    assert (first.cvss_score, first.severity) == (Decimal("7.5"), "high")


@pytest.mark.parametrize(
    ("vector", "score", "severity"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "10.0", "critical"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "9.3", "critical"),
        ("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", "0.0", "none"),
    ],
)
def test_scores_are_those_of_first_s_calculators(vector: str, score: str, severity: str) -> None:
    assert (str(rate(vector).score), rate(vector).severity) == (score, severity)


@pytest.mark.parametrize("vector", ["AV:N", "CVSS:3.0/AV:N", "CVSS:3.1/AV:X", "CVSS:4.0/nonsense"])
def test_what_is_no_vector_is_refused(vector: str, olga: User) -> None:
    with pytest.raises(Refusal):
        drafting.create_advisory(author=olga, said={**SAID, "cvss_vector": vector}, about={})
    assert not Advisory.objects.exists()


def test_a_version_is_sent_only_after_another_operator_approved_it(olga: User, rita: User) -> None:
    version = draft(olga)
    with pytest.raises(Refusal, match="second operator has to approve"):
        delivery.send(version.pk, operator=olga)
    drafting.submit(version.pk, author=olga)
    with pytest.raises(Refusal, match="You wrote this version"):
        drafting.review(version.pk, reviewer=olga, approved=True)
    drafting.review(version.pk, reviewer=rita, approved=True)
    assert Advisory.objects.get().state == AdvisoryState.REVIEWED
    events = list(Event.objects.order_by("pk").values_list("action", "name"))
    assert ("advisory.submitted", "olga") in events
    assert events[-1] == ("advisory.approved", "rita")


def test_the_database_itself_refuses_an_author_s_own_approval(olga: User) -> None:
    version = draft(olga)
    with pytest.raises(IntegrityError, match="second_operator"):
        Version.objects.filter(pk=version.pk).update(state=VersionState.APPROVED, reviewer=olga)


def test_an_edit_voids_the_approval_and_makes_its_editor_the_author(olga: User, rita: User) -> None:
    version = draft(olga)
    drafting.submit(version.pk, author=olga)
    drafting.review(version.pk, reviewer=rita, approved=True)
    drafting.edit(version.pk, author=rita, said={**SAID, "title": "Another"}, about={})
    version.refresh_from_db()
    assert (version.state, version.reviewer, version.author) == (VersionState.DRAFT, None, rita)
    drafting.submit(version.pk, author=rita)
    with pytest.raises(Refusal, match="You wrote"):
        drafting.review(version.pk, reviewer=rita, approved=True)


def test_a_version_given_back_says_why(olga: User, rita: User) -> None:
    version = draft(olga)
    drafting.submit(version.pk, author=olga)
    with pytest.raises(Refusal, match="what has to change"):
        drafting.review(version.pk, reviewer=rita, approved=False)
    drafting.review(version.pk, reviewer=rita, approved=False, note="Name the plans.")
    version.refresh_from_db()
    assert (version.state, version.review_note) == (VersionState.DRAFT, "Name the plans.")


def test_an_incomplete_draft_cannot_be_submitted(olga: User) -> None:
    said = {**SAID, "steps": [], "how_to_check": ""}
    version = drafting.create_advisory(author=olga, said=said, about={}).versions.get()
    with pytest.raises(
        Refusal, match="how to check whether you are affected, what to do now, who is affected"
    ):
        drafting.submit(version.pk, author=olga)


def test_what_was_sent_is_never_edited_and_followed_by_versions_with_notes(
    sent: Callable[..., Advisory], olga: User, rita: User
) -> None:
    advisory = sent()
    first = advisory.versions.get()
    with pytest.raises(Refusal, match="was sent"):
        drafting.edit(first.pk, author=olga, said={"title": "Another"}, about={})
    update = drafting.begin_version(advisory.pk, purpose=Purpose.UPDATE, author=olga)
    assert drafting.begin_version(advisory.pk, purpose=Purpose.UPDATE, author=rita).pk == update.pk
    with pytest.raises(Refusal, match="what is new"):
        drafting.submit(update.pk, author=olga)
    drafting.edit(update.pk, author=olga, said={"change_note": "Also keys of October."}, about={})
    drafting.submit(update.pk, author=olga)
    drafting.review(update.pk, reviewer=rita, approved=True)
    delivery.send(update.pk, operator=olga)
    delivery.carry_on(advisory.pk)
    advisory.refresh_from_db()
    assert advisory.state == AdvisoryState.UPDATED
    assert [one.title for one in advisory.versions.all()] == [SAID["title"]] * 2
