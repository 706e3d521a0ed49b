"""HTTP's door for operators: write, review, send and follow advisories."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from advisories import delivery, drafting, exports, letters, rotation
from advisories.features import features
from advisories.forms import read_about, read_given_scope, read_said
from advisories.models import Advisory, Kind, Purpose, Severity, Version, VersionState
from advisories.progress import evidence, progress_of
from advisories.scope import BadScope, describe, read_scope, resources_in, service_filters
from operators import audit
from operators.doors import OperatorRequest, operator_page, render_operator_page
from operators.roles import Role
from provisioning.models import Plan
from provisioning.services import Refusal, all_services

SHOWN_RESOURCES = 200


@operator_page(Role.SECURITY)
def listed(request: OperatorRequest) -> HttpResponse:
    """Every advisory, the newest first."""
    rows = [(one, one.versions.order_by("number").last()) for one in Advisory.objects.all()[:200]]
    return render_operator_page(request, "advisories/operator_list.html", {"rows": rows})


@operator_page(Role.SECURITY, methods=("GET", "POST"))
def new(request: OperatorRequest) -> HttpResponse:
    """The form of a new advisory."""
    return _form(request, None)


@operator_page(Role.SECURITY, methods=("GET", "POST"))
def edit(request: OperatorRequest, number: str) -> HttpResponse:
    """The form of the version that is being written."""
    try:
        version = _unsent(_advisory(number))
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("advisories:operator-one", args=[number]))
    return _form(request, version)


def _form(request: OperatorRequest, version: Version | None) -> HttpResponse:
    problem, status = "", 200
    if request.method == "POST":
        try:
            said = read_said(request.POST)
            about = read_about(request.POST, with_scope=version is None or version.number == 1)
            if version is None:
                advisory = drafting.create_advisory(author=request.user, said=said, about=about)
            else:
                advisory = drafting.edit(version.pk, author=request.user, said=said, about=about).advisory
            return HttpResponseRedirect(reverse("advisories:operator-one", args=[advisory.number]))
        except Refusal as refusal:
            problem, status = refusal.message, 422
        except BadScope as error:
            problem, status = str(error), 422
    return render_operator_page(
        request,
        "advisories/operator_form.html",
        {**_form_values(request, version), "problem": problem},
        status=status,
    )


def _form_values(request: OperatorRequest, version: Version | None) -> dict[str, Any]:
    """What stands in the fields: what was posted, else what is stored."""
    scope = version.advisory.scope if version else {}
    given = read_given_scope(request.POST) if request.method == "POST" else scope
    steps: list[dict[str, str]] = list(version.steps) if version else []
    if request.method == "POST":
        steps = [
            {"text": text, "command": command, "deadline": until}
            for text, command, until in zip(
                *(request.POST.getlist(f"step_{name}") for name in ("text", "command", "deadline")),
                strict=False,
            )
            if text.strip()
        ]
    timeline = "\n".join(f"{entry['at']} {entry['text']}" for entry in (version.timeline if version else []))
    return {
        "version": version,
        "advisory": version.advisory if version else None,
        "said": _words(request, version),
        "posted": request.POST,
        "with_scope": version is None or version.number == 1,
        "kinds": Kind.choices,
        "severities": Severity.choices,
        "steps": [*steps, *[{"text": "", "command": "", "deadline": ""}] * max(2, 4 - len(steps))],
        "timeline": request.POST.get("timeline", timeline),
        "given": given,
        "services": [(slug, service.name) for slug, service in all_services().items()],
        "plans": [
            (f"{plan.service}:{plan.slug}", f"{all_services()[plan.service].name}: {plan.name}")
            for plan in Plan.objects.filter(service__in=all_services()).order_by("service", "position")
        ],
        "regions": sorted({region for plan in Plan.objects.all() for region in plan.regions}),
        "features": [(one.name, one.label) for one in features().values()],
        "filters": [(one, one.choices(), given.get(one.name, [])) for one in service_filters()],
        "uuids": "\n".join(given["uuids"])
        if isinstance(given.get("uuids"), list)
        else given.get("uuids", ""),
        "credentials": " ".join(given.get("credentials") or []),
    }


def _words(request: OperatorRequest, version: Version | None) -> dict[str, str]:
    """What stands in the fields of text."""
    names = ("title", "cvss_vector", "summary", "change_note", "what_we_did", "contact", "how_to_check")
    if request.method == "POST":
        return {name: request.POST.get(name, "") for name in names}
    fresh = {"contact": settings.SECURITY_CONTACT}
    return {name: getattr(version, name) if version else fresh.get(name, "") for name in names}


@operator_page(Role.SECURITY, methods=("POST",))
def scope_count(request: OperatorRequest) -> HttpResponse:
    """How many resources the form's scope means now, and some of them: JSON for the form's script."""
    try:
        found = resources_in(read_scope(read_given_scope(request.POST)))
    except BadScope as error:
        return JsonResponse({"id": "bad_scope", "message": str(error)}, status=422)
    sample = [letters.named(one) for one in found.select_related("plan")[:8]]
    return JsonResponse(
        {
            "count": found.count(),
            "sample": [f"{one.service} {one.name}{f' of {one.app}' if one.app else ''}" for one in sample],
        }
    )


@operator_page(Role.SECURITY)
def one(request: OperatorRequest, number: str) -> HttpResponse:
    """An advisory: what it says, how far it is, and what can be done with it."""
    advisory = _advisory(number)
    version = advisory.versions.order_by("number").last()
    sent = delivery.current_version(advisory)
    count, sample = delivery.sample_of(advisory)
    preview = None
    if version:
        version.advisory = advisory
        preview = letters.write(version, key="preview", to=request.user.email, resources=sample[:2])
    affected = advisory.affected.select_related("resource__plan", "rotation").order_by("pk")
    return render_operator_page(
        request,
        "advisories/operator_one.html",
        {
            "advisory": advisory,
            "version": version,
            "sent": sent,
            "versions": advisory.versions.select_related("author", "reviewer").order_by("-number"),
            "scope": describe(advisory.scope),
            "count": count,
            "sample": [letters.named(resource) for resource in sample],
            "preview": preview,
            "missing": drafting.what_is_missing(version) if version else [],
            "own": version is not None and version.author_id == request.user.pk,
            "progress": progress_of(advisory, sent) if sent else None,
            "affected": affected[:SHOWN_RESOURCES],
            "shown": SHOWN_RESOURCES,
            "exportable": advisory.published_at is not None,
            "states": VersionState,
        },
    )


def _act(request: OperatorRequest, number: str, name: str) -> str:
    """Do what a button says; the message for the operator. Refusal."""
    advisory = _advisory(number)
    operator, reason = request.user, request.POST.get("reason", "")
    if name in _PURPOSES:
        drafting.begin_version(advisory.pk, purpose=_PURPOSES[name], author=operator)
        return "A new version is begun: say what is new in it."
    if name == "rotate":
        wanted = rotation.force_rotation(advisory.pk, operator=operator, reason=reason)
        return f"The credentials of {wanted} resources are being rotated."
    if name in ("make-public", "make-private"):
        advisory.is_public = name == "make-public"
        advisory.save(update_fields=["is_public"])
        audit.record(f"advisory.{name.replace('-', '_')}", operator=operator, obj=advisory, reason=reason)
        return "Listed for everybody." if advisory.is_public else "No longer listed."
    if name == "dry-run":
        found = delivery.dry_run(advisory)
        return (
            f"Dry run, nothing was sent: {found.people} mails, one for each person, about {found.resources} resources. "
            f"{found.without_people} resources have nobody to write to; the last mail to {found.came_back} people "
            "came back."
        )
    version = _unsent(advisory)
    if name == "submit":
        drafting.submit(version.pk, author=operator)
        return "Submitted. A second operator has to review it."
    if name in ("approve", "give-back"):
        drafting.review(version.pk, reviewer=operator, approved=name == "approve", note=reason)
        return "Approved. It can be sent." if name == "approve" else "Given back to its author."
    if name == "test":
        mail = delivery.send_test(
            version.pk, operator=operator, to=request.POST.get("to", "") or operator.email
        )
        return f"A test is on its way to {mail.to}."
    if name == "send":
        delivery.send(version.pk, operator=operator)
        return "Sending has begun."
    raise Refusal("There is no such button.", code="unknown_action")


_PURPOSES = {"update": Purpose.UPDATE, "all-clear": Purpose.ALL_CLEAR, "withdraw": Purpose.WITHDRAWAL}


@operator_page(Role.SECURITY, methods=("POST",))
def act(request: OperatorRequest, number: str, name: str) -> HttpResponse:
    """A button of an advisory's page."""
    there = reverse("advisories:operator-one", args=[number])
    try:
        message = _act(request, number, name)
    except (Refusal, ValueError) as error:
        text = error.message if isinstance(error, Refusal) else "Enter an e-mail address."
        messages.error(request, text)
    else:
        messages.success(request, message)
        if name in _PURPOSES:
            there = reverse("advisories:operator-edit", args=[number])
    return HttpResponseRedirect(there)


@operator_page(Role.SECURITY)
def evidence_csv(request: OperatorRequest, number: str) -> HttpResponse:
    """Who was told what and when, as a table."""
    advisory = _advisory(number)
    audit.record("advisory.evidence_exported", operator=request.user, obj=advisory, request=request)
    response = HttpResponse(evidence(advisory), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{advisory.number}.csv"'
    return response


def _export(make: Callable[[Advisory], dict[str, Any]], ending: str) -> Callable[..., HttpResponse]:
    @operator_page(Role.SECURITY)
    def view(request: OperatorRequest, number: str) -> HttpResponse:
        advisory = _advisory(number)
        try:
            document = make(advisory)
        except ValueError:
            messages.error(request, "Nothing of this advisory is published yet.")
            return HttpResponseRedirect(reverse("advisories:operator-one", args=[number]))
        response = JsonResponse(document, json_dumps_params={"indent": 2})
        response["Content-Disposition"] = f'attachment; filename="{advisory.number.lower()}.{ending}"'
        return response

    return view


csaf = _export(exports.csaf, "csaf.json")
osv = _export(exports.osv, "osv.json")


def _advisory(number: str) -> Advisory:
    return get_object_or_404(Advisory, number=number)


def _unsent(advisory: Advisory) -> Version:
    version = advisory.versions.exclude(state__in=(VersionState.SENDING, VersionState.PUBLISHED)).first()
    if version is None:
        raise Refusal("There is no version in the works. Begin an update first.", code="nothing_unsent")
    version.advisory = advisory
    return version
