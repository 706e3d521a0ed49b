"""The operators' pages: the queue of submissions, and one of them."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import FileResponse, Http404, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from addon.mobiloud import review
from addon.mobiloud.capabilities import Capability, can
from addon.mobiloud.graphics import find_upload
from addon.mobiloud.models import Signature, Submission, SubmissionState
from addon.mobiloud.signing import certificate as certificate_of
from addon.mobiloud.submission_fields import SECTIONS
from mail.contacts import people
from operators.doors import OperatorRequest, operator_page, render_operator_page
from operators.roles import Role
from provisioning.services import Refusal

READERS = (Role.SUPPORT, Role.OPERATOR)
_PAGE = 50
_OPEN = [state for state in SubmissionState if state not in (SubmissionState.DRAFT, SubmissionState.LIVE)]


def submitted() -> QuerySet[Submission]:
    """What customers have handed in."""
    return Submission.objects.exclude(submitted_at=None).select_related("site__resource__plan", "revision")


@operator_page(*READERS)
def queue(request: OperatorRequest) -> HttpResponse:
    """Every submission that was handed in, the oldest first that needs somebody; filtered by state and words."""
    state, words = request.GET.get("state", "open"), request.GET.get("q", "").strip()[:200]
    counts = dict(submitted().order_by().values_list("state").annotate(Count("pk")))
    rows = submitted().order_by("submitted_at")
    if state in SubmissionState.values:
        rows = rows.filter(state=state)
    elif state != "all":
        state, rows = "open", rows.filter(state__in=_OPEN)
    if words:
        rows = rows.filter(site__website__icontains=words) | rows.filter(submitted_by__icontains=words)
    filters = [("open", "Open", sum(counts.get(each, 0) for each in _OPEN))]
    filters += [
        (each, each.label, counts.get(each, 0)) for each in SubmissionState if each != SubmissionState.DRAFT
    ]
    filters.append(("all", "All", sum(counts.values())))
    context = {
        "page": Paginator(rows, _PAGE).get_page(request.GET.get("page")),
        "filters": [
            (
                label,
                f"?{urlencode({'state': slug, 'q': words} if words else {'state': slug})}",
                count,
                slug == state,
            )
            for slug, label, count in filters
        ],
        "state": state,
        "words": words,
    }
    return render_operator_page(request, "mobiloud/operators/queue.html", context)


@operator_page(*READERS)
def one(request: OperatorRequest, number: int) -> HttpResponse:
    """One submission with everything in it but its secrets."""
    submission = _find(number)
    answers = {answer.name: answer for answer in submission.answers.all()}
    context = {
        "submission": submission,
        "resource": submission.resource,
        "active": can(submission.resource, Capability.LIVE_APP),
        "parts": [
            (
                section.title,
                [(field, answers[field.name]) for field in section.fields if field.name in answers],
            )
            for section in SECTIONS
        ],
        "uploads": submission.uploads.defer("content"),
        "notes": submission.notes.all(),
        "moves": [(state.value, state.label) for state in review.MOVES[submission.state]],
        "contacts": people(submission.resource),
        "signature": Signature.objects.filter(submission=submission).defer("drawing", "text").first(),
        "may_move": Role.OPERATOR in request.roles,
    }
    return render_operator_page(request, "mobiloud/operators/submission.html", context)


Action = Callable[[OperatorRequest, int], str]


def _action(*roles: Role) -> Callable[[Action], Callable[..., HttpResponse]]:
    """Let a function be a button's address: POST, then back to the submission with what it says."""

    def decorate(view: Action) -> Callable[..., HttpResponse]:
        @operator_page(*roles, methods=("POST",))
        @wraps(view)
        def guarded(request: OperatorRequest, number: int) -> HttpResponse:
            try:
                messages.success(request, view(request, number))
            except Refusal as refusal:
                messages.error(request, refusal.message)
            back = HttpResponseRedirect(reverse("mobiloud:operator-submission", args=[number]))
            back.status_code = 303
            return back

        return guarded

    return decorate


@_action(Role.OPERATOR)
def move(request: OperatorRequest, number: int) -> str:
    """Take it to another state."""
    moved = review.move(
        number,
        was=request.POST.get("was", ""),
        to=request.POST.get("to", ""),
        reason=request.POST.get("reason", ""),
        operator=request.user,
        request=request,
    )
    return f"{moved.get_state_display()}: the customer is written to."


@_action(*READERS)
def add_note(request: OperatorRequest, number: int) -> str:
    """Keep a note."""
    review.add_note(number, request.POST.get("text", ""), operator=request.user, request=request)
    return "Note kept."


@_action(*READERS)
def assign(request: OperatorRequest, number: int) -> str:
    """Take it over."""
    review.assign(number, operator=request.user, request=request)
    return "You work on it now."


@operator_page(Role.OPERATOR, methods=("POST",))
def export(request: OperatorRequest, number: int) -> HttpResponse:
    """The package, with the secrets when they are asked for."""
    try:
        package = review.export(
            number, secrets=request.POST.get("secrets") == "yes", operator=request.user, request=request
        )
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("mobiloud:operator-queue"))
    name = f"mobiloud-submission-{number}.zip"
    return FileResponse(package, as_attachment=True, filename=name)  # type: ignore[return-value]


@operator_page(*READERS)
def upload(request: OperatorRequest, number: int, upload: int) -> HttpResponse:
    """A graphic."""
    try:
        found = find_upload(_find(number), upload)
    except Refusal:
        raise Http404 from None
    answer = HttpResponse(bytes(found.content), content_type=f"image/{found.format.lower()}")
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@operator_page(*READERS)
def certificate(request: OperatorRequest, number: int) -> HttpResponse:
    """The signature's certificate."""
    try:
        answer = HttpResponse(certificate_of(_find(number)))
    except Refusal:
        raise Http404 from None
    answer["Content-Disposition"] = f'attachment; filename="signature-{number}.html"'
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    )
    return answer


def _find(number: int) -> Any:
    found = submitted().filter(pk=number).first()
    if found is None:
        raise Http404
    return found
