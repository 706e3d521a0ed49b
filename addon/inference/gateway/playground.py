"""The dashboard's playground: a person's session stands in the place of a key, which never reaches the page.

Apart from who calls, its requests are like any other: same checks, same limits, metered.
"""

import re
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http import parse_cookie

from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.http import Exchange
from addon.inference.gateway.keys import Caller, Keys, caller_of
from provisioning.credentials import active_credential
from provisioning.states import ResourceState
from sso.models import Role
from sso.sessions import find_session

PREFIX = "/dashboard/"
_ADDRESS = re.compile(r"/dashboard/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/playground/(chat|rerank)")
_API = {"chat": "/v1/chat/completions", "rerank": "/v1/rerank"}


def is_playground(path: str) -> bool:
    """Whether a path is the playground's; all others below PREFIX are Django's."""
    return _ADDRESS.fullmatch(path) is not None


def api_path(path: str) -> str:
    """The path of the API that answers what is sent to a playground's path."""
    found = _ADDRESS.fullmatch(path)
    if found is None:
        raise ValueError(path)
    return _API[found[2]]


async def visitor(exchange: Exchange, keys: Keys) -> Caller:
    """The resource whose dashboard the request comes from, as a caller; ApiError 401, 403, 409 or 410.

    The cookie alone is not enough: the page that sends the request has to be ours, by the `Origin` that a browser
    gives to every POST.
    """
    headers = exchange.given
    origin = f"{urlsplit(settings.BASE_URL).scheme}://".encode() + headers.get(b"host", b"")
    if headers.get(b"origin") != origin or not headers.get(b"content-type", b"").startswith(
        b"application/json"
    ):
        raise ApiError(403, "Send this from the dashboard's own page.", code="not_from_the_dashboard")
    found = _ADDRESS.fullmatch(exchange.path)
    if found is None:
        raise ValueError(exchange.path)
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    caller = await keys.query(_find, cookies, UUID(found[1]))
    if isinstance(caller, ApiError):
        raise caller
    return caller


def _find(cookies: dict[str, Any], uuid: UUID) -> Caller | ApiError:
    """In a thread, where an error to be told is a value."""
    session = find_session(cookies, uuid)
    if session is None or session.resource.service != "inference":
        return ApiError(
            401, "Your session has ended. Open the dashboard again from Heroku.", code="session_needed"
        )
    if session.role != Role.MEMBER:
        return ApiError(
            403,
            "Heroku did not say who you are. Open the dashboard again from Heroku to use the playground.",
            code="identity_needed",
        )
    credential = active_credential(session.resource)
    if session.resource.state != ResourceState.PROVISIONED or credential is None:
        return ApiError(410, "This add-on was removed.", code="resource_ended")
    caller = caller_of(credential)
    return caller or ApiError(410, "This add-on was removed.", code="resource_ended")
