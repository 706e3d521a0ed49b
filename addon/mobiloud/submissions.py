"""The app submission form: answers saved field by field, and the submission that freezes them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from addon.mobiloud import letters, revisions
from addon.mobiloud.capabilities import Capability, can, require
from addon.mobiloud.models import Answer, Signature, Site, Submission, SubmissionNote, SubmissionState
from addon.mobiloud.submission_fields import (
    BY_SLUG,
    FIELDS,
    SECTIONS,
    Field,
    Section,
    agreement_digest,
    clean,
    problem,
)
from addon.mobiloud.uploads import KINDS
from provisioning import audit
from provisioning.services import Refusal

CALL_SOONEST, CALL_LATEST = timedelta(hours=1), timedelta(days=60)
_CHANGES_MOST = 100
_UNANSWERED_MOST = 8


@dataclass(frozen=True)
class Missing:
    """What keeps a form from being submitted: where, and in a sentence."""

    section: Section
    label: str
    message: str
    name: str = ""


@dataclass
class Saved:
    """What became of each changed field: its new version, the other value that was there, or what is wrong with it."""

    versions: dict[str, int] = field(default_factory=dict)
    conflicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def submission_of(site: Site) -> Submission | None:
    """The site's submission, None before one was started."""
    return Submission.objects.select_related("site__resource", "revision").filter(site=site).first()


@transaction.atomic
def start(site_id: int, *, actor: str) -> Submission:
    """The site's submission, made with what is known already when there is none. Needs a plan that may submit."""
    site = revisions.lock(site_id)
    require(site.resource, Capability.SUBMIT)
    existing = submission_of(site)
    if existing is not None:
        return existing
    submission = Submission.objects.create(site=site)
    known = {"website_url": site.website, "app_name": site.found.get("name", "")[:30]}
    if "@" in actor:
        known["contact_email"] = actor
    now = timezone.now()
    for name, value in known.items():
        if value:
            Answer.objects.create(submission=submission, name=name, value=value, saved_by=actor, saved_at=now)
    audit.record("mobiloud.submission_started", resource=site.resource, actor=actor)
    return submission


@transaction.atomic
def save_answers(site_id: int, changes: Mapping[str, Any], *, actor: str) -> Saved:
    """Save fields, each `{"value": text, "base": version}` over the version that the page had (0: none yet).

    Fields are apart from each other: one that somebody else has changed to something else is a conflict and stays as it
    is, and the others are saved. Sending again what is there already changes nothing. `"unanswered"` may hold what the
    page has sent before without an answer: if that is what is there, nobody else has changed the field.
    """
    submission = editable(site_id)
    if len(changes) > _CHANGES_MOST:
        raise Refusal("Too many changes at once. Reload the page.", code="form")
    present = {answer.name: answer for answer in Answer.objects.filter(submission=submission)}
    saved, now = Saved(), timezone.now()
    for name, change in changes.items():
        known = FIELDS.get(name)
        if known is None or not isinstance(change, dict) or not isinstance(change.get("value"), str):
            raise Refusal("Reload the page and try again.", code="form")
        try:
            value = clean(known, change["value"])
        except Refusal as refusal:
            saved.problems[name] = refusal.message
            continue
        answer = present.get(name) or Answer(submission=submission, name=name, version=0)
        former = (answer.get_sealed("secret") or "") if known.kind == "secret" else answer.value
        if former == value:
            saved.versions[name] = answer.version
            continue
        if change.get("base") != answer.version and former not in _unanswered(known, change):
            saved.conflicts[name] = _theirs(known, answer)
            continue
        if known.kind == "secret":
            answer.set_sealed(secret=value or None)
        else:
            answer.value = value
        answer.version += 1
        answer.saved_by, answer.saved_at = actor, now
        answer.save()
        saved.versions[name] = answer.version
    Submission.objects.filter(pk=submission.pk).update(changed_at=now)
    return saved


def missing(submission: Submission) -> list[Missing]:
    """Everything that keeps the form from being submitted, in the form's order."""
    answers = {
        answer.name: answer.value or ("x" if answer.secret else "") for answer in submission.answers.all()
    }
    uploaded = set(submission.uploads.values_list("kind", flat=True))
    found: list[Missing] = []
    for section in SECTIONS:
        for each in section.fields:
            value = answers.get(each.name, "")
            if not value and each.is_needed(answers):
                found.append(Missing(section, each.label, "is missing", each.name))
            elif each.kind != "secret" and (wrong := problem(each, value)):
                found.append(Missing(section, each.label, wrong, each.name))
        found += [
            Missing(section, KINDS[kind].label, "is missing", kind)
            for kind in section.uploads
            if KINDS[kind].needed and kind not in uploaded
        ]
        if section.signed and (wrong := _signature_problem(submission, answers)):
            found.append(Missing(section, "Signature", wrong, "signature"))
    return found


def _signature_problem(submission: Submission, answers: Mapping[str, str]) -> str:
    signature = Signature.objects.filter(submission=submission).first()
    if signature is None:
        return "is missing"
    if signature.digest != agreement_digest():
        return "is of an older agreement: read the new one and sign again"
    if signature.name != answers.get("legal_name", ""):
        return "is of another name than the one above: sign again"
    return ""


@transaction.atomic
def submit(site_id: int, *, actor: str) -> Submission:
    """Lock the form and hand it over, with the newest revision and the present plan. Repeating it changes nothing.

    Refusal names what is missing. The revision is published when none was, so that the first build loads it.
    """
    site = revisions.lock(site_id)
    submission = submission_of(site)
    if submission is None:
        raise Refusal("Start the submission first.", code="form")
    if not submission.is_editable:
        return submission
    require(site.resource, Capability.SUBMIT)
    if lacking := missing(submission):
        shown = "; ".join(f"{each.section.title}: {each.label} {each.message}" for each in lacking[:8])
        raise Refusal(f"{len(lacking)} things are missing. {shown}.", code="submission_incomplete")
    revision = revisions.newest(site)
    submission.state, submission.revision = SubmissionState.SUBMITTED, revision
    submission.plan = site.resource.plan.slug if site.resource.plan else ""
    submission.submitted_at = submission.changed_at = timezone.now()
    submission.submitted_by = actor
    submission.save()
    if site.published_id is None:
        revisions.publish(site.pk, revision.number, actor=actor)
    note = SubmissionNote.objects.create(
        submission=submission, state=submission.state, text="", told=True, author=actor
    )
    audit.record(
        "mobiloud.submitted",
        resource=site.resource,
        actor=actor,
        revision=revision.number,
        plan=submission.plan,
    )
    letters.tell(submission, note)
    return submission


@transaction.atomic
def schedule_call(site_id: int, at: datetime | None, note: str, *, actor: str) -> Submission:
    """Note when the customer wants to be called, or that they do not. `at` is in UTC."""
    site = revisions.lock(site_id)
    submission = submission_of(site)
    if submission is None or submission.submitted_at is None:
        raise Refusal("A call can be scheduled once the form is submitted.", code="form")
    now = timezone.now()
    if at is not None and not now + CALL_SOONEST <= at <= now + CALL_LATEST:
        raise Refusal("Choose a time from one hour to sixty days from now.", code="form")
    submission.call_at, submission.call_note = at, " ".join(note.split())[:300]
    submission.save(update_fields=["call_at", "call_note"])
    audit.record(
        "mobiloud.call_scheduled", resource=site.resource, actor=actor, at=at.isoformat() if at else None
    )
    if at is not None:
        letters.confirm_call(submission, at=at)
    return submission


def progress(submission: Submission) -> list[dict[str, Any]]:
    """Each section with how many things it lacks, for the page and its script."""
    lacking = missing(submission)
    return [
        {
            "slug": section.slug,
            "title": section.title,
            "missing": [
                {"name": each.name, "label": each.label, "message": each.message}
                for each in lacking
                if each.section is section
            ],
        }
        for section in SECTIONS
    ]


def may_edit(site: Site, submission: Submission) -> bool:
    """Whether the form can be changed now: not handed over, and on a plan that may submit."""
    return submission.is_editable and can(site.resource, Capability.SUBMIT)


def section_named(slug: str) -> Section:
    """A section of the form; Refusal for a name that none has."""
    if slug not in BY_SLUG:
        raise Refusal("There is no such section.", code="section_unknown")
    return BY_SLUG[slug]


def editable(site_id: int) -> Submission:
    """The submission, its site locked, to be changed in the caller's transaction; Refusal when it cannot be."""
    site = revisions.lock(site_id)
    require(site.resource, Capability.SUBMIT)
    submission = submission_of(site)
    if submission is None:
        raise Refusal("Start the submission first.", code="form")
    if not submission.is_editable:
        raise Refusal(
            "The form was submitted and cannot be changed. Write to support@mobiloud.com for corrections.",
            code="submission_locked",
        )
    return submission


def _unanswered(known: Field, change: Mapping[str, Any]) -> list[str]:
    """The values that a page sent and does not know the fate of, as they would have been stored."""
    sent = change.get("unanswered")
    found = []
    for value in sent[:_UNANSWERED_MOST] if isinstance(sent, list) else []:
        if isinstance(value, str):
            with suppress(Refusal):
                found.append(clean(known, value))
    return found


def _theirs(known: Field, answer: Answer) -> dict[str, Any]:
    secret = known.kind == "secret"
    return {
        "version": answer.version,
        "value": "" if secret else answer.value,
        "author": answer.saved_by,
        "at": answer.saved_at.isoformat() if answer.version else "",
    }
