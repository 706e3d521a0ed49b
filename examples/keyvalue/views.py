"""What customers' programs call, and the page they open over SSO."""

import uuid as uuids

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from examples.keyvalue.models import Entry
from examples.keyvalue.service import KEY_PREFIX
from provisioning.credentials import find_credential, key_public_id
from provisioning.models import Resource
from provisioning.states import LIVE_STATES
from sso.dashboard import render_overview
from sso.doors import DashboardRequest, dashboard_page, only


@only("GET")
@dashboard_page("keyvalue")
def overview(request: DashboardRequest, uuid: uuids.UUID) -> HttpResponse:
    """Config vars, plan, rotation and events, as every service's overview shows them."""
    return render_overview(request, "dashboard/overview.html")


@csrf_exempt
@require_http_methods(["GET", "PUT", "DELETE"])
def entry(request: HttpRequest, key: str) -> HttpResponse:
    """One entry of the caller's namespace: its value is the body."""
    presented = request.headers.get("Authorization", "").removeprefix("Bearer ")
    public_id = key_public_id(presented, prefix=KEY_PREFIX)
    credential = find_credential(presented, public_id=public_id) if public_id else None
    if credential is None or credential.resource.state not in LIVE_STATES:
        return JsonResponse({"message": "Send the key in KEYVALUE_KEY as a Bearer token."}, status=401)
    if request.method == "PUT":
        return _put(credential.resource, key, request.body)
    stored = get_object_or_404(Entry, resource=credential.resource, key=key)
    if request.method == "GET":
        return HttpResponse(bytes(stored.value), content_type="application/octet-stream")
    stored.delete()
    return HttpResponse(status=204)


def _put(resource: Resource, key: str, value: bytes) -> HttpResponse:
    with transaction.atomic():
        # One at a time for each resource: the limit holds also for two that come together, and nothing is stored for
        # one that has ended meanwhile.
        locked = Resource.objects.select_for_update(of=("self",)).select_related("plan").get(pk=resource.pk)
        if locked.plan is None or locked.state not in LIVE_STATES:
            return JsonResponse({"message": "This resource has ended."}, status=401)
        limits = locked.plan.limits
        others = Entry.objects.filter(resource=resource).exclude(key=key).count()
        if len(value) > limits["value_bytes"] or others >= limits["entries"]:
            told = "Your plan allows {entries:,} entries of {value_bytes:,} bytes.".format(**limits)
            return JsonResponse({"message": told}, status=422)
        Entry.objects.update_or_create(resource=resource, key=key, defaults={"value": value})
    return HttpResponse(status=204)
