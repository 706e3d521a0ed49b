"""What customers are written about their submission: a mail at each change, once, whatever happens in between; and one
that confirms the call they asked for.
"""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.urls import reverse

from addon.mobiloud.models import Submission, SubmissionNote, SubmissionState
from mail import outbox

SUPPORT = "support@mobiloud.com"
NEXT_STEPS = {
    SubmissionState.SUBMITTED: "We look at what you have sent and write to you within two working days.",
    SubmissionState.IN_REVIEW: "We check your site, your configuration and your accounts. You need not do anything.",
    SubmissionState.CHANGES_REQUESTED: "The form is open again: change what is named below and submit it once more.",
    SubmissionState.BUILDING: "We build the iOS and Android apps. You get test versions before anything is published.",
    SubmissionState.IN_STORE_REVIEW: "Apple and Google look at the apps. That mostly takes one to three days.",
    SubmissionState.LIVE: "The apps are in the stores. What you publish in the dashboard reaches them within minutes.",
}


def tell(submission: Submission, note: SubmissionNote) -> None:
    """Post the mail about a change of state; part of the caller's transaction."""
    state = SubmissionState(submission.state)
    context = {
        "state": state.label,
        "step": NEXT_STEPS.get(state, ""),
        "reason": note.text,
        "form_is_open": submission.is_editable,
        "website": submission.site.website,
        "support": SUPPORT,
        "url": _dashboard(submission),
    }
    _post(
        submission,
        key=f"mobiloud:{note.pk}",
        subject=f"Your mobile app: {state.label.lower()}",
        text=render_to_string("mobiloud/mail.txt", context),
    )


def confirm_call(submission: Submission, *, at: datetime) -> None:
    """Post the mail that confirms the call, `at` in UTC, that the customer asked for; once for each time chosen."""
    context = {
        "at": f"{at:%A, %d %B %Y, %H:%M} UTC",
        "note": submission.call_note,
        "website": submission.site.website,
        "support": SUPPORT,
        "url": _dashboard(submission),
    }
    _post(
        submission,
        key=f"mobiloud-call:{submission.pk}:{at:%Y%m%dT%H%M}",
        subject=f"Your mobile app: we call on {at:%d %B, %H:%M} UTC",
        text=render_to_string("mobiloud/call.txt", context),
    )


def _dashboard(submission: Submission) -> str:
    return f"{settings.BASE_URL}{reverse('mobiloud:overview', args=[submission.resource.uuid])}"


def _post(submission: Submission, *, key: str, subject: str, text: str) -> None:
    outbox.post_all(
        outbox.Letter(
            key=f"{key}:{address}"[:200],
            to=address,
            subject=subject,
            text=text,
            kind="mobiloud",
            reply_to=SUPPORT,
        )
        for address in recipients(submission)
    )


def recipients(submission: Submission) -> list[str]:
    """The contact of the form and who submitted it, each once."""
    contact = submission.answers.filter(name="contact_email").values_list("value", flat=True).first() or ""
    found: dict[str, str] = {}
    for address in (contact, submission.submitted_by):
        try:
            validate_email(address)
        except ValidationError:
            continue
        found.setdefault(address.casefold(), address)
    return list(found.values())
