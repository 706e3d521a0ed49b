"""What customers are written about their submission: a mail at each change, once, whatever happens in between."""

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
        "website": submission.site.website,
        "support": SUPPORT,
        "url": f"{settings.BASE_URL}{reverse('mobiloud:overview', args=[submission.resource.uuid])}",
    }
    text = render_to_string("mobiloud/mail.txt", context)
    outbox.post_all(
        outbox.Letter(
            key=f"mobiloud:{note.pk}:{address}"[:200],
            to=address,
            subject=f"Your mobile app: {state.label.lower()}",
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
