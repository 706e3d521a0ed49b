"""The network address that a request came from."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """As the router in front of us saw it, empty when it is none.

    Routers append the address they saw to X-Forwarded-For; whatever stands before it was sent by the client.
    """
    found = request.META.get("REMOTE_ADDR", "")
    if settings.SECURE_PROXY_SSL_HEADER and (passed := request.headers.get("X-Forwarded-For")):
        found = passed.rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        return ""
