"""This service's dashboard pages."""

import uuid as uuids

from django.http import HttpRequest, HttpResponse


def overview(request: HttpRequest, uuid: uuids.UUID) -> HttpResponse:
    """The first page."""
    return HttpResponse(status=404)
