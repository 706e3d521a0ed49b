"""The Publish pages: what a plan includes, the submission form, and what follows."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from addon.mobiloud import graphics, revisions, submissions
from addon.mobiloud.capabilities import Capability, can
from addon.mobiloud.client_address import client_address
from addon.mobiloud.configure_views import render_site
from addon.mobiloud.doors import Answer, number, site_action, site_page, value
from addon.mobiloud.letters import NEXT_STEPS, SUPPORT
from addon.mobiloud.models import EDITABLE, Signature, Site, Submission, SubmissionState
from addon.mobiloud.signing import certificate as certificate_of
from addon.mobiloud.signing import sign as sign_agreement
from addon.mobiloud.submission_fields import SECTIONS, Section, agreement, agreement_digest
from addon.mobiloud.uploads import KINDS, LARGEST_BYTES
from provisioning.services import Refusal
from sso.dashboard import plan_choices
from sso.doors import DashboardRequest


@site_page
def publish(request: DashboardRequest, site: Site) -> HttpResponse:
    """Where the way into the stores begins, and where it stands."""
    submission = submissions.submission_of(site)
    context: dict[str, Any] = {
        "submission": submission,
        "may_submit": can(request.dashboard.resource, Capability.SUBMIT),
        "may_publish": can(request.dashboard.resource, Capability.LIVE_APP),
        "plan_choices": [
            choice for choice in plan_choices(request.dashboard.resource) if choice.plan.price_cents
        ],
        "support": SUPPORT,
    }
    if submission is not None:
        told = list(submission.notes.filter(told=True))
        state = SubmissionState(submission.state)
        context |= {
            "sections": submissions.progress(submission) if submission.is_editable else [],
            "notes": told,
            "states": _way(submission),
            "next_step": NEXT_STEPS.get(state, ""),
            "signature": Signature.objects.filter(submission=submission).defer("drawing", "text").first(),
        }
    return render_site(request, site, "mobiloud/publish.html", context, current="publish")


@site_page
def form(request: DashboardRequest, site: Site, slug: str) -> HttpResponse:
    """One section of the form."""
    section = submissions.section_named(slug)
    submission = submissions.submission_of(site)
    if submission is None or submission.state not in EDITABLE:
        answer = HttpResponse(status=302)
        answer["Location"] = reverse("mobiloud:configure-publish", args=[request.dashboard.resource.uuid])
        return answer
    position = SECTIONS.index(section)
    answers = {answer.name: answer for answer in submission.answers.all()}
    context = {
        "submission": submission,
        "part": section,
        "fields": [_shown(each, answers.get(each.name)) for each in section.fields],
        "uploads": [(KINDS[kind], _uploads(submission, kind)) for kind in section.uploads],
        "sections": submissions.progress(submission),
        "may_edit": submissions.may_edit(site, submission) and request.dashboard.is_member,
        "previous": SECTIONS[position - 1] if position else None,
        "next": SECTIONS[position + 1] if position + 1 < len(SECTIONS) else None,
        "signature": Signature.objects.filter(submission=submission).first() if section.signed else None,
        "agreement": agreement() if section.signed else "",
        "agreement_digest": agreement_digest(),
    }
    return render_site(request, site, "mobiloud/form.html", context, current="publish")


@site_action
def start(request: DashboardRequest, site: Site) -> Answer:
    """Start App Submission."""
    submissions.start(site.pk, actor=request.dashboard.session.actor)
    return {"message": "Submission started", "url": _form_url(request, SECTIONS[0])}


@site_action
def save(request: DashboardRequest, site: Site) -> Answer:
    """Save the fields that changed."""
    changes = value(request.POST, "changes")
    if not isinstance(changes, dict):
        raise Refusal("Reload the page and try again.", code="form")
    saved = submissions.save_answers(site.pk, changes, actor=request.dashboard.session.actor)
    submission = submissions.submission_of(site)
    return {
        "saved": saved.versions,
        "conflicts": saved.conflicts,
        "problems": saved.problems,
        "sections": submissions.progress(submission) if submission else [],
        "at": datetime.now(UTC).isoformat(),
    }


@site_action
def upload(request: DashboardRequest, site: Site) -> Answer:
    """Take a graphic."""
    sent = request.FILES.get("file")
    if sent is None or isinstance(sent, list):
        raise Refusal("Choose a file.", code="form")
    if (sent.size or 0) > LARGEST_BYTES:
        raise Refusal("The file is larger than 10 MB.", code="upload_too_large")
    kept = graphics.add_upload(
        site.pk,
        kind=request.POST.get("kind", ""),
        name=sent.name or "",
        sent=sent.read(),
        actor=request.dashboard.session.actor,
    )
    return {"message": f"{KINDS[kept.kind].label} added", "url": ""}


@site_action
def remove_upload(request: DashboardRequest, site: Site) -> Answer:
    """Remove a graphic."""
    graphics.remove_upload(site.pk, number(request.POST, "upload"), actor=request.dashboard.session.actor)
    return {"message": "Removed", "url": ""}


@site_page
def show_upload(request: DashboardRequest, site: Site, upload: int) -> HttpResponse:
    """A graphic as it was made by us."""
    submission = submissions.submission_of(site)
    if submission is None:
        raise Refusal("There is no such graphic.", code="upload_unknown")
    found = graphics.find_upload(submission, upload)
    answer = HttpResponse(bytes(found.content), content_type=f"image/{found.format.lower()}")
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Disposition"] = f'inline; filename="{found.kind}-{found.pk}.{found.format.lower()}"'
    return answer


@site_action
def sign(request: DashboardRequest, site: Site) -> Answer:
    """Sign the agreement."""
    sign_agreement(
        site.pk,
        drawing=request.POST.get("drawing", ""),
        digest=request.POST.get("digest", ""),
        actor=request.dashboard.session.actor,
        address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )
    return {"message": "Signed", "url": ""}


@site_page
def certificate(request: DashboardRequest, site: Site) -> HttpResponse:
    """The signature's certificate, to be downloaded."""
    submission = submissions.submission_of(site)
    if submission is None:
        raise Refusal("The agreement is not signed yet.", code="upload_unknown")
    answer = HttpResponse(certificate_of(submission), content_type="text/html; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="mobiloud-signature-certificate.html"'
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    )
    return answer


@site_action
def submit(request: DashboardRequest, site: Site) -> Answer:
    """Hand the form over."""
    submissions.submit(site.pk, actor=request.dashboard.session.actor)
    return {"message": "Submitted", "url": reverse("mobiloud:configure-publish", args=[_uuid(request)])}


@site_action
def schedule_call(request: DashboardRequest, site: Site) -> Answer:
    """Note when the customer wants to be called."""
    typed = request.POST.get("at", "")
    try:
        at = datetime.fromisoformat(typed).replace(tzinfo=UTC) if typed else None
    except ValueError:
        raise Refusal("Choose a day and a time.", code="form") from None
    submissions.schedule_call(
        site.pk, at, request.POST.get("note", ""), actor=request.dashboard.session.actor
    )
    return {"message": "Call noted" if at else "No call wanted", "url": ""}


@site_action
def publish_revision(request: DashboardRequest, site: Site) -> Answer:
    """Let the apps load a revision."""
    submission = submissions.submission_of(site)
    if submission is None or submission.submitted_at is None:
        raise Refusal("The first revision is published when you submit the app.", code="form")
    revision = number(request.POST, "revision")
    revisions.publish(site.pk, revision, actor=request.dashboard.session.actor)
    return {"message": f"Revision {revision} is what the apps load now", "url": ""}


def _uuid(request: DashboardRequest) -> Any:
    return request.dashboard.resource.uuid


def _form_url(request: DashboardRequest, section: Section) -> str:
    return reverse("mobiloud:configure-publish-form", args=[_uuid(request), section.slug])


def _shown(field: Any, answer: Any) -> dict[str, Any]:
    secret = field.kind == "secret"
    return {
        "field": field,
        "value": "" if secret or answer is None else answer.value,
        "version": answer.version if answer else 0,
        "is_set": bool(secret and answer and answer.secret),
        "condition": field.needed_if,
    }


def _uploads(submission: Submission, kind: str) -> list[Any]:
    return list(submission.uploads.filter(kind=kind).defer("content"))


def _way(submission: Submission) -> list[tuple[str, str]]:
    """The states a submission goes through, each with how it stands: done, current or waiting."""
    way = [
        SubmissionState.SUBMITTED,
        SubmissionState.IN_REVIEW,
        SubmissionState.BUILDING,
        SubmissionState.IN_STORE_REVIEW,
        SubmissionState.LIVE,
    ]
    if submission.state not in way:
        return []
    here = way.index(SubmissionState(submission.state))
    done = here if submission.state != SubmissionState.LIVE else len(way)
    return [
        (state.label, "done" if place < done else "current" if place == here else "waiting")
        for place, state in enumerate(way)
    ]
