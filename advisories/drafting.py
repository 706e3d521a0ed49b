"""Writing an advisory's versions, and the second operator's review without which none is sent."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from advisories.models import Advisory, AdvisoryState, Kind, Purpose, Version, VersionState
from advisories.scope import read_scope
from advisories.severity import rate
from operators import audit
from provisioning.services import Refusal

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_SAID = (
    "title",
    "summary",
    "cvss_vector",
    "timeline",
    "how_to_check",
    "steps",
    "what_we_did",
    "contact",
    "change_note",
)
STEPS_MOST = 20


def next_number(series: str, model: "type[Any]") -> str:
    """The next number of a series of this year, `series-2026-0001`; the caller's transaction holds the series."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"series {series}"])
    beginning = f"{series}-{timezone.now().year}-"
    last = model.objects.filter(number__startswith=beginning).order_by("-id").first()
    return f"{beginning}{int(last.number.rpartition('-')[2]) + 1 if last else 1:04d}"


@transaction.atomic
def create_advisory(*, author: "User", said: Mapping[str, Any], about: Mapping[str, Any]) -> Advisory:
    """A new draft. `said` fills its first version, `about` the advisory; Refusal and BadScope as in `edit`."""
    advisory = Advisory.objects.create(number=next_number("ADW", Advisory), created_by=author)
    version = Version(advisory=advisory, number=1, author=author, contact=settings.SECURITY_CONTACT)
    version.save()
    audit.record("advisory.created", operator=author, obj=advisory)
    return _edit(version, author=author, said=said, about=about).advisory


@transaction.atomic
def edit(version_id: int, *, author: "User", said: Mapping[str, Any], about: Mapping[str, Any]) -> Version:
    """Change a version that was not sent. Whoever edits is its author from then on, and an approval is void.

    `about`: kind, cves, scope, remedy_is_rotation; the scope only until the first sending. Refusal when the
    version was sent or what is said does not hold; BadScope.
    """
    version = _locked(version_id)
    if version.state not in (VersionState.DRAFT, VersionState.SUBMITTED, VersionState.APPROVED):
        raise Refusal("This version was sent. Write an update instead.", code="already_sent")
    return _edit(version, author=author, said=said, about=about)


def _edit(version: Version, *, author: "User", said: Mapping[str, Any], about: Mapping[str, Any]) -> Version:
    for name in _SAID:
        if name in said:
            setattr(version, name, said[name])
    version.title = version.title.strip()
    if not version.title or not version.summary.strip():
        raise Refusal("An advisory needs a title and a summary.", code="incomplete")
    if len(version.steps) > STEPS_MOST:
        raise Refusal(f"At most {STEPS_MOST} steps.", code="too_many_steps")
    if version.cvss_vector:
        try:
            rating = rate(version.cvss_vector)
        except ValueError as error:
            raise Refusal(str(error), code="bad_vector") from None
        version.cvss_vector, version.cvss_score = rating.vector, rating.score
        version.severity = rating.severity
    else:
        version.cvss_score = None
        if said.get("severity"):
            version.severity = said["severity"]
    version.author, version.state = author, VersionState.DRAFT
    version.reviewer = version.reviewed_at = version.submitted_at = None
    version.save()
    advisory = version.advisory
    if about:
        if "kind" in about:
            advisory.kind = Kind(about["kind"])
        advisory.cves = sorted(about.get("cves", advisory.cves))
        advisory.remedy_is_rotation = bool(about.get("remedy_is_rotation", advisory.remedy_is_rotation))
        if "scope" in about:
            advisory.scope = read_scope(about["scope"])
        advisory.save()
    if advisory.state == AdvisoryState.REVIEWED:
        advisory.state = AdvisoryState.DRAFT
        advisory.save(update_fields=["state"])
    audit.record("advisory.edited", operator=author, obj=advisory, after={"version": version.number})
    return version


@transaction.atomic
def begin_version(advisory_id: int, *, purpose: Purpose, author: "User") -> Version:
    """The next version of what was sent, as a draft that begins with the former one's words.

    A version that is being written is returned instead. Refusal while none was sent, or after the matter is closed.
    """
    advisory = Advisory.objects.select_for_update(of=("self",)).get(pk=advisory_id)
    former = advisory.versions.order_by("number").last()
    if former is None or advisory.state in (AdvisoryState.DRAFT, AdvisoryState.REVIEWED):
        raise Refusal("Send the first notice before anything else.", code="not_sent")
    if advisory.state in (AdvisoryState.RESOLVED, AdvisoryState.WITHDRAWN):
        raise Refusal("This advisory is closed.", code="closed")
    if former.state == VersionState.SENDING:
        raise Refusal("The version before is still being sent.", code="still_sending")
    if former.state != VersionState.PUBLISHED:
        return former
    values = {name: getattr(former, name) for name in _SAID if name != "change_note"}
    version = Version.objects.create(
        advisory=advisory,
        number=former.number + 1,
        purpose=purpose,
        author=author,
        cvss_score=former.cvss_score,
        severity=former.severity,
        **values,
    )
    audit.record(
        "advisory.version_begun",
        operator=author,
        obj=advisory,
        after={"version": version.number, "purpose": purpose},
    )
    return version


@transaction.atomic
def submit(version_id: int, *, author: "User") -> Version:
    """Ask for the review. Refusal unless it is a complete draft."""
    version = _locked(version_id)
    if version.state != VersionState.DRAFT:
        raise Refusal("Only a draft can be submitted for review.", code="no_draft")
    if missing := what_is_missing(version):
        raise Refusal(f"Not complete yet: {', '.join(missing)}.", code="incomplete")
    version.state, version.submitted_at = VersionState.SUBMITTED, timezone.now()
    version.save(update_fields=["state", "submitted_at"])
    audit.record(
        "advisory.submitted", operator=author, obj=version.advisory, after={"version": version.number}
    )
    return version


def what_is_missing(version: Version) -> list[str]:
    """What has to be filled in before a review makes sense."""
    missing = []
    notice = version.purpose in (Purpose.NOTICE, Purpose.UPDATE)
    if notice and not version.how_to_check.strip():
        missing.append("how to check whether you are affected")
    if notice and not version.steps:
        missing.append("what to do now")
    if version.number > 1 and not version.change_note.strip():
        missing.append("what is new in this version")
    if version.number == 1 and not version.advisory.scope:
        missing.append("who is affected")
    return missing


@transaction.atomic
def review(version_id: int, *, reviewer: "User", approved: bool, note: str = "") -> Version:
    """Approve a submitted version, or give it back with a note. Never by the one who wrote it last (Refusal)."""
    version = _locked(version_id)
    if version.state != VersionState.SUBMITTED:
        raise Refusal("This version does not wait for a review.", code="not_submitted")
    if version.author_id == reviewer.pk:
        raise Refusal("You wrote this version: a second operator has to review it.", code="own_version")
    if not approved and not note.strip():
        raise Refusal("Say what has to change.", code="note_needed")
    version.reviewer, version.reviewed_at, version.review_note = reviewer, timezone.now(), note.strip()
    version.state = VersionState.APPROVED if approved else VersionState.DRAFT
    version.save()
    advisory = version.advisory
    if approved and advisory.state == AdvisoryState.DRAFT:
        advisory.state = AdvisoryState.REVIEWED
        advisory.save(update_fields=["state"])
    audit.record(
        "advisory.approved" if approved else "advisory.given_back",
        operator=reviewer,
        obj=advisory,
        reason=note,
        after={"version": version.number},
    )
    return version


def deadline(text: str) -> str:
    """A step's deadline as it is kept: an ISO date, or nothing. Refusal for anything else."""
    try:
        return date.fromisoformat(text.strip()).isoformat() if text.strip() else ""
    except ValueError:
        raise Refusal(f"{text} is no date: write it as 2026-12-31.", code="bad_deadline") from None


def _locked(version_id: int) -> Version:
    """The version with its advisory, both locked, the advisory first."""
    advisory_id = Version.objects.values_list("advisory_id", flat=True).get(pk=version_id)
    Advisory.objects.select_for_update(of=("self",)).get(pk=advisory_id)
    return Version.objects.select_for_update(of=("self",)).select_related("advisory").get(pk=version_id)
