"""The bare view that everything is compared with: the same server, middleware and database, and one insert."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from addon.urls import handler400, handler403, handler404, handler500
from addon.urls import urlpatterns as project_urls
from provisioning.models import AuditEvent


@csrf_exempt
def insert_one_row(request: HttpRequest) -> JsonResponse:
    """Insert one row and say so."""
    AuditEvent.objects.create(event="bench.row", actor="bench")
    return JsonResponse({"message": "One row was inserted."})


urlpatterns = [path("bench/row", insert_one_row), *project_urls]
__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]
