"""The Partner API v3 over HTTP: reads Heroku's calls, asks `resources`, and shapes the answers.

Heroku's media type with its version parameter, plain JSON and anything else are read and answered alike: a 406 or 415
would make Heroku record a failure that no customer sees.
"""

import math
from typing import Any, cast

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from provisioning import attempts, partner_requests, resources
from provisioning.partner_auth import PartnerAuthentication
from provisioning.services import AddonService, Refusal

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/vnd.heroku-addons+json; version=3"
GONE = {"id": "gone", "message": "This resource has been deprovisioned."}
UNKNOWN = {"id": "not_found", "message": "There is no such resource."}


class VendorRenderer(JSONRenderer):
    """JSON under Heroku's media type."""

    media_type = MEDIA_TYPE
    format = "json"
    charset = None


class AnyBodyParser(BaseParser):
    """Keeps the body for `partner_requests`, whatever its Content-Type says."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """Nothing is parsed here: the view reads the raw body."""
        return {}


class OneMediaType(BaseContentNegotiation):
    """Every Accept header gets the vendor media type."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """The only parser."""
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The only renderer."""
        return renderers[0], MEDIA_TYPE


class IsPartner(BasePermission):
    """Only Heroku, with the pair of one of our services; checked before any look-up."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the call is authenticated."""
        return isinstance(request.user, AddonService)


class PartnerView(APIView):
    """What every Partner API call has in common."""

    authentication_classes = (PartnerAuthentication,)
    permission_classes = (IsPartner,)
    parser_classes = (AnyBodyParser,)
    renderer_classes = (VendorRenderer,)
    content_negotiation_class = OneMediaType

    @property
    def service(self) -> AddonService:
        """The service that the Basic pair named."""
        return cast("AddonService", self.request.user)

    def handle_exception(self, exc: Exception) -> Response:
        """Every error as JSON with a message for people; a fault of ours never shows its text."""
        match exc:
            case Refusal():
                log.info("partner_api.refused", refusal=exc.code, service=self.service.slug)
                return Response({"id": exc.code, "message": exc.message}, status=422)
            case resources.Gone():
                return Response(GONE, status=410)
            case resources.Unknown() | Http404():
                return Response(UNKNOWN, status=404)
            case RequestDataTooBig():
                return Response({"id": "too_large", "message": "The request is too large."}, status=413)
            case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
                wait = attempts.take((attempts.PARTNER_API, self.request.META.get("REMOTE_ADDR", "")))
                if wait:
                    log.warning("partner_api.attempts_limited")
                    return Response(
                        {"id": "too_many_attempts", "message": "Too many calls with wrong credentials."},
                        status=429,
                        headers={"Retry-After": str(math.ceil(wait))},
                    )
                answer = Response(
                    {"id": "unauthorized", "message": "Wrong or missing credentials."}, status=401
                )
                answer["WWW-Authenticate"] = PartnerAuthentication().authenticate_header(self.request)
                return answer
            case exceptions.MethodNotAllowed():
                answer = Response(
                    {"id": "method_not_allowed", "message": "This method is not allowed."}, status=405
                )
                answer["Allow"] = ", ".join(self.allowed_methods)
                return answer
            case DatabaseError():
                log.error("partner_api.database_failed", exc_info=exc)
            case _:
                log.error("partner_api.failed", exc_info=exc)
        return Response(
            {
                "id": "internal_error",
                "message": "Something went wrong on our side. Please try again in a minute.",
            },
            status=500,
        )


def _outcome(outcome: resources.Outcome, **members: Any) -> Response:
    body: dict[str, Any] = {**members, "message": outcome.message}
    if outcome.config is not None:
        body["config"] = outcome.config
    return Response(body, status=200 if outcome.ready else 202)


class ResourcesView(PartnerView):
    """`/heroku/resources`."""

    def post(self, request: Request) -> Response:
        """Provision: 200 with config vars, or 202 when the resource follows; 410 and 422 as `resources.provision`."""
        wanted = partner_requests.read_provision(_body(request))
        return _outcome(resources.provision(self.service, wanted), id=str(wanted.uuid))


class ResourceView(PartnerView):
    """`/heroku/resources/<uuid>`."""

    def put(self, request: Request, uuid: str) -> Response:
        """Plan change: 200 done, 202 being applied; 404, 410 and 422 as `resources.change_plan`."""
        plan = partner_requests.read_plan_change(_body(request))
        return _outcome(resources.change_plan(self.service, partner_requests.read_uuid(uuid), plan))

    def delete(self, request: Request, uuid: str) -> Response:
        """Deprovision: 204, and 410 for a repeat and for a uuid that was never seen."""
        resources.deprovision(self.service, partner_requests.read_uuid(uuid))
        return Response(status=204)


def _body(request: Request) -> dict[str, Any]:
    try:
        body = partner_requests.read_json(request.body)
    except (ValueError, RecursionError):
        raise Refusal("The request body is not valid JSON.", code="invalid_body") from None
    if not isinstance(body, dict):
        raise Refusal("The request body has to be a JSON object.", code="invalid_body")
    return body
