"""The operators' side of a submission: its states, notes, and the package that goes to those who build."""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from typing import IO, Any

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from addon.mobiloud import letters
from addon.mobiloud.capabilities import capabilities_of
from addon.mobiloud.models import Signature, Submission, SubmissionNote, SubmissionState
from addon.mobiloud.signing import certificate
from addon.mobiloud.submission_fields import SECTIONS
from operators import audit as operators_audit
from provisioning import audit
from provisioning.models import Resource
from provisioning.services import Refusal
from provisioning.states import ResourceState

_S = SubmissionState
MOVES: Mapping[str, tuple[SubmissionState, ...]] = {
    _S.DRAFT: (),
    _S.SUBMITTED: (_S.IN_REVIEW, _S.CHANGES_REQUESTED),
    _S.IN_REVIEW: (_S.BUILDING, _S.CHANGES_REQUESTED),
    _S.CHANGES_REQUESTED: (_S.IN_REVIEW,),
    _S.BUILDING: (_S.IN_STORE_REVIEW, _S.CHANGES_REQUESTED),
    _S.IN_STORE_REVIEW: (_S.LIVE, _S.BUILDING, _S.CHANGES_REQUESTED),
    _S.LIVE: (_S.BUILDING, _S.CHANGES_REQUESTED),
}
"""What operators may do in each state. A customer's submit leads from draft and from changes requested to submitted."""
_NOTE_LONGEST = 4000
_SPOOL_BYTES = 8_000_000


@transaction.atomic
def move(
    submission_id: int, *, was: str, to: str, reason: str, operator: User, request: HttpRequest | None = None
) -> Submission:
    """Take a submission from `was` to `to`, write to the customer, and tell both audits.

    Reopening (changes requested) needs a reason, which the customer reads and which unlocks the form. Refusal when the
    submission is elsewhere by now, or there is no such way. A repeat of what is done already changes nothing.
    """
    submission = _locked(submission_id)
    if submission.state == to:
        return submission
    if submission.state != was:
        raise Refusal(
            f"It is {submission.get_state_display().lower()} by now. Look at it again.", code="moved"
        )
    if to not in MOVES[submission.state]:
        raise Refusal("There is no way to that state from here.", code="no_way")
    reason = reason.strip()
    if to == _S.CHANGES_REQUESTED and not reason:
        raise Refusal("Say what the customer is to change: they read it.", code="reason_needed")
    if len(reason) > _NOTE_LONGEST:
        raise Refusal(f"At most {_NOTE_LONGEST} characters.", code="reason_needed")
    submission.state, submission.changed_at = to, timezone.now()
    submission.save(update_fields=["state", "changed_at"])
    actor = operators_audit.actor(operator)
    note = SubmissionNote.objects.create(
        submission=submission, state=to, text=reason, told=True, author=actor
    )
    audit.record(
        "mobiloud.state_changed",
        resource=submission.resource,
        actor=actor,
        state=to,
        label=submission.get_state_display().lower(),
    )
    operators_audit.record(
        "mobiloud.submission_moved",
        operator=operator,
        obj=submission,
        resource=submission.resource,
        reason=reason,
        before={"state": was},
        after={"state": to},
        request=request,
    )
    letters.tell(submission, note)
    return submission


@transaction.atomic
def add_note(submission_id: int, text: str, *, operator: User, request: HttpRequest | None = None) -> None:
    """Keep a note that only operators read."""
    submission = _locked(submission_id)
    text = text.strip()
    if not text or len(text) > _NOTE_LONGEST:
        raise Refusal(f"Write something, at most {_NOTE_LONGEST} characters.", code="note_needed")
    SubmissionNote.objects.create(submission=submission, text=text, author=operators_audit.actor(operator))
    operators_audit.record(
        "mobiloud.note_added",
        operator=operator,
        obj=submission,
        resource=submission.resource,
        request=request,
    )


@transaction.atomic
def assign(submission_id: int, *, operator: User, request: HttpRequest | None = None) -> None:
    """Let the operator be the one who works on it."""
    submission = _locked(submission_id)
    before, submission.assignee = submission.assignee, operator.get_username()
    submission.save(update_fields=["assignee"])
    operators_audit.record(
        "mobiloud.assigned",
        operator=operator,
        obj=submission,
        resource=submission.resource,
        before={"assignee": before},
        after={"assignee": submission.assignee},
        request=request,
    )


@transaction.atomic
def export(
    submission_id: int, *, secrets: bool, operator: User, request: HttpRequest | None = None
) -> IO[bytes]:
    """The whole package as a ZIP: answers, frozen configuration, graphics, signature. The caller closes it.

    With `secrets` the sealed fields are among the answers; without, only which of them are set. Audited either way.
    """
    submission = _locked(submission_id)
    package: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - handed on
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("submission.json", _text(_described(submission, secrets=secrets)))
        if submission.revision is not None:
            archive.writestr("configuration.json", submission.revision.content)
        for upload in submission.uploads.order_by("pk").iterator(chunk_size=1):
            name = f"graphics/{upload.kind}-{upload.pk}.{upload.format.lower()}"
            archive.writestr(name, bytes(upload.content))
        if Signature.objects.filter(submission=submission).exists():
            archive.writestr("signature-certificate.html", certificate(submission))
    operators_audit.record(
        "mobiloud.exported",
        operator=operator,
        obj=submission,
        resource=submission.resource,
        after={"with_secrets": secrets},
        request=request,
    )
    package.seek(0)
    return package


def _described(submission: Submission, *, secrets: bool) -> dict[str, Any]:
    answers = {answer.name: answer for answer in submission.answers.all()}
    sections: dict[str, dict[str, Any]] = {}
    for section in SECTIONS:
        values: dict[str, Any] = {}
        for field in section.fields:
            answer = answers.get(field.name)
            if answer is None:
                continue
            if field.kind == "secret":
                values[field.name] = answer.get_sealed("secret") if secrets else bool(answer.secret)
            else:
                values[field.name] = answer.value
        sections[section.slug] = values
    plan = submission.resource.plan
    return {
        "submission": submission.pk,
        "resource": str(submission.resource.uuid),
        "state": submission.state,
        "website": submission.site.website,
        "plan_when_submitted": submission.plan,
        "plan_now": plan.slug if plan else None,
        "capabilities_now": sorted(capabilities_of(plan)),
        "configuration_revision": submission.revision.number if submission.revision else None,
        "submitted_at": submission.submitted_at.isoformat() if submission.submitted_at else None,
        "submitted_by": submission.submitted_by,
        "follow_up_call_at": submission.call_at.isoformat() if submission.call_at else None,
        "answers": sections,
    }


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _locked(submission_id: int) -> Submission:
    """A submission that was handed in, locked, of a resource that is still there. The resource is locked first."""
    resource_id = (
        Submission.objects.filter(pk=submission_id).values_list("site__resource_id", flat=True).first()
    )
    if resource_id is None:
        raise Refusal("There is no such submission.", code="submission_unknown")
    resource = Resource.objects.select_for_update().get(pk=resource_id)
    submission = (
        Submission.objects.select_for_update(of=("self",))
        .select_related("site__resource__plan", "revision")
        .get(pk=submission_id)
    )
    if submission.submitted_at is None:
        raise Refusal("The customer has not submitted it.", code="submission_unknown")
    if resource.state != ResourceState.PROVISIONED:
        raise Refusal("The add-on was removed.", code="ending")
    return submission
