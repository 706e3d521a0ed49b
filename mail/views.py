"""HTTP's door: the provider's events, and the page of a resource's contacts."""

import json
from uuid import UUID

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mail import contacts, feed, settling
from mail.models import ContactReading
from provisioning.services import Refusal
from sso.doors import DashboardRequest, dashboard_page, member_required, only
from sso.frame import render_page

log = structlog.get_logger(__name__)


@csrf_exempt
@require_POST
def events(request: HttpRequest) -> HttpResponse:
    """One event of the mail provider: 200 when it is written down, 406 (do not repeat) when it is not signed."""
    try:
        event = feed.read_webhook(json.loads(request.body))
    except (ValueError, feed.BadEvent) as error:
        log.warning("mail.event_refused", reason=str(error)[:100])
        return JsonResponse({"id": "refused", "message": "The event is not signed with our key."}, status=406)
    if event is not None:
        settling.apply_events([event])
    return JsonResponse({"status": "kept"})


@only("GET")
@dashboard_page()
def contacts_page(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """Who is written to about this resource."""
    resource = request.dashboard.resource
    security = contacts.security_contacts(resource)
    listed = contacts.people(resource)
    bounced = contacts.bounced_lately([*(one.email for one in security), *(one.email for one in listed)])
    return render_page(
        request,
        "mail/contacts.html",
        {
            "security": [(row, row.email.casefold() in bounced) for row in security],
            "people": [
                (person, [WORDS[reason] for reason in person.reasons], person.address in bounced)
                for person in listed
            ],
            "reading": ContactReading.objects.filter(resource=resource).first(),
            "most": contacts.SECURITY_CONTACTS_MOST,
        },
    )


WORDS = {
    "security": "Security contact",
    "owner": "App owner",
    "collaborator": "Collaborator",
    "sso": "Opened this dashboard",
}


@only("POST")
@dashboard_page()
@member_required
def add_contact(request: DashboardRequest, uuid: UUID) -> HttpResponse:
    """Name a security contact."""
    try:
        contacts.add_security_contact(
            request.dashboard.resource,
            email=request.POST.get("email", "")[:320],
            actor=request.dashboard.session.actor,
        )
    except Refusal as refusal:
        return JsonResponse({"id": refusal.code, "message": refusal.message}, status=422)
    return _done("Security contact added. We told them by mail.", uuid)


@only("POST")
@dashboard_page()
@member_required
def remove_contact(request: DashboardRequest, uuid: UUID, number: int) -> HttpResponse:
    """Take a security contact away."""
    contacts.remove_security_contact(
        request.dashboard.resource, contact_id=number, actor=request.dashboard.session.actor
    )
    return _done("Security contact removed.", uuid)


def _done(message: str, uuid: UUID) -> HttpResponse:
    return JsonResponse({"message": message, "url": reverse("mail:contacts", args=[uuid])})
